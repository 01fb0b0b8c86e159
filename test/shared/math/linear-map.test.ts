// The normal form by itself: which terms a differential has. That its graphs are right is tested with derive.

import { deepEqual, equal, throws } from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assert } from '../../../shared/assert.ts';
import { directionOf, operandNamed } from '../../../shared/math/derive.ts';
import { build } from '../../../shared/math/graph.ts';
import { jvp } from '../../../shared/math/jvp.ts';
import { linearMap, type Term } from '../../../shared/math/linear-map.ts';
import { printText } from '../../../shared/math/print.ts';
import { shape } from '../../../shared/math/shape.ts';
import { graphOf } from './expressions.ts';

function termsOf(text: string, wrt = 'W'): readonly Term[] {
  const f = graphOf(text);
  const direction = directionOf(f, wrt);
  const differential = jvp(f, new Map([[operandNamed(f, wrt), direction]]));
  assert(differential !== undefined, `${wrt} occurs in the expression`);
  return linearMap(differential, direction).terms;
}

/** c[s…] L|H|R or L|H'|R, with its outer factor behind a slash. */
function summarize({ coefficient, scalars, left, transposed, right, outer }: Term): string {
  const texts = [left, right, outer].map(node => (node === undefined ? '' : printText(node)));
  const [l, r, o] = texts;
  return `${coefficient}[${scalars.map(printText).join()}] ${l}|${transposed ? "H'" : 'H'}|${r}${o === '' ? '' : `/${o}`}`;
}

describe('linearMap', () => {
  const table: readonly (readonly [text: string, wrt: string, terms: readonly string[]])[] = [
    ['W', 'W', ['1[] |H|']],
    ['M32*W*V', 'W', ['1[] M32|H|V']],
    ['M12*(M22*(W*V))*x', 'W', ['1[] M12*M22|H|V*x']],
    ["(M32*W)'", 'W', ["1[] |H'|M32'"]],
    ["M33*(M32*W*V)'*M33", 'W', ["1[] M33*V'|H'|M32'*M33"]],
    ['W + W', 'W', ['2[] |H|']],
    ['2*W + 3*W - W - 4*W', 'W', ['5[] |H|', '-5[] |H|']],
    ['0*W + W + 0*W', 'W', ['0[] |H|', '1[] |H|']],
    ['s*W + s*W', 'W', ['2[s] |H|']],
    ['s*t*W', 'W', ['1[s*t] |H|']],
    ["(x'*V*y)*M23", 'V', ["1[] x'|H|y/M23"]],
    ["M22*((x'*V*y)*M23)*V", 'V', ["1[] x'|H|y/M22*M23*V", "1[] M22*(x'*V*y*M23)|H|"]],
    ["((x'*V*y)*M23)'", 'V', ["1[] x'|H|y/M23'"]],
    ["(M12*((x'*V*y)*M23)*x)*M22", 'V', ["1[M12*M23*x] x'|H|y/M22"]],
    ['s*W', 's', ['1[] |H|/W']],
    ["s'*s", 's', ['1[] |H|s', "1[] s'|H|"]],
  ];
  for (const [text, wrt, terms] of table) {
    test(`the terms of ${text} in ${wrt}`, () => deepEqual(termsOf(text, wrt).map(summarize), terms));
  }

  test('terms stand in the order of the text', () => {
    deepEqual(termsOf("V + V' + V*V", 'V').map(summarize), ['1[] |H|', "1[] |H'|", '1[] |H|V', '1[] V|H|']);
  });

  test('numbers whose product is not finite, or lost, stay factors', () => {
    deepEqual(termsOf('1e300*(1e300*W)').map(summarize), ['1e+300[1e+300] |H|']);
    deepEqual(termsOf('1e-300*(1e-300*W)').map(summarize), ['1e-300[1e-300] |H|']);
    deepEqual(termsOf('1e308*W + 1e308*W').map(summarize), ['1e+308[] |H|', '1e+308[] |H|']);
  });

  test('what is not linear, or has no normal form, is a bug', () => {
    const h = build.input('H', 'direction', shape(2, 2));
    throws(() => linearMap(build.matmul(h, h), h), { name: 'AssertionError' });
    throws(() => linearMap(build.inner(h, build.identity(2)), h), { name: 'AssertionError' });
  });

  test('a graph that does not depend on the direction has no terms', () => {
    const h = build.input('H', 'direction', shape(2, 2));
    equal(linearMap(build.identity(2), h).terms.length, 0);
  });
});
