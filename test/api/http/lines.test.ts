import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readLines } from '../../../api/http/lines.ts';

/** The text in chunks of `size`, in one buffer that is used again, as a socket's may be. */
async function* chunked(text: string, size: number): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text);
  const shared = Buffer.alloc(size);
  for (let start = 0; start < bytes.length; start += size) {
    const length = bytes.copy(shared, 0, start, start + size);
    yield shared.subarray(0, length);
    shared.fill('#');
  }
}

async function lines(text: string, size: number, bytesMax = 100): Promise<[number, string | undefined][]> {
  const found: [number, string | undefined][] = [];
  for await (const { number, bytes } of readLines(chunked(text, size), bytesMax)) {
    found.push([number, bytes && Buffer.from(bytes).toString()]);
  }
  return found;
}

for (const size of [1, 2, 3, 7, 1000]) {
  test(`lines are found whatever the chunks, here of ${size} bytes`, async () => {
    assert.deepEqual(await lines('a\nbé\r\n\n  \t\r\nc', size), [
      [1, 'a'],
      [2, 'bé\r'],
      [5, 'c'],
    ]);
    assert.deepEqual(await lines('a\n', size), [[1, 'a']]);
    assert.deepEqual(await lines('', size), []);
    assert.deepEqual(await lines('\n\n', size), []);
  });

  test(`a line may be as long as the limit and no longer, in chunks of ${size} bytes`, async () => {
    assert.deepEqual(await lines('1234\n12345\n123456789\n1234', size, 4), [
      [1, '1234'],
      [2, undefined],
      [3, undefined],
      [4, '1234'],
    ]);
  });
}
