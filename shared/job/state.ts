// A job's state is derived, never stored: the outcome if there is one, else what the work-list knows.

import type { JobState, Outcome } from './outcome.ts';

/** @param progress anything that says that a block of the job has begun; undefined where none has. */
export function deriveState(outcome: Outcome | undefined, progress: object | undefined): JobState {
  if (outcome !== undefined) return outcome.state;
  return progress === undefined ? 'queued' : 'running';
}
