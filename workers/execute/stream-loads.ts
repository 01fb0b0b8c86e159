// Slabs that are streamed: each step's are loaded while the step before is computed, into the slot it does not read.

import type { StreamedSlab } from '../plan/plan.ts';
import type { GuardedRange } from './task.ts';

export type LoadStreamed = (slab: StreamedSlab) => Promise<readonly GuardedRange[]>;

/** @param load fills a slab, and answers what must not change in it */
export function createStreamLoads(streamed: readonly StreamedSlab[], load: LoadStreamed) {
  const steps = [...new Set(streamed.map(({ step }) => step))];
  const begun: Promise<readonly GuardedRange[]>[] = [];

  function begin(position: number): void {
    const step = steps[position];
    if (step === undefined || position < begun.length) return;
    const slabs = streamed.filter(slab => slab.step === step);
    const loads = loadAll(slabs, load);
    // Whoever waits for it hears of it.
    loads.catch(() => undefined);
    begun.push(loads);
  }

  return {
    /** Resolves when the slabs of a step are there; from then on those of the next are being loaded. @throws what loading does */
    async ready(step: number): Promise<readonly GuardedRange[]> {
      const position = steps.indexOf(step);
      if (position === -1) return [];
      begin(position);
      const guards = await begun[position]!; // it has just begun, or before
      begin(position + 1);
      return guards;
    },

    /** Resolves when nothing is being loaded any more. */
    async settle(): Promise<void> {
      await Promise.allSettled(begun);
    },
  };
}

/** All of them have ended when this does, also where one has failed. */
async function loadAll(slabs: readonly StreamedSlab[], load: LoadStreamed): Promise<GuardedRange[]> {
  const loads = slabs.map(load);
  await Promise.allSettled(loads);
  return (await Promise.all(loads)).flat();
}
