// The second story: a product of some size, uploaded as `.npy` files, followed while it runs, and checked in places
// against dot products worked out here.

import type { Check, DemoClient, Job } from './client.ts';
import type { Terminal } from './terminal.ts';

const ROWS = 2048;
const INNER = 2048;
const COLUMNS = 512;
const DIRECTIONS = 16;
const CHECK_COLUMNS = 16;
const BYTES_PER_ELEMENT = 8;

/** Rows of the result that are fetched and compared: [direction, row]. */
const SAMPLES = [
  [0, 0],
  [1, 777],
  [15, 2047],
] as const;

/** @throws where an entry is further off than rounding explains, or the check does not pass */
export async function runLarge(client: DemoClient, terminal: Terminal): Promise<void> {
  terminal.title(`A of ${ROWS}×${INNER}, and ${DIRECTIONS} directions of ${INNER}×${COLUMNS} at once`);
  const random = createRandom(20);
  const a = fill(ROWS * INNER, random);
  const h = fill(DIRECTIONS * INNER * COLUMNS, random);
  const aId = await client.upload(encodeNpy([ROWS, INNER], a));
  const hId = await client.upload(encodeNpy([DIRECTIONS, INNER, COLUMNS], h));
  terminal.line(`uploaded A (${megabytes(a)}) as ${aId.slice(0, 12)}…`);
  terminal.line(`uploaded H (${megabytes(h)}) as ${hId.slice(0, 12)}…`);

  const job = await multiply(client, terminal, aId, hId);
  await compareSamples(client, terminal, job, a, h);
  await checkDefinition(client, terminal, aId, random);
}

async function multiply(client: DemoClient, terminal: Terminal, aId: string, hId: string): Promise<Job> {
  const submitted = await client.submit({ operation: 'jvp', operands: { A: aId }, direction: hId });
  const job = await client.follow(submitted, ({ blocksDone, blocksTotal }) =>
    terminal.progress(`block ${blocksDone} of ${blocksTotal}`),
  );
  const seconds = job.timings?.computeSeconds ?? 0;
  const flops = Number(job.progress.flopsTotal);
  terminal.line(
    `${(flops / 1e9).toFixed(1)} GFLOP in ${count(job.progress.blocksTotal, 'block')}, kernel ${job.kernel}`,
  );
  terminal.line(`computed in ${seconds.toFixed(2)} s: ${(flops / 1e9 / seconds).toFixed(1)} GFLOP/s`);
  return job;
}

/** Fetches three rows of the result by their place in the file and compares each entry with its dot product. */
async function compareSamples(
  client: DemoClient,
  terminal: Terminal,
  job: Job,
  a: Float64Array,
  h: Float64Array,
): Promise<void> {
  const dataBytes = DIRECTIONS * ROWS * COLUMNS * BYTES_PER_ELEMENT;
  const headerBytes = (job.result?.bytes ?? 0) - dataBytes;
  let worst = 0;
  for (const [direction, row] of SAMPLES) {
    const start = headerBytes + (direction * ROWS + row) * COLUMNS * BYTES_PER_ELEMENT;
    const bytes = await client.readRange(job, start, start + COLUMNS * BYTES_PER_ELEMENT);
    new Float64Array(bytes).forEach((value, column) => {
      worst = Math.max(worst, errorInRoundings(value, a, h, direction, row, column));
    });
  }
  // n additions and multiplications in any order are off by at most n roundings of Σ|a||h|, here and there.
  if (!(worst <= 2 * INNER)) throw new Error(`an entry is ${worst} roundings from its dot product`);
  const entries = SAMPLES.length * COLUMNS;
  terminal.line(
    terminal.good(`${entries} entries, fetched as byte ranges, agree with their dot products`) +
      ` (worst ${worst.toFixed(2)} roundings)`,
  );
}

/** |value − Σ a·h| in units of ε·Σ|a·h|. */
function errorInRoundings(
  value: number,
  a: Float64Array,
  h: Float64Array,
  direction: number,
  row: number,
  column: number,
): number {
  let sum = 0;
  let magnitude = 0;
  for (let k = 0; k < INNER; k++) {
    const term = (a[row * INNER + k] ?? 0) * (h[(direction * INNER + k) * COLUMNS + column] ?? 0);
    sum += term;
    magnitude += Math.abs(term);
  }
  return Math.abs(value - sum) / (Number.EPSILON * magnitude);
}

async function checkDefinition(
  client: DemoClient,
  terminal: Terminal,
  aId: string,
  random: () => number,
): Promise<void> {
  const shape = [INNER, CHECK_COLUMNS];
  const wId = await client.upload(encodeNpy(shape, fill(INNER * CHECK_COLUMNS, random)));
  const { result } = await client.compute<Check>({ operation: 'check', operands: { A: aId, W: wId } });
  const { taylor, adjoint } = result;
  terminal.title('The definition, checked: F(W+tH) − F(W) − t·dF(H) = o(t‖H‖)');
  taylor.steps.forEach((step, index) => {
    const remainder = taylor.remainders[index] ?? Number.NaN;
    terminal.line(`t = ${step.toExponential(2)}   remainder ${remainder.toExponential(2)}`);
  });
  terminal.line(`bound for a linear F: ${taylor.bound.toExponential(2)} (rounding alone)`);
  terminal.line(`⟨dF(H), G⟩ = ${adjoint.forward}`);
  terminal.line(`⟨H, dF*(G)⟩ = ${adjoint.reverse}`);
  if (!result.passed) throw new Error(`the check did not pass: ${JSON.stringify(result)}`);
  terminal.line(terminal.good('passed'));
}

/** Park and Miller's generator: the same numbers in every run. Uniform in [−½, ½). */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647 - 0.5;
  };
}

function fill(length: number, random: () => number): Float64Array {
  return Float64Array.from({ length }, random);
}

/** A NumPy 1.0 file: magic, header padded to a multiple of 64 bytes, the data in C order. */
function encodeNpy(shape: readonly number[], data: Float64Array): Uint8Array<ArrayBuffer> {
  const description = `{'descr': '<f8', 'fortran_order': False, 'shape': (${shape.join(', ')}), }`;
  const headerBytes = Math.ceil((10 + description.length + 1) / 64) * 64;
  const file = new Uint8Array(headerBytes + data.byteLength);
  file.set(Buffer.from('\u0093NUMPY\u0001\u0000', 'latin1'));
  new DataView(file.buffer).setUint16(8, headerBytes - 10, true);
  file.set(Buffer.from(`${description.padEnd(headerBytes - 11)}\n`), 10);
  file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), headerBytes);
  return file;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

function megabytes(data: Float64Array): string {
  return `${(data.byteLength / 1e6).toFixed(1)} MB`;
}
