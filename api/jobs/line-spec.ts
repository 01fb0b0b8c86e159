// A job as a line of a batch: without what is the same for all lines or follows from the line's number.

import type { LineSpec } from '../../shared/io/batch-store.ts';
import { isSmallJob } from '../../shared/job/small.ts';
import type { KnownJob } from './known-job.ts';

export function lineSpec({ spec: { id: _, tenant: __, createdAt: ___, ...spec }, plan }: KnownJob): LineSpec {
  return isSmallJob(plan) ? { ...spec, isSmall: true } : spec;
}
