// Ids of jobs and batches. Those of one process ascend even within a millisecond, so that newest first is the order of
// submission.

import { monotonicFactory } from 'ulid';

/** @param nowMs milliseconds since the epoch */
export const nextId: (nowMs: number) => string = monotonicFactory();
