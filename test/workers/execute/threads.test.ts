// Real threads: every tile is computed once, a task ends with its last thread, and a thread that dies is told of.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import type { Worker } from 'node:worker_threads';
import { RESULT_CHUNK_BYTES } from '../../../shared/job/limits.ts';
import { digestData, digestSpaceBytes } from '../../../workers/execute/digests.ts';
import { randomAt } from '../../../workers/execute/random.ts';
import {
  type CombineTask,
  NO_FINDINGS,
  type RandomTask,
  type StackView,
} from '../../../workers/execute/task.ts';
import { type Machine, machineFor, startMachine } from '../machine.ts';

/** Two words at the start of the room, cleared. */
function controlOf({ memory, room }: Machine) {
  const cancel = room.byteOffset / 4;
  new Int32Array(memory.buffer).fill(0, cancel, cancel + 2);
  return { cancel, next: cancel + 1 };
}

function elementsOf({ memory, room }: Machine, from: number, length: number): Float64Array {
  return new Float64Array(memory.buffer, room.byteOffset + 64 + 8 * from, length);
}

/** C ← 2·X over `members` 1×1 matrices, one a tile. */
function doubling({ room }: Machine, members: number): CombineTask {
  const at = (from: number): StackView => ({
    rows: 1,
    cols: 1,
    offset: room.byteOffset / 8 + 8 + from,
    rowStride: 1,
    colStride: 1,
    memberStride: 1,
  });
  return {
    kind: 'combine',
    dtype: 'float64',
    reproducible: false,
    members,
    c: at(members),
    terms: [{ kind: 'matrix', coefficient: 2, scalar: null, x: at(0) }],
    tileMembers: 1,
    tileRows: 1,
    tileCols: 1,
  };
}

describe('threads', () => {
  test('take every tile once, however many threads and tiles there are', async t => {
    for (const count of [1, 2, 3]) {
      const machine = machineFor(t, { threads: count, kernel: 'reference' });
      for (const tiles of [0, 1, 2, 500]) {
        const [x, c] = [elementsOf(machine, 0, tiles), elementsOf(machine, tiles, tiles)];
        for (let i = 0; i < tiles; i++) x[i] = i - 3;
        c.fill(Number.NaN);
        const found = await machine.threads.run(doubling(machine, tiles), tiles, controlOf(machine));
        assert.deepEqual(
          [...c],
          [...x].map(value => 2 * value),
        );
        assert.deepEqual({ ...found, seconds: 0 }, NO_FINDINGS);
        assert.equal(found.seconds > 0, tiles > 0);
      }
    }
  });

  test('stop between tiles where the cancel word is set', async t => {
    const machine = machineFor(t, { kernel: 'reference' });
    const control = controlOf(machine);
    const c = elementsOf(machine, 100, 100).fill(Number.NaN);
    Atomics.store(new Int32Array(machine.memory.buffer), control.cancel, 1);
    await machine.threads.run(doubling(machine, 100), 100, control);
    assert.ok(c.every(Number.isNaN), 'no tile was computed');
  });

  test('are busy while they work, and never more than there are', async t => {
    const machine = machineFor(t, { kernel: 'reference' });
    assert.equal(machine.threads.busyCount, 0);
    const runs = [1, 2, 3].map(() => machine.threads.run(doubling(machine, 10), 10, controlOf(machine)));
    assert.equal(machine.threads.busyCount, 2);
    await Promise.all(runs);
    assert.equal(machine.threads.busyCount, 0);
  });

  test('a task that throws is a bug: it is told of, and the call fails once all threads have stopped', async t => {
    const machine = machineFor(t, { kernel: 'reference' });
    // Beyond the memory: making the typed array throws.
    const task: RandomTask = {
      kind: 'random',
      dtype: 'float64',
      seed: 1,
      first: 0,
      byteOffset: 0,
      length: 2 ** 40,
    };
    await assert.rejects(machine.threads.run(task, 2, controlOf(machine)), RangeError);
    assert.equal(machine.threads.busyCount, 0);
    assert.equal(machine.faults.length, 2);
  });

  test('a thread that dies is told of, at work or idle, and its replacement does not start', async t => {
    const born: Worker[] = [];
    const note = (worker: Worker) => void born.push(worker);
    process.on('worker', note);
    t.after(() => process.off('worker', note));
    for (const isBusy of [true, false]) {
      const machine = startMachine({ kernel: 'reference', threads: 1 });
      await machine.threads.run(doubling(machine, 1), 1, controlOf(machine));
      const task: RandomTask = {
        kind: 'random',
        dtype: 'float64',
        seed: 1,
        first: 0,
        byteOffset: machine.room.byteOffset + 64,
        length: 1000,
      };
      const run = isBusy ? machine.threads.run(task, 100_000_000, controlOf(machine)) : undefined;
      const failed = run === undefined ? undefined : assert.rejects(run, /exited/);
      await born.at(-1)!.terminate();
      await failed;
      const told = (message: RegExp) => machine.faults.some(fault => message.test(fault.message));
      for (let i = 0; i < 200 && !told(/not replaced/); i++) await new Promise(go => setTimeout(go, 20));
      assert.ok(told(/not replaced/), 'the replacement finds that there is no scratch for it');
      assert.equal(told(/exited/), isBusy);
      await machine.close();
    }
  });

  test('fill with the seeded sequence by position, and round to float32', async t => {
    const machine = machineFor(t, { kernel: 'reference' });
    const { memory, room, threads } = machine;
    const byteOffset = room.byteOffset + 64;
    await threads.run(
      { kind: 'random', dtype: 'float32', seed: 9, first: 5, byteOffset, length: 50 },
      1,
      controlOf(machine),
    );
    const wanted = Float32Array.from({ length: 50 }, (_, index) => randomAt(9, 5 + index));
    assert.deepEqual(new Float32Array(memory.buffer, byteOffset, 50).slice(), wanted);
  });

  test('write the one NaN over every other, and nothing else', async t => {
    const machine = machineFor(t, { kernel: 'reference' });
    const { memory, room, threads } = machine;
    const byteOffset = room.byteOffset + 64;
    const doubles = new BigUint64Array(memory.buffer, byteOffset, 4);
    const doubleWords = [0xfff8000000000001n, 0x7ff0000000000000n, 0x8000000000000000n, 0x7ff8000000000123n];
    doubles.set(doubleWords);
    const task = { kind: 'canonicalise', byteOffset, length: 4 } as const;
    await threads.run({ ...task, dtype: 'float64' }, 1, controlOf(machine));
    const nan = 0x7ff8000000000000n;
    assert.deepEqual([...doubles], [nan, doubleWords[1], doubleWords[2], nan]);

    const floats = new Uint32Array(memory.buffer, byteOffset, 4);
    const floatWords = [0xffc00001, 0x7f800000, 0x80000000, 0x7fc00123];
    floats.set(floatWords);
    await threads.run({ ...task, dtype: 'float32' }, 1, controlOf(machine));
    assert.deepEqual([...floats], [0x7fc00000, floatWords[1], floatWords[2], 0x7fc00000]);
  });
});

describe('digests', () => {
  test('of chunks and of the whole are those of node:crypto, at every kind of length', async t => {
    const machine = machineFor(t, { kernel: 'reference', roomBytes: 3 * RESULT_CHUNK_BYTES });
    const { memory, room, threads } = machine;
    const byteOffset = room.byteOffset + 4096;
    const bytes = new Uint8Array(memory.buffer, byteOffset, 2 * RESULT_CHUNK_BYTES + 24);
    for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 31 + (i >> 12)) & 255;
    const sha256 = (from: number, to: number) =>
      createHash('sha256').update(bytes.slice(from, to)).digest('hex');
    for (const byteLength of [
      0,
      8,
      RESULT_CHUNK_BYTES,
      RESULT_CHUNK_BYTES + 8,
      2 * RESULT_CHUNK_BYTES + 24,
    ]) {
      const chunks: string[] = [];
      for (let at = 0; at < byteLength; at += RESULT_CHUNK_BYTES)
        chunks.push(sha256(at, Math.min(byteLength, at + RESULT_CHUNK_BYTES)));
      assert.ok(digestSpaceBytes(byteLength) >= 32 * (1 + chunks.length));
      const digests = await digestData(
        memory,
        { byteOffset, byteLength },
        room.byteOffset + 64,
        (task, tiles) => threads.run(task, tiles, controlOf(machine)),
      );
      assert.deepEqual(digests, { sha256: sha256(0, byteLength), chunks });
    }
  });
});

test('threads that are closed while they start take nothing with them', () => {
  const module = (name: string) => new URL(`../../../workers/${name}`, import.meta.url).href;
  const code = `
    const { startThreads } = await import('${module('execute/threads.js')}');
    const { createArena } = await import('${module('memory/arena.js')}');
    const { selectKernel } = await import('${module('kernels/select.js')}');
    const choice = selectKernel('wasm');
    for (let ms = 0; ms < 120; ms += 4) {
      const threads = startThreads(createArena(2 ** 25), choice, 2, error => { throw error; });
      await new Promise(resolve => setTimeout(resolve, ms));
      await threads.close();
    }`;
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', code], {
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
});
