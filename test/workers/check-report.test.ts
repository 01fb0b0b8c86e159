import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';
import { deriveJob } from '../../shared/job/derivation.ts';
import { createCheckReport } from '../../workers/check-report.ts';
import { array, specOf } from '../shared/job/requests.ts';

const spec = specOf({ operation: 'check', operands: { A: array([3, 4]), W: array([4, 2]) } });
const { check } = deriveJob(spec);
assert.ok(check !== undefined);

/** The numbers of a check that holds exactly: no remainder, 6 on both sides, all norms 1. */
const CLEAN = [0, 0, 0, 0, 0, 0, 6, 6, ...check.inputs.map(() => 1)];

function report(members: readonly (readonly number[])[]) {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  // Each number for all members, then the next.
  new Float64Array(memory.buffer, 64).set(
    CLEAN.flatMap((_, output) => members.map(member => member[output]!)),
  );
  assert.ok(check !== undefined);
  const { data, digests } = createCheckReport(spec, check, memory, 64, members.length);
  const sha256 = createHash('sha256').update(data).digest('hex');
  assert.deepEqual(digests, { sha256, chunks: [sha256] });
  return JSON.parse(Buffer.from(data).toString());
}

/** The same with another ⟨dF(H), G⟩. */
function withForward(value: number): number[] {
  return CLEAN.with(6, value);
}

describe('the report of a check', () => {
  test('says that the definition holds', () => {
    const { passed, linear, adjoint } = report([CLEAN]);
    assert.deepEqual(
      [passed, linear, adjoint.forward, adjoint.reverse, adjoint.relativeDefect],
      [true, true, 6, 6, 0],
    );
  });

  test('of a stack is that of the member that fails', () => {
    const { passed, adjoint } = report([CLEAN, CLEAN, withForward(7), CLEAN]);
    assert.deepEqual([passed, adjoint.forward], [false, 7]);
  });

  test('of a stack where all pass is that of the one that comes closest to failing', () => {
    const { passed, adjoint } = report([CLEAN, withForward(6 + 2 ** -50), CLEAN]);
    assert.deepEqual([passed, adjoint.forward], [true, 6 + 2 ** -50]);
  });

  test('is refused where a number is not finite', () => {
    assert.throws(() => report([withForward(Number.NaN)]), { code: 'value-not-finite' });
  });
});
