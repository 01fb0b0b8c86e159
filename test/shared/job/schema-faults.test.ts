import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { FrechetError } from '../../../shared/errors.ts';
import { jsonPointer, parseDocument, schemaError } from '../../../shared/job/schema-faults.ts';

const schema = z.strictObject({ count: z.int(), sizes: z.array(z.number()).optional() });

function contextOf(document: unknown) {
  try {
    parseDocument(schema, document);
  } catch (error) {
    assert.ok(error instanceof FrechetError);
    assert.equal(error.code, 'schema');
    return { faults: error.context.errors ?? [], detail: error.message };
  }
  return assert.fail('the document was accepted');
}

test('a document of the right form passes through', () => {
  assert.deepEqual(parseDocument(schema, { count: 3 }), { count: 3 });
});

test('every fault has its pointer, and the first is in the detail', () => {
  const { faults, detail } = contextOf({ count: 1.5, sizes: [1, 'two'] });
  assert.deepEqual(
    faults.map(({ pointer }) => pointer),
    ['/count', '/sizes/1'],
  );
  assert.match(detail, /^\/count: .+ \(and 1 more\)$/);
  for (const { code, detail } of faults) assert.ok(code.length > 0 && detail.length > 0);
});

test('an unknown property is pointed at itself, escaped as RFC 6901 says', () => {
  const { faults } = contextOf({ count: 1, 'a/b~c': 1, __proto: 2 });
  assert.deepEqual(
    faults.map(({ pointer, code }) => [pointer, code]),
    [
      ['/a~1b~0c', 'unrecognized_keys'],
      ['/__proto', 'unrecognized_keys'],
    ],
  );
});

test('the whole document is the empty pointer', () => {
  assert.equal(contextOf('text').faults[0]?.pointer, '');
  assert.match(contextOf(null).detail, /^the document: /);
});

test('a number outside float64 is no number', () => {
  assert.equal(contextOf(JSON.parse('{"count":1e999}')).faults[0]?.pointer, '/count');
});

test('the list of faults is bounded', () => {
  const sizes = Array.from({ length: 1000 }, () => 'x');
  assert.equal(contextOf({ count: 1, sizes }).faults.length, 20);
  const unknown = Object.fromEntries(sizes.map((_, index) => [`p${index}`, 1]));
  assert.equal(contextOf({ count: 1, ...unknown }).faults.length, 20);
});

test('faults found by other means make the same error', () => {
  const fault = { pointer: jsonPointer(['operands', 'A']), code: 'required', detail: 'it is needed' };
  assert.equal(schemaError([fault]).message, '/operands/A: it is needed');
});
