import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FrechetError } from '../../../shared/errors.ts';
import { parseJson, parseJsonText } from '../../../shared/io/json-text.ts';
import {
  JSON_BODY_BYTES_MAX,
  JSON_COMMAS_MAX,
  JSON_DEPTH_MAX,
  JSON_LEVELS_MAX,
  JSON_NAMES_MAX,
} from '../../../shared/job/limits.ts';

/** The code and pointer of the one fault. */
function faultOf(text: string): { code: string; pointer: string } {
  try {
    parseJsonText(text);
  } catch (error) {
    assert.ok(error instanceof FrechetError && error.code === 'schema', String(error));
    const [fault, ...others] = error.context.errors ?? [];
    assert.deepEqual(others, []);
    return { code: fault!.code, pointer: fault!.pointer };
  }
  return assert.fail(`${text} is accepted`);
}

/** What JSON.parse makes of it; undefined where it refuses. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

test('a name that stands twice in one object is refused, and where it stands is told', () => {
  const cases: Record<string, string> = {
    '{"a":1,"a":1}': '/a',
    '{"a":{"b":1,"c":[],"b":2}}': '/a/b',
    '[0,[1,{"x":0}],{"a":[{"~":1},{"~":1,"~":2}]}]': '/2/a/1/~0',
    '{"a" : 1 , "a"\n:\t1}': '/a',
    '{"":1,"":2}': '/',
    '{"é":1,"\\u00e9":2}': '/é',
    '{"a\\"b":1,"a\\u0022b":2}': '/a"b',
    '{"a":"{\\"a\\":1}","b":"\\\\","a":2}': '/a',
  };
  for (const [text, pointer] of Object.entries(cases))
    assert.deepEqual(faultOf(text), { code: 'duplicate_key', pointer }, text);
});

test('equal names in different objects, and strings that look like names, are no fault', () => {
  for (const text of [
    '[{"a":1},{"a":2}]',
    '{"a":{"a":{"a":1}}}',
    '{"a":"a","b":"a"}',
    '["a","a",":"]',
    '{"a":"\\"a\\":1,","b":","}',
    '{"constructor":1,"toString":2}',
    '{"a":1,"A":2,"\u00e1":3,"a\u0301":4}',
  ])
    assert.deepEqual(parseJsonText(text), JSON.parse(text), text);
});

test('a name __proto__ is refused, however it is spelt', () => {
  assert.deepEqual(faultOf('{"a":{"__proto__":1}}'), { code: 'invalid_key', pointer: '/a/__proto__' });
  assert.equal(faultOf('{"\\u005f_proto__":1}').code, 'invalid_key');
});

test('depth, lists, values and names have limits, just within them all is well', () => {
  const lists = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
  const names = (count: number) => `{${Array.from({ length: count }, (_, i) => `"${i}":0`).join(',')}}`;
  parseJsonText(lists(JSON_DEPTH_MAX));
  assert.equal(faultOf(lists(JSON_DEPTH_MAX + 1)).code, 'too_deep');
  assert.equal(faultOf('{"a":'.repeat(JSON_DEPTH_MAX + 1)).code, 'too_deep');
  const siblings = (count: number) => `[${'[],'.repeat(count - 1)}[]]`;
  parseJsonText(siblings(JSON_LEVELS_MAX - 1));
  assert.equal(faultOf(siblings(JSON_LEVELS_MAX)).code, 'too_many_levels');
  const numbers = (count: number) => `[${'1,'.repeat(count - 1)}1]`;
  parseJsonText(numbers(JSON_COMMAS_MAX + 1));
  assert.equal(faultOf(numbers(JSON_COMMAS_MAX + 2)).code, 'too_many_values');
  parseJsonText(names(JSON_NAMES_MAX));
  assert.equal(faultOf(names(JSON_NAMES_MAX + 1)).code, 'too_many_names');
  assert.equal(faultOf(`[${names(JSON_NAMES_MAX)},{"a":0}]`).code, 'too_many_names');
});

test('what only opens is refused before it is built', () => {
  const heapBefore = process.memoryUsage().heapUsed;
  assert.equal(faultOf('['.repeat(JSON_BODY_BYTES_MAX)).code, 'too_deep');
  const grown = process.memoryUsage().heapUsed - heapBefore;
  assert.ok(grown < 4 * JSON_BODY_BYTES_MAX, `${grown} bytes`);
});

test('what is not JSON in UTF-8 is json-syntax, and quotes nothing', () => {
  for (const text of ['', '{', '{"a"', '{"a":1,}', '"\\', '{"\\u00":1}', '[}', ']', '{"a":1]']) {
    assert.throws(() => parseJsonText(text), { code: 'json-syntax' }, text);
  }
  assert.throws(() => parseJson(Buffer.from([0x22, 0xff, 0x22])), { code: 'json-syntax' });
  assert.throws(
    () => parseJsonText('{"secret": oops}'),
    (error: Error) => !/secret|oops/.test(error.message),
  );
});

test('otherwise it answers as JSON.parse does, whatever the text', () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 5 }), text => {
      if (!text.includes('__proto__')) assert.deepEqual(parseJsonText(text), JSON.parse(text));
    }),
  );
  const noise = fc.string({ unit: fc.constantFrom(...'{}[]",:\\u0a1 -eE.'.split('')), maxLength: 24 });
  fc.assert(
    fc.property(noise, text => {
      try {
        assert.deepEqual(parseJsonText(text), parsed(text));
      } catch (error) {
        const { code } = error as FrechetError;
        assert.ok(code === 'schema' || (code === 'json-syntax' && parsed(text) === undefined), text);
      }
    }),
    { numRuns: 20_000 },
  );
});

test('an object is refused exactly where a reviver that counts would see a name twice', () => {
  const name = fc.constantFrom('a', 'b', 'c', '\\u0061', 'd');
  const object = fc.array(name, { maxLength: 5 });
  fc.assert(
    fc.property(fc.array(object, { maxLength: 4 }), objects => {
      const text = `[${objects.map(names => `{${names.map(each => `"${each}":0`).join(',')}}`).join(',')}]`;
      const decoded = objects.map(names => names.map(each => JSON.parse(`"${each}"`) as string));
      if (decoded.every(names => new Set(names).size === names.length)) parseJsonText(text);
      else assert.equal(faultOf(text).code, 'duplicate_key');
    }),
  );
});
