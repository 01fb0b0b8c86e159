import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openFileStore } from '../../../../shared/io/store/file-store.ts';
import { encodeFooter, openSealed } from '../../../../shared/io/store/sealed.ts';
import type { Store } from '../../../../shared/io/store/store.ts';
import { RESULT_CHUNK_BYTES } from '../../../../shared/job/limits.ts';
import { temporaryFolder } from '../../../support/temporary.ts';
import { collect, failsWith } from '../streams.ts';

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** `length` bytes that do not repeat. */
function noise(length: number): Buffer {
  return createHash('shake256', { outputLength: length }).update('sealed').digest();
}

function footerOf(data: Uint8Array, extra = '') {
  const chunks = [];
  for (let start = 0; start < data.byteLength; start += RESULT_CHUNK_BYTES) {
    chunks.push(sha256(data.subarray(start, start + RESULT_CHUNK_BYTES)));
  }
  return { bytes: data.byteLength, chunks, extra };
}

async function sealedStore(context: TestContext) {
  const store = await openFileStore(await temporaryFolder(context));
  return {
    put: (parts: readonly Uint8Array[]) => store.put('k', parts, { exclusive: false }),
    open: () => openSealed<ReturnType<typeof footerOf>>(store, 'k', 'result-corrupt'),
  };
}

test('a range is what was stored, whichever chunks it touches', async context => {
  const { put, open } = await sealedStore(context);
  const data = noise(2 * RESULT_CHUNK_BYTES + 1000);
  const footer = footerOf(data, 'x'.repeat(20_000));
  assert.equal(await open(), undefined);
  await put([data, encodeFooter(footer)]);
  const object = await open();
  assert.ok(object);
  assert.deepEqual(object.footer, footer);
  const edge = RESULT_CHUNK_BYTES;
  for (const [start, stop] of [
    [0, 0],
    [0, 1],
    [edge - 1, edge + 1],
    [edge, 2 * edge],
    [5, data.byteLength - 3],
    [0, data.byteLength],
    [data.byteLength, data.byteLength],
  ] as const) {
    assert.ok(
      (await collect(object.readVerified(start, stop))).equals(data.subarray(start, stop)),
      `${start} to ${stop}`,
    );
  }
  const target = new Uint8Array(10);
  assert.equal(await object.read(target, edge), 10);
  assert.deepEqual(Buffer.from(target), data.subarray(edge, edge + 10));
  await assert.rejects(async () => object.read(target, data.byteLength - 9), { name: 'AssertionError' });
  await object.close();
});

test('a reader that stops early closes nothing that is being read', async () => {
  const data = noise(2 * RESULT_CHUNK_BYTES);
  const sealed = Buffer.concat([data, encodeFooter(footerOf(data))]);
  let reading = 0;
  const open = async () => ({
    size: sealed.byteLength,
    async read(target: Uint8Array, position: number) {
      reading += 1;
      await sleep(20);
      reading -= 1;
      return sealed.copy(target, 0, position, position + target.byteLength);
    },
    close: async () => assert.equal(reading, 0),
  });
  const store = { open } as unknown as Store; // all it asks
  const object = await openSealed<ReturnType<typeof footerOf>>(store, 'k', 'result-corrupt');
  assert.ok(object);
  for await (const piece of object.readVerified(0, data.byteLength)) {
    assert.ok(data.subarray(0, RESULT_CHUNK_BYTES).equals(piece));
    assert.equal(reading, 1, 'the next is on its way');
    break;
  }
  await object.close();
});

test('no data and a small footer are a sealed object too', async context => {
  const { put, open } = await sealedStore(context);
  await put([encodeFooter(footerOf(new Uint8Array(0)))]);
  const object = await open();
  assert.deepEqual(await collect(object!.readVerified(0, 0)), Buffer.alloc(0));
  await object?.close();
});

test('a changed byte of the data stops the chunk it is in, and no other', async context => {
  const { put, open } = await sealedStore(context);
  const data = noise(RESULT_CHUNK_BYTES + 100);
  const damaged = Buffer.from(data);
  damaged[RESULT_CHUNK_BYTES + 50]! ^= 1;
  await put([damaged, encodeFooter(footerOf(data))]);
  const object = await open();
  assert.ok(object);
  assert.equal((await collect(object.readVerified(0, RESULT_CHUNK_BYTES))).byteLength, RESULT_CHUNK_BYTES);
  // The damage is outside the range and inside its chunk.
  await failsWith(
    'result-corrupt',
    collect(object.readVerified(RESULT_CHUNK_BYTES, RESULT_CHUNK_BYTES + 10)),
  );
  await failsWith('result-corrupt', collect(object.readVerified(0, data.byteLength)));
  await object.close();
});

test('no change or cut of the footer goes unnoticed', async context => {
  const { put, open } = await sealedStore(context);
  const data = noise(50);
  const whole = Buffer.concat([data, encodeFooter(footerOf(data))]);
  for (let at = data.byteLength; at < whole.byteLength; at += 1) {
    const changed = Buffer.from(whole);
    changed[at]! ^= 0x04;
    await put([changed]);
    await failsWith('result-corrupt', open(), `byte ${at}`);
  }
  for (const length of [0, 1, 20, data.byteLength, whole.byteLength - 48, whole.byteLength - 1]) {
    await put([whole.subarray(0, length)]);
    await failsWith('result-corrupt', open(), `cut to ${length}`);
  }
  await put([whole.subarray(1)]);
  await failsWith('result-corrupt', open(), 'beginning lost');
});
