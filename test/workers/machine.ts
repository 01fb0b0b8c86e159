// Real threads over a small arena, for tests of plans and tasks. Memory is poison wherever a test did not write, so
// that reading what nobody computed and writing astray both show.

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { DTYPES, type Dtype, type FloatArray, floatArray } from '../../shared/math/dtype.ts';
import type { Range } from '../../shared/math/graph.ts';
import { createExecution, type Execution } from '../../workers/execute/executor.ts';
import type { ExecutionReport } from '../../workers/execute/run-plan.ts';
import type { GuardedRange } from '../../workers/execute/task.ts';
import { type ComputeThreads, startThreads, type Threads } from '../../workers/execute/threads.ts';
import { selectKernel } from '../../workers/kernels/select.ts';
import { type Arena, createArena, type Slot } from '../../workers/memory/arena.ts';
import { lowerProgram, type Program } from '../../workers/plan/lower.ts';
import type { InputSlab, Plan } from '../../workers/plan/plan.ts';
import { elementAt, type Matrix } from '../support/evaluate.ts';

/** Every byte is this where nothing was written: a NaN in both dtypes. */
const POISON = 0xff;
const GUARD_BYTES = 256;

export interface Machine {
  readonly arena: Arena;
  readonly memory: WebAssembly.Memory;
  readonly threads: ComputeThreads;
  /** What the threads reported as fatal. */
  readonly faults: Error[];
  /** The part of the arena that tests may use. */
  readonly room: Slot;
}

export interface MachineOptions {
  readonly kernel?: 'reference' | 'wasm';
  readonly threads?: number;
  readonly roomBytes?: number;
}

export function startMachine(options: MachineOptions = {}): Machine & { close(): Promise<void> } {
  const { kernel = 'wasm', threads: count = 2, roomBytes = 2 ** 19 } = options;
  const faults: Error[] = [];
  const arena = createArena(roomBytes + count * 4 * 2 ** 20);
  const threads = startThreads(arena, selectKernel(kernel), count, error => void faults.push(error));
  const room = arena.allocate(roomBytes);
  assert.ok(room !== undefined, 'the arena has room beside the threads');
  return { arena, memory: arena.memory, threads, faults, room, close: () => threads.close() };
}

/** Threads that share the tasks of brief plans, too, each by way of `run`: for tests that look at single tasks, or at tiles. */
export function sharing(threads: ComputeThreads, run: Threads['run'] = threads.run): ComputeThreads {
  const { count } = threads;
  const shared: Threads = { count, busyCount: 0, run, close: () => threads.close() };
  return { ...shared, bundled: shared };
}

/** A machine that ends with the test or suite. */
export function machineFor(context: { after: TestContext['after'] }, options?: MachineOptions): Machine {
  const machine = startMachine(options);
  context.after(() => machine.close());
  return machine;
}

/** The members of an input; one for an input that is no stack. */
export type Inputs = Readonly<Record<string, readonly Matrix[]>>;

/** A plan with its memory: slabs filled, all else poison. */
export interface Prepared {
  readonly plan: Plan;
  readonly execution: Execution;
  readonly regionByteOffset: number;
  readonly slabByteOffsets: readonly number[];
  /** The elements of the result. */
  result(): FloatArray;
  /** Asserts that nothing but the region changed. */
  assertContained(): void;
}

export interface PrepareOptions {
  readonly reproducible?: boolean;
  readonly seed?: number;
  readonly rounds?: number;
  /** Of the plan's slabs; nothing is guarded where absent. */
  readonly guards?: (plan: Plan, slabByteOffsets: readonly number[]) => readonly GuardedRange[];
  /** Stands between the plan and the threads. */
  readonly threads?: Threads;
}

export function prepare(
  machine: Machine,
  program: Program,
  inputs: Inputs,
  options: PrepareOptions = {},
): Prepared {
  const plan = lowerProgram(program);
  const { memory, room } = machine;
  const bytes = new Uint8Array(memory.buffer, room.byteOffset, room.byteLength).fill(POISON);
  let next = room.byteOffset;
  const take = (size: number) => {
    const at = next + GUARD_BYTES;
    next = Math.ceil((at + size) / 64) * 64;
    assert.ok(next + GUARD_BYTES <= room.byteOffset + room.byteLength, 'the machine has room for the plan');
    return at;
  };
  const slabByteOffsets = plan.inputs.map(slab => take(slab.elements * DTYPES[plan.dtype].bytes));
  plan.inputs.forEach((slab, index) => {
    fillSlab(memory, plan.dtype, slab, slabByteOffsets[index]!, inputs[slab.name]!);
  });
  const regionByteOffset = take(plan.regionBytes);
  const before = bytes.slice();
  const execution = createExecution(plan, {
    memory,
    threads: options.threads ?? machine.threads,
    regionByteOffset,
    slabByteOffsets,
    guards: options.guards?.(plan, slabByteOffsets) ?? [],
    loadStreamed: async ({ slab, byteOffset, bytes: length }) => {
      bytes.subarray(regionByteOffset - room.byteOffset + byteOffset).fill(POISON, 0, length);
      fillSlab(memory, plan.dtype, slab, regionByteOffset + byteOffset, inputs[slab.name]!);
      return [];
    },
    reproducible: options.reproducible ?? false,
    rounds: options.rounds ?? 1,
    drawSeed: () => options.seed ?? 1,
  });
  return {
    plan,
    execution,
    regionByteOffset,
    slabByteOffsets,
    result: () => {
      const { byteOffset, bytes: length } = plan.result;
      return floatArray(
        plan.dtype,
        memory.buffer,
        regionByteOffset + byteOffset,
        length / DTYPES[plan.dtype].bytes,
      ).slice();
    },
    assertContained() {
      const start = regionByteOffset - room.byteOffset;
      const stop = start + plan.regionBytes;
      assert.ok(
        bytes.subarray(0, start).every((byte, i) => byte === before[i]),
        'nothing before the region changed',
      );
      assert.ok(
        bytes.subarray(stop).every((byte, i) => byte === before[stop + i]),
        'nothing behind the region changed',
      );
    },
  };
}

/** Prepares and runs; answers the result and the report. */
export async function runProgram(
  machine: Machine,
  program: Program,
  inputs: Inputs,
  options?: PrepareOptions,
): Promise<{ values: FloatArray; report: ExecutionReport; plan: Plan }> {
  const prepared = prepare(machine, program, inputs, options);
  const report = await prepared.execution.run();
  prepared.assertContained();
  return { values: prepared.result(), report, plan: prepared.plan };
}

/** Writes the box and members that a slab holds, by its strides. */
function fillSlab(
  memory: WebAssembly.Memory,
  dtype: Dtype,
  slab: InputSlab,
  byteOffset: number,
  members: readonly Matrix[],
): void {
  const data = floatArray(dtype, memory.buffer, byteOffset, slab.elements);
  const [first, last] = slab.members ?? [0, 1];
  for (let s = first; s < last; s++) {
    forEachIn(slab.rows, i =>
      forEachIn(slab.cols, j => {
        const at =
          (s - first) * slab.memberStride +
          (i - slab.rows[0]) * slab.rowStride +
          (j - slab.cols[0]) * slab.colStride;
        data[at] = elementAt(members[s]!, i, j);
      }),
    );
  }
}

function forEachIn([start, stop]: Range, action: (index: number) => void): void {
  for (let index = start; index < stop; index++) action(index);
}
