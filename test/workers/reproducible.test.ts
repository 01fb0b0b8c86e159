// The promise of `reproducible: true`: the bytes of a result follow from the job alone. Problems are computed on one to
// four threads, in one block and in many, from arrays in either order, in memory and streamed; and their digests were recorded once, so that
// every machine that runs this test must come to the same.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { planJob } from '../../shared/job/job-plan.ts';
import type { BlockLimits } from '../../shared/job/spec.ts';
import { startMachine } from './machine.ts';
import { digestOf, type Problem, problemOf, ROOMY } from './reproducible.ts';
import { RECORDED_DIGESTS } from './reproducible-digests.ts';

const ROOM_BYTES = 1.5 * 2 ** 20;
const PROBLEMS = 200;

const machines = [1, 2, 3, 4].map(threads => startMachine({ threads, roomBytes: ROOM_BYTES }));
/** Every number of threads meets every one of these with every one of those, over any 16 problems in a row. */
const PARTS = [1, 2, 3, 5] as const;
const ORDERS = [['C'], ['F'], ['C', 'F'], ['F', 'C']] as const;
/** The panels of the summation are 256 long, and a slab is whole ones. */
const SLAB_LENGTHS = [undefined, 256, undefined, 512] as const;
const slow = startMachine({ kernel: 'reference', threads: 2, roomBytes: ROOM_BYTES });
after(() => Promise.all([...machines, slow].map(machine => machine.close())));

/** As if a worker had memory for a part of the result at a time. */
function budgetOf({ spec }: Problem, parts: number): BlockLimits {
  const { dataBytes } = planJob({ ...spec, blockLimits: ROOMY }).result;
  return { ...ROOMY, bytes: Math.ceil((dataBytes ?? 0) / parts) };
}

test(`${PROBLEMS} problems have one digest each, on any threads, under any budget, from any order`, async () => {
  let cut = 0;
  for (let number = 1; number <= PROBLEMS; number++) {
    const problem = problemOf(number);
    const results = [];
    for (const [index, machine] of machines.entries()) {
      const parts = PARTS[(number + index) % PARTS.length]!;
      const orders = ORDERS[(Math.floor(number / PARTS.length) + index) % ORDERS.length]!;
      const slabLength = SLAB_LENGTHS[index];
      const blockLimits = budgetOf(problem, parts);
      results.push(await digestOf(problem, { machine, blockLimits, orders, slabLength }));
    }
    const digests = new Set(results.map(({ digest }) => digest));
    assert.equal(digests.size, 1, problem.label);
    if (results.some(({ blocks }) => blocks > 1)) cut += 1;
    const recorded = RECORDED_DIGESTS[number - 1];
    if (recorded !== undefined) assert.equal(results[0]!.digest, recorded, `recorded: ${problem.label}`);
  }
  assert.ok(cut > PROBLEMS / 2, 'most problems were computed in several blocks');
});

test('a worker without WebAssembly SIMD comes to the recorded digests as well', async () => {
  for (const [index, recorded] of RECORDED_DIGESTS.slice(0, 20).entries()) {
    const problem = problemOf(index + 1);
    const { digest } = await digestOf(problem, { machine: slow, blockLimits: ROOMY, orders: ['C'] });
    assert.equal(digest, recorded, problem.label);
  }
});

test('recorded digests differ from problem to problem', () => {
  assert.equal(RECORDED_DIGESTS.length, 50);
  assert.ok(new Set(RECORDED_DIGESTS).size > 40);
});
