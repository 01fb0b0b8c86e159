// The result of a check: the numbers its block computed, judged, as JSON. Of a stack the member that does worst speaks.

import { createHash } from 'node:crypto';
import { assert } from '../shared/assert.ts';
import type { JobSpec } from '../shared/job/spec.ts';
import { assessCheck, type CheckGraph, type CheckReport } from '../shared/math/check.ts';
import { floatArray } from '../shared/math/dtype.ts';
import type { Digests } from './execute/digests.ts';

/**
 * @param byteOffset where the values of the outputs lie, of each those of all members
 * @throws value-not-finite
 */
export function createCheckReport(
  spec: JobSpec,
  check: CheckGraph,
  memory: WebAssembly.Memory,
  byteOffset: number,
  members: number,
): { data: Uint8Array; digests: Digests } {
  const count = check.outputs.length;
  const values = [...floatArray(spec.dtype, memory.buffer, byteOffset, members * count)];
  const reports = Array.from({ length: members }, (_, member) =>
    assessCheck(
      check,
      check.outputs.map((_, output) => values[output * members + member]!), // as many were read
      spec.dtype,
    ),
  );
  const data = Buffer.from(JSON.stringify(worst(reports)));
  const sha256 = createHash('sha256').update(data).digest('hex');
  return { data, digests: { sha256, chunks: [sha256] } };
}

function worst(reports: readonly CheckReport[]): CheckReport {
  const [first] = reports;
  assert(first !== undefined, 'a check has at least one member');
  return (
    reports.find(report => !report.passed) ?? reports.reduce((a, b) => (defect(b) > defect(a) ? b : a), first)
  );
}

/** How much of what rounding allows was used up. */
function defect({ adjoint }: CheckReport): number {
  return adjoint.bound === 0 ? 0 : adjoint.relativeDefect / adjoint.bound;
}
