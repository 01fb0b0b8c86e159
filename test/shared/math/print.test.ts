import { equal } from 'node:assert/strict';
import { describe, test } from 'node:test';
import { build } from '../../../shared/math/graph.ts';
import { printFlat, printLatex, printText } from '../../../shared/math/print.ts';
import { shape } from '../../../shared/math/shape.ts';
import { forExpressions, graphOf } from './expressions.ts';

const a = build.input('A', 'operand', shape(3, 2));
const w = build.input('W', 'operand', shape(2, 2));
const s = build.input('s', 'operand', shape(1, 1));

describe('printText', () => {
  test('what is printed is read back as the same graph', () => {
    forExpressions((_text, f) => equal(graphOf(printText(f)), f), 500);
  });

  const minimal = [
    ['((M32*W))*(V)', 'M32*W*V'],
    ['M32*(W*V)', 'M32*(W*V)'],
    ['(W+W)-(W+W)', 'W + W - (W + W)'],
    ["(M32*W)'", "(M32*W)'"],
    ["(W')'", "W''"],
    ['-(M32*W)', '-M32*W'],
    ['(-M32)*W', '(-M32)*W'],
    ['M32*(-W)', 'M32*(-W)'],
    ['-(-W)', '-(-W)'],
    ['-(W+W)', '-(W + W)'],
    ['W + -W', 'W - W'],
    ['2*W', '2*W'],
    ['-(2*W)', '-2*W'],
    ['W*s', 's*W'],
    ['M13*s', 'M13*s'],
    ['s*(W+W)', 's*(W + W)'],
    ['1e21*s + 1e-7*s', '1e+21*s + 1e-7*s'],
  ] as const;
  for (const [text, printed] of minimal) {
    test(`${text} is printed ${printed}`, () => {
      equal(printText(graphOf(text)), printed);
      equal(graphOf(printed), graphOf(text));
    });
  }

  test('what the grammar has no word for', () => {
    equal(printText(build.kron(build.identity(2), a)), 'kron(eye(2), A)');
    equal(printText(build.kron(w, a, true)), 'kron(W, A)*commutation(2, 2)');
    equal(printText(build.kron(build.identity(2), build.identity(3), true)), 'commutation(2, 3)');
    equal(printText(build.inner(a, build.matmul(a, w))), "tr(A'*(A*W))");
    equal(printText(build.inner(build.transpose(a), build.transpose(a))), "tr(A*A')");
    equal(printText(build.vec(build.add(a, a))), 'vec(A + A)');
    equal(printText(build.slice(build.add(a, a), { rows: [0, 2], cols: [1, 2] })), '(A + A)[0:2, 1:2]');
    equal(printText(build.scale(build.constant(-2.5), a)), '-2.5*A');
    equal(printText(build.add(a, build.scale(build.constant(-2.5), a))), 'A - 2.5*A');
    equal(printText(build.constant(-0)), '-0');
  });
});

describe('printFlat', () => {
  test('products need no parentheses, but for a scaling within', () => {
    equal(printFlat(graphOf('M32*(W*V)')), 'M32*W*V');
    equal(printFlat(build.scale(s, build.matmul(a, w))), 's*A*W');
    equal(printFlat(build.matmul(a, build.scale(s, w))), 'A*(s*W)');
  });
});

describe('printLatex', () => {
  const table = [
    ["M32'*W'", '\\mathrm{M32}^{\\top} W^{\\top}'],
    ['2*3*s', '2 \\cdot 3 s'],
    ['W - (W + W)', 'W - \\left(W + W\\right)'],
    ["(W + W)'", '\\left(W + W\\right)^{\\top}'],
    ["W''", '\\left(W^{\\top}\\right)^{\\top}'],
    ['-W', '-W'],
    ['1e21*W', '1 \\cdot 10^{21} W'],
  ] as const;
  for (const [text, latex] of table) {
    test(`${text} becomes ${latex}`, () => equal(printLatex(graphOf(text)), latex));
  }

  test('names keep their underscores, directions their upright d, Kronecker factors their parentheses', () => {
    const name = build.input('my_x', 'operand', shape(2, 2));
    equal(printLatex(name), '\\mathrm{my\\_x}');
    equal(printLatex(build.input('dmy_x', 'direction', shape(2, 2))), '\\mathrm{d}\\mathrm{my\\_x}');
    equal(printLatex(build.kron(build.matmul(w, w), a)), '\\left(W W\\right) \\otimes A');
    equal(
      printLatex(build.matmul(build.vec(a), build.kron(s, s))),
      '\\operatorname{vec}\\left(A\\right) \\left(s \\otimes s\\right)',
    );
    equal(printLatex(build.inner(a, a)), '\\operatorname{tr}\\left(A^{\\top} A\\right)');
  });
});
