// A worker without its process: real threads, a real store in a temporary folder, jobs put there without a gateway.

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { pino } from 'pino';
import { ulid } from 'ulid';
import { ArrayStore } from '../../shared/io/array-store.ts';
import { JobStore } from '../../shared/io/job-store.ts';
import { createMetrics } from '../../shared/io/metrics.ts';
import { openFileStore } from '../../shared/io/store/file-store.ts';
import type { Store } from '../../shared/io/store/store.ts';
import { type JobPlan, planJob } from '../../shared/job/job-plan.ts';
import { type ResolvedValue, resolveSpec } from '../../shared/job/resolve.ts';
import { type BlockLimits, type JobSpec, jobRequest } from '../../shared/job/spec.ts';
import { DTYPES, type Dtype, floatArray } from '../../shared/math/dtype.ts';
import type { Order } from '../../shared/math/view.ts';
import { Cancelled } from '../../workers/execute/run-plan.ts';
import { createCheckedChunks } from '../../workers/load/checked-chunks.ts';
import { createArrayCache } from '../../workers/memory/array-cache.ts';
import type { BlockDeps, BlockWork } from '../../workers/run-block.ts';
import { elementAt, type Matrix } from '../support/evaluate.ts';
import { temporaryFolder } from '../support/temporary.ts';
import { type Machine, type MachineOptions, sharing, startMachine } from './machine.ts';

export const TENANT = 'acme';
/** Where no block limit is to matter. */
export const ROOMY: BlockLimits = { bytes: 2 ** 24, flops: '10000000000', workingSetBytes: 2 ** 24 };

export interface Rig {
  readonly root: string;
  readonly store: Store;
  readonly machine: Machine;
  readonly deps: BlockDeps;
  /** Bytes of the arena that are in use beside what threads hold for ever. */
  usedBytes(): number;
  counter(name: string, labels?: Record<string, string>): Promise<number>;
}

export async function createRig(context: TestContext, options: MachineOptions = {}): Promise<Rig> {
  const root = await temporaryFolder(context);
  const store = await openFileStore(root);
  const machine = startMachine({ roomBytes: 2 ** 24, ...options });
  context.after(() => machine.close());
  // The cache takes the place of the room that tests of plans use.
  machine.arena.free(machine.room);
  const permanentBytes = machine.arena.usedBytes;
  const { registry, metrics } = createMetrics('worker');
  const deps: BlockDeps = {
    jobs: new JobStore(store),
    arrays: new ArrayStore(store),
    memory: machine.memory,
    threads: sharing(machine.threads),
    checkedChunks: createCheckedChunks(),
    cache: createArrayCache(machine.arena, {
      hit: () => metrics.frechet_array_cache_requests_total.inc({ result: 'hit' }),
      miss: () => metrics.frechet_array_cache_requests_total.inc({ result: 'miss' }),
    }),
    metrics,
    log: pino({ enabled: false }),
    kernels: { fastest: 'wasm', reproducible: 'wasm' },
    clock: Date.now,
  };
  return {
    root,
    store,
    machine,
    deps,
    usedBytes: () => machine.arena.usedBytes - permanentBytes,
    async counter(name, labels = {}) {
      const metric = await registry.getSingleMetric(name)!.get();
      const isWanted = (own: object) =>
        Object.entries(labels).every(([key, value]) => Reflect.get(own, key) === value);
      return metric.values.filter(value => isWanted(value.labels)).reduce((sum, { value }) => sum + value, 0);
    },
  };
}

/** The elements of a stack of matrices in the order of a file. */
export function encodeMatrices(members: readonly Matrix[], dtype: Dtype, order: Order): Uint8Array {
  const [{ rows, cols } = { rows: 0, cols: 0 }] = members;
  const count = members.length;
  const data = floatArray(
    dtype,
    new ArrayBuffer(count * rows * cols * DTYPES[dtype].bytes),
    0,
    count * rows * cols,
  );
  members.forEach((one, s) => {
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < cols; j++)
        data[order === 'C' ? (s * rows + i) * cols + j : s + count * (i + rows * j)] = elementAt(one, i, j);
  });
  return new Uint8Array(data.buffer);
}

/** Uploads a matrix, or a stack of them. */
export async function upload(
  { deps }: Pick<Rig, 'deps'>,
  value: Matrix | readonly Matrix[],
  { dtype = 'float64', order = 'C' }: { dtype?: Dtype; order?: Order } = {},
): Promise<ResolvedValue> {
  const members = 'rows' in value ? [value] : value;
  const { rows, cols } = members[0]!;
  const shape = 'rows' in value ? [rows, cols] : [members.length, rows, cols];
  const bytes = encodeMatrices(members, dtype, order);
  async function* stream() {
    yield bytes;
  }
  const staged = await deps.arrays.stage(TENANT, { shape, dtype, order }, stream());
  const { array } = await staged.commit();
  return { dims: shape, source: { array: array.id, dtype, order } };
}

export interface JobOptions {
  readonly operation: string;
  readonly expression?: string;
  readonly operands: Readonly<Record<string, ResolvedValue>>;
  readonly direction?: ResolvedValue;
  readonly cotangent?: ResolvedValue;
  readonly fields?: Readonly<Record<string, unknown>>;
  readonly blockLimits?: BlockLimits;
}

/** Stores the spec of a job. */
export async function putJob({ deps }: Rig, options: JobOptions): Promise<{ spec: JobSpec; plan: JobPlan }> {
  const { operands, direction, cotangent, fields, blockLimits = ROOMY, ...rest } = options;
  const id = 'a'.repeat(64);
  const request = jobRequest.parse({
    ...rest,
    operands: Object.fromEntries(Object.keys(operands).map(name => [name, id])),
    ...(direction && { direction: id }),
    ...(cotangent && { cotangent: id }),
    ...fields,
  });
  const spec = resolveSpec(
    request,
    {
      operands: new Map(Object.entries(operands)),
      ...(direction && { direction }),
      ...(cotangent && { cotangent }),
    },
    { id: ulid(), tenant: TENANT, createdAt: new Date().toISOString() },
    blockLimits,
  );
  await deps.jobs.createSpec(spec);
  return { spec, plan: planJob(spec) };
}

/** The work of one block; `cancel` ends it as a worker would. */
export function workOf(
  { spec, plan }: { spec: JobSpec; plan: JobPlan },
  index: number,
  onExecution: BlockWork['onExecution'] = () => {},
): BlockWork & { cancel(): void } {
  const controller = new AbortController();
  const cancel = () => controller.abort(new Cancelled('not wanted'));
  return { spec, plan, index, signal: controller.signal, onExecution, cancel };
}

/** The stored elements of all blocks, in order, each checked against its digests on the way. */
export async function readResult(
  { deps }: Rig,
  { spec, plan }: { spec: JobSpec; plan: JobPlan },
): Promise<number[]> {
  const values: number[] = [];
  for (let index = 0; index < plan.blocksTotal; index++) {
    const block = await deps.jobs.openBlock(TENANT, spec.id, index);
    if (block === undefined) throw new Error(`block ${index} is missing`);
    const pieces: Uint8Array[] = [];
    for await (const piece of block.readVerified(0, block.footer.bytes)) pieces.push(piece);
    await block.close();
    const bytes = Buffer.concat(pieces);
    const size = DTYPES[spec.dtype].bytes;
    for (let at = 0; at < bytes.length; at += size)
      values.push(size === 8 ? bytes.readDoubleLE(at) : bytes.readFloatLE(at));
  }
  return values;
}

/** The file of an object, by its name. */
export async function fileOf({ root }: Rig, name: string): Promise<string> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const file = entries.find(entry => entry.isFile() && entry.name === name);
  if (file === undefined) throw new Error(`the store has a file ${name}`);
  return join(file.parentPath, file.name);
}
