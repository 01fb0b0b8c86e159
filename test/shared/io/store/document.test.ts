import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeDocument, encodeDocument } from '../../../../shared/io/store/document.ts';

const DOCUMENT = { version: 1, data: 'AAAAAAAA8D8=', name: 'é "," }', list: [1.5, null, { a: true }] };

test('a document comes back as it was', () => {
  assert.deepEqual(decodeDocument(encodeDocument(DOCUMENT)), DOCUMENT);
  assert.match(encodeDocument(DOCUMENT).toString(), /^\{"version":1,.*,"sha256":"[0-9a-f]{64}"\}\n$/);
});

test('one of before there were digests is read, and one that is no JSON is damaged', () => {
  assert.deepEqual(decodeDocument(Buffer.from(`${JSON.stringify(DOCUMENT)}\n`)), DOCUMENT);
  assert.throws(() => decodeDocument(Buffer.from('{"version":1')), { code: 'unavailable' });
});

test('no single bit that flips makes another document of it', () => {
  const stored = encodeDocument(DOCUMENT);
  for (let bit = 0; bit < 8 * stored.length; bit += 1) {
    const flipped = Buffer.from(stored);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    let read: unknown;
    try {
      read = decodeDocument(flipped);
    } catch (error) {
      assert.equal((error as { code?: string }).code, 'unavailable');
      continue;
    }
    // Where the bit was one of the digest's name, there is one member more, and all others are as they were.
    for (const [name, value] of Object.entries(DOCUMENT))
      assert.deepEqual((read as Record<string, unknown>)[name], value);
  }
});
