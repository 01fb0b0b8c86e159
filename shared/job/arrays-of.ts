// Which arrays of the store a job reads.

import type { JobSpec } from './spec.ts';

/** Ids of the arrays a job reads. */
export function arraysOf({
  operands,
  direction,
  cotangent,
}: Pick<JobSpec, 'operands' | 'direction' | 'cotangent'>): Set<string> {
  const matrices = [...Object.values(operands), direction, cotangent];
  const sources = matrices.flatMap(matrix => matrix?.source ?? []);
  return new Set(sources.flatMap(source => ('array' in source ? source.array : [])));
}
