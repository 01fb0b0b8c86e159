import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type StageDeps, stageArray } from '../../../api/jobs/stage-array.ts';
import { FrechetError } from '../../../shared/errors.ts';
import type { ArrayHeader } from '../../../shared/io/array-header.ts';
import { ArrayStore } from '../../../shared/io/array-store.ts';
import type { Live } from '../../../shared/io/live.ts';
import { openFileStore } from '../../../shared/io/store/file-store.ts';
import { STORE_RESERVE_BYTES_MAX } from '../../../shared/job/limits.ts';
import { temporaryFolder } from '../../support/temporary.ts';

const HEADER: ArrayHeader = { shape: [4], dtype: 'float64', order: 'C' };
const BYTES = 32;

/** A store with room for so many bytes, and a tenant that may keep so many. */
async function setUp(context: TestContext, { roomBytes = 1000, tenantBytes = 1000 } = {}) {
  const store = await openFileStore(await temporaryFolder(context));
  const usage = async () => ({ freeBytes: STORE_RESERVE_BYTES_MAX + roomBytes, totalBytes: 2 ** 40 });
  const counted = { bytes: 0 };
  const deps: StageDeps = {
    arrays: new ArrayStore(store),
    live: { owedBytes: async () => 0 } as Partial<Live> as Live, // all it asks
    store: { usage } as StageDeps['store'], // all it asks
    storedBytes: {
      reserve: async (_tenant, bytes) => {
        if (counted.bytes + bytes > tenantBytes) throw new FrechetError('too-many-requests', 'no room');
        counted.bytes += bytes;
      },
      giveBack: async (_tenant, bytes) => {
        counted.bytes -= bytes;
      },
    },
  };
  return { deps, counted };
}

async function* data(): AsyncGenerator<Uint8Array> {
  yield new Uint8Array(BYTES);
}

test('an array is counted from its header on, and for as long as it is there', async context => {
  const { deps, counted } = await setUp(context);
  async function* watched() {
    assert.equal(counted.bytes, BYTES);
    yield* data();
  }
  const staged = await stageArray(deps, 'default', HEADER, watched());
  assert.equal((await staged.commit()).created, true);
  await staged.discard();
  assert.equal(counted.bytes, BYTES);
});

test('what was there already, is not needed or breaks off is given back once', async context => {
  const { deps, counted } = await setUp(context);
  const unneeded = await stageArray(deps, 'default', HEADER, data());
  assert.equal(counted.bytes, BYTES);
  await unneeded.discard();
  await unneeded.discard();
  assert.equal(counted.bytes, 0);
  async function* broken() {
    yield* data();
    throw new Error('connection lost');
  }
  await assert.rejects(stageArray(deps, 'default', HEADER, broken()), /connection lost/);
  assert.equal(counted.bytes, 0);
  for (const created of [true, false]) {
    const staged = await stageArray(deps, 'default', HEADER, data());
    assert.equal((await staged.commit()).created, created);
    await staged.discard();
    assert.equal(counted.bytes, BYTES);
  }
});

test('what has no room is refused before its data are read', async context => {
  for (const [room, code] of [
    [{ roomBytes: BYTES - 1 }, 'store-full'],
    [{ tenantBytes: BYTES - 1 }, 'too-many-requests'],
  ] as const) {
    const { deps, counted } = await setUp(context, room);
    let wasRead = false;
    async function* watched() {
      wasRead = true;
      yield* data();
    }
    await assert.rejects(stageArray(deps, 'default', HEADER, watched()), { code });
    assert.equal(wasRead, false);
    assert.equal(counted.bytes, 0);
  }
});
