// What design.md promises, watched at every single effect on the store, and looked at once more at the end.

import { assert } from '../../shared/assert.ts';
import { batchIdOf, batchKey, lineIndexOf, sliceOfLine } from '../../shared/io/batch-ids.ts';
import { jobKey } from '../../shared/io/job-store.ts';
import type { SliceFooter } from '../../shared/io/slice-store.ts';
import type { Outcome } from '../../shared/job/outcome.ts';
import type { Objects } from './memory-store.ts';

/** The bytes that a block of a job has, whoever computes it and however often. */
export function blockData(jobId: string, index: number): Buffer {
  return Buffer.from(`${jobId} ${index}`);
}

export function createPromises(objects: () => Objects, now: () => number) {
  const accepted = new Set<string>();
  const told = new Map<string, 'cancelled' | 'finished'>();
  const outcomes = new Map<string, Outcome>();

  /** The accepted jobs whose objects lie under the key. */
  const jobIdsOf = (key: string): string[] => {
    const [, kind, id] = /\/(jobs|batches)\/\w+\/(\w+)\//.exec(key) ?? [];
    return [...accepted].filter(jobId => (kind === 'jobs' ? jobId : batchIdOf(jobId)) === id);
  };
  const expiresMs = (jobId: string) => Date.parse(outcomes.get(jobId)?.expiresAt ?? '');
  const readOutcome = (jobId: string): Outcome | undefined => {
    const known = outcomes.get(jobId);
    if (known !== undefined) return known;
    const bytes = objects().map.get(`${jobKey('default', jobId)}/outcome`);
    const own = bytes && (JSON.parse(Buffer.from(bytes).toString()) as Outcome);
    const sliced = slicedOf(objects(), jobId)?.outcome;
    assert(own === undefined || sliced === undefined, `${jobId} has ended twice`);
    const outcome = own ?? sliced;
    // It is never replaced: that is watched below.
    if (outcome !== undefined) outcomes.set(jobId, outcome);
    return outcome;
  };

  return {
    accepted,

    /** A client has been told that the job is accepted. */
    accept(jobId: string): void {
      accepted.add(jobId);
      const keys = [`${jobKey('default', jobId)}/spec`, `${batchKey('default', batchIdOf(jobId))}/lines`];
      assert(
        keys.some(key => objects().map.has(key)),
        `${jobId} was accepted and is not stored`,
      );
    },

    /** A client has been told how the job ended. */
    tell(jobId: string, how: 'cancelled' | 'finished'): void {
      const before = told.get(jobId);
      assert(before === undefined || before === how, `${jobId}: ${before}, then ${how}`);
      told.set(jobId, how);
    },

    onEffect(effect: 'put' | 'delete', key: string, isReplaced: boolean): void {
      if (!key.startsWith('tenants/')) return;
      // A life that could not remove its marker over a block finds it there at its next attempt.
      if (key.includes('/attempts/')) return;
      assert(!isReplaced, `${key} was replaced`);
      if (effect === 'put') return;
      // Nothing of an accepted job goes before its time.
      for (const jobId of jobIdsOf(key)) {
        assert(readOutcome(jobId) !== undefined, `${key} was removed from an unfinished job`);
        assert(expiresMs(jobId) <= now(), `${key} was removed before its time`);
      }
    },

    /** All that was accepted has ended, once, as was told, with the right bytes; nobody looks after it any more. */
    isKept(): boolean {
      for (const jobId of accepted) {
        const outcome = readOutcome(jobId);
        if (outcome === undefined) return false;
        checkOutcome(objects(), jobId, outcome, told.get(jobId), expiresMs(jobId) > now());
      }
      return objects().below('open').length === 0;
    },

    unfinished: (): string[] => [...accepted].filter(jobId => readOutcome(jobId) === undefined),
  };
}

function checkOutcome(
  objects: Objects,
  jobId: string,
  outcome: Outcome,
  told: 'cancelled' | 'finished' | undefined,
  isKept: boolean,
): void {
  assert(
    told !== 'cancelled' || outcome.state === 'cancelled',
    `${jobId} was cancelled and ${outcome.state}`,
  );
  assert(told !== 'finished' || outcome.state !== 'cancelled', `${jobId} had finished and is cancelled`);
  // Only chance that kills the same block's worker again and again makes a job fail here.
  if (outcome.state === 'failed')
    assert(outcome.problem.code === 'block-poisoned', `${jobId} failed with ${outcome.problem.code}`);
  if (outcome.state !== 'succeeded' || !isKept) return;
  const sliced = slicedOf(objects, jobId);
  if (sliced !== undefined) {
    assert(
      blockData(jobId, 0).equals(sliced.data.subarray(0, blockData(jobId, 0).length)),
      `${jobId} has a wrong result in its slice`,
    );
    return;
  }
  for (const index of outcome.manifest.blocks.keys()) {
    const bytes = objects.map.get(`${jobKey('default', jobId)}/blocks/${index}`);
    const data = blockData(jobId, index);
    assert(
      bytes !== undefined && data.equals(bytes.subarray(0, data.byteLength)),
      `${jobId} has a wrong block ${index}`,
    );
  }
}

/** How a job ended with its slice, and its result. */
function slicedOf(objects: Objects, jobId: string): { outcome: Outcome; data: Uint8Array } | undefined {
  const line = lineIndexOf(jobId);
  const object = objects.map.get(`${batchKey('default', batchIdOf(jobId))}/slice-${sliceOfLine(line)}`);
  if (object === undefined) return undefined;
  const bytes = Buffer.from(object);
  const footerBytes = Number(bytes.readBigUInt64LE(bytes.length - 16));
  const footerAt = bytes.length - 48 - footerBytes;
  const footer = JSON.parse(bytes.toString('utf8', footerAt, footerAt + footerBytes)) as SliceFooter;
  const ended = footer.ended.find(one => one.line === line);
  return ended && { outcome: ended.outcome, data: bytes.subarray(ended.start, footerAt) };
}
