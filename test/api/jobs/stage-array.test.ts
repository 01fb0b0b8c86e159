import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { requireSpace } from '../../../api/jobs/admit.ts';
import { ArrivingBytes } from '../../../api/jobs/arriving-bytes.ts';
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
    arriving: new ArrivingBytes(),
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

class Gate {
  open: () => void = () => undefined;
  readonly opened = new Promise<void>(resolve => {
    this.open = resolve;
  });
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

test('of two uploads that see the same room at the same time it holds one, also beside a job', async context => {
  const { deps } = await setUp(context, { roomBytes: 2 * BYTES - 1 });
  const [taken, goOn] = [new Gate(), new Gate()];
  async function* slow() {
    yield new Uint8Array(8);
    taken.open();
    await goOn.opened;
    yield new Uint8Array(BYTES - 8);
  }
  const uploads = [1, 2].map(() => stageArray(deps, 'default', HEADER, slow()));
  await assert.rejects(Promise.race(uploads), { code: 'store-full' });
  await taken.opened;
  assert.equal(deps.arriving.total, BYTES - 8, 'what has come is on the volume');
  await requireSpace(deps, BYTES + 7);
  await assert.rejects(requireSpace(deps, BYTES + 8), { code: 'store-full' });
  goOn.open();
  await Promise.allSettled(uploads);
  assert.equal(deps.arriving.total, 0);
  await stageArray(deps, 'default', HEADER, data());
});

test('an upload is no longer expected however it ended', async context => {
  const { deps } = await setUp(context, { tenantBytes: BYTES });
  const { commit } = await stageArray(deps, 'default', HEADER, data());
  assert.equal(deps.arriving.total, 0);
  await commit();
  await assert.rejects(stageArray(deps, 'default', HEADER, data()), { code: 'too-many-requests' });
  assert.equal(deps.arriving.total, 0);
  async function* broken() {
    yield new Uint8Array(8);
    assert.equal(deps.arriving.total, BYTES - 8);
    throw new Error('connection lost');
  }
  const roomy = { ...deps, storedBytes: { ...deps.storedBytes, reserve: async () => undefined } };
  await assert.rejects(stageArray(roomy, 'default', HEADER, broken()), /connection lost/);
  assert.equal(deps.arriving.total, 0);
});
