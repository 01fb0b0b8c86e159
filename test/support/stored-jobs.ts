// Jobs as the store holds them, made without a gateway: for tests of what works on the store alone.

import { ulid } from 'ulid';
import type { Outcome } from '../../shared/job/outcome.ts';
import type { JobSpec, ValueSource } from '../../shared/job/spec.ts';

/** A·H of 1×1 matrices, of as many blocks as the stack of directions has members. */
export function jobSpec({
  nowMs = Date.now(),
  members = 1,
  ...rest
}: Partial<JobSpec> & { nowMs?: number; members?: number } = {}): JobSpec {
  const shape = { rows: 1, cols: 1 };
  const source: ValueSource = { inline: Buffer.alloc(8).toString('base64'), dtype: 'float64', order: 'C' };
  const inline = Buffer.alloc(8 * members).toString('base64');
  return {
    version: 1,
    id: ulid(nowMs),
    tenant: 'default',
    operation: 'jvp',
    expression: 'A*W',
    wrt: 'W',
    operands: { A: { shape, source }, W: { shape } },
    direction: { shape, members, source: { ...source, inline } },
    dtype: 'float64',
    reproducible: false,
    seed: 0,
    labels: {},
    priority: 0,
    expiresIn: 3600,
    createdAt: new Date(nowMs).toISOString(),
    // Room for one member in a block.
    blockLimits: { bytes: 8, flops: '2', workingSetBytes: 2 ** 30 },
    ...rest,
  };
}

export function cancelledOutcome(nowMs: number, { expiresIn }: JobSpec): Outcome {
  return {
    version: 1,
    state: 'cancelled',
    finishedAt: new Date(nowMs).toISOString(),
    expiresAt: new Date(nowMs + expiresIn * 1000).toISOString(),
  };
}
