// Admission decides from shapes alone what a block needs; the plan is what it really takes. A job that was admitted
// must fit, or it would wait for memory for ever.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { errorCode } from '../../../shared/errors.ts';
import { blockOutputs } from '../../../shared/job/derivation.ts';
import { type JobPlan, planJob } from '../../../shared/job/job-plan.ts';
import type { ResolvedValue } from '../../../shared/job/resolve.ts';
import type { JobSpec } from '../../../shared/job/spec.ts';
import { DTYPES, type Dtype } from '../../../shared/math/dtype.ts';
import { parseExpression } from '../../../shared/math/parse.ts';
import { slotBytes } from '../../../workers/memory/arena.ts';
import { lowerProgram } from '../../../workers/plan/lower.ts';
import { array, shapeOnly, specOf, type Wanted } from '../../shared/job/requests.ts';

/** Alignment, tile counters and digests: what does not grow with the matrices. */
const SMALL_BYTES = 16 * 1024;

const dtypes = fc.constantFrom<Dtype>('float64', 'float32');

const wanted = fc
  .record({
    expression: fc.constantFrom(
      'A*W',
      "W'",
      "(W*W')*A'",
      "A+A'*2-W*W'",
      "W*(W'*A)*W",
      "A*W*W'*A",
      "W'*A*W",
      '3*W-A*W+(A*A)*W',
    ),
    operation: fc.constantFrom('value', 'jvp', 'vjp', 'jacobian'),
    n: fc.integer({ min: 1, max: 200 }),
    p: fc.integer({ min: 1, max: 200 }),
    members: fc.constantFrom(undefined, 1, 3, 500),
    dtype: dtypes,
    stored: dtypes,
    blockBytes: fc.constantFrom(1000, 100_000, 2 ** 26),
    errorBound: fc.constantFrom('normwise', 'componentwise'),
  })
  .map(({ errorBound, ...shapes }): Wanted & { stored: Dtype } => {
    const { expression, operation, n, p, members, dtype, stored, blockBytes } = shapes;
    const usesA = parseExpression(expression).names.includes('A');
    const value = resultShape(expression, n, p);
    const stack = members === undefined ? [] : [members];
    const operands: Record<string, ResolvedValue> = { W: array([n, p], stored) };
    if (usesA) operands.A = array([n, n], stored);
    return {
      operation,
      expression,
      operands,
      ...(operation === 'jvp' && { direction: array([...stack, n, p], stored) }),
      ...(operation === 'vjp' && { cotangent: array([...stack, ...value], stored) }),
      dtype,
      stored,
      fields: { errorBound },
      blockLimits: { bytes: blockBytes, flops: '1000000000', workingSetBytes: 2 ** 40 },
    };
  });

function plannedOrRefused(spec: JobSpec): JobPlan | undefined {
  try {
    return planJob(spec);
  } catch (error) {
    if (errorCode(error) === 'job-too-large') return undefined;
    throw error;
  }
}

function resultShape(expression: string, n: number, p: number): [number, number] {
  const operands = { W: array([n, p]), ...(expression.includes('A') && { A: array([n, n]) }) };
  const plan = planJob(
    specOf({
      operation: 'jacobian',
      expression,
      operands,
      columns: [0, 0],
    }),
  );
  return [...plan.shapes.F!] as [number, number];
}

/** Plans the first, middle and last block of a job. */
function assertHeld(spec: JobSpec, job: JobPlan, stored: Dtype): void {
  const { derivation, slabLength } = job;
  for (const index of new Set([0, Math.floor(job.blocksTotal / 2), job.blocksTotal - 1])) {
    const range = job.block(index);
    const plan = lowerProgram({
      outputs: blockOutputs(derivation, range),
      order: derivation.order,
      dtype: spec.dtype,
      members: range.members ?? [0, derivation.members ?? 1],
      inputs: new Map(
        derivation.inputs.map(input => {
          const stacked = derivation.members !== undefined && input.members !== undefined;
          return [input.name, { order: 'C', dtype: stored, stacked }];
        }),
      ),
      slabLength,
      chunkBytes: 2 ** 22,
    });
    const width = Math.max(DTYPES[spec.dtype].bytes, DTYPES[stored].bytes);
    const slabs = plan.inputs.reduce((sum, { elements }) => sum + slotBytes(elements * width), 0);
    const needed = slotBytes(plan.regionBytes) + slabs;
    assert.ok(needed <= job.peakBytes + SMALL_BYTES, `${needed} of ${job.peakBytes} bytes`);
  }
}

describe('the working set that admission counts', () => {
  test('holds the region and all slabs of every block', () => {
    fc.assert(
      fc.property(wanted, ({ stored, ...request }) => {
        const spec = specOf(request);
        assertHeld(spec, planJob(spec), stored);
      }),
      { numRuns: 400 },
    );
  });

  test('holds what is streamed, which is more than a worker has memory for', () => {
    let streamed = 0;
    fc.assert(
      fc.property(
        wanted,
        fc.integer({ min: 300, max: 1500 }),
        fc.constantFrom(1, 2, 5, 20, 100),
        ({ stored, blockLimits: _, operands: given, ...request }, n, share) => {
          const operands = Object.fromEntries(Object.keys(given!).map(name => [name, array([n, n], stored)]));
          const direction = request.direction && { direction: array([n, n], stored) };
          const cotangent = request.cotangent && { cotangent: array([n, n], stored) };
          const wholeBytes = 3 * n * n * 8;
          const blockLimits = {
            bytes: 2 ** 20,
            flops: '1000000000',
            workingSetBytes: Math.ceil(wholeBytes / share),
          };
          const spec = specOf({ ...request, operands, ...direction, ...cotangent, blockLimits });
          const job = plannedOrRefused(spec);
          fc.pre(job !== undefined);
          assert.ok(job.peakBytes <= blockLimits.workingSetBytes);
          assertHeld(spec, job, stored);
          if (job.slabLength !== undefined) streamed += 1;
        },
      ),
      { numRuns: 200 },
    );
    assert.ok(streamed > 20, `${streamed} jobs were streamed`);
  });

  test('holds for a shape-only variable, too', () => {
    const spec = specOf({ operation: 'jacobian', operands: { A: array([50, 50]), W: shapeOnly(50, 50) } });
    assert.ok(planJob(spec).peakBytes >= 50 * 50 * 8);
  });
});
