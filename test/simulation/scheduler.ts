// One thread of control at a time, chosen by the seed: everything the simulated processes wait for is a step, and the
// scheduler decides whose step comes next, how late it is by then, and who dies instead.

import type { Random } from '../support/random.ts';

/** One life of a process. Once it is over, nothing of it goes on: it stays where it waited, for ever. */
export interface Life {
  readonly name: string;
  isOver: boolean;
}

interface Waiting {
  readonly life: Life;
  readonly resume: () => void;
}

export function createScheduler(random: Random, startMs: number) {
  let nowMs = startMs;
  let ready: Waiting[] = [];
  let sleeping: (Waiting & { readonly atMs: number })[] = [];

  function wakeSleepers(): void {
    const due = sleeping.filter(({ atMs }) => atMs <= nowMs);
    if (due.length === 0) return;
    sleeping = sleeping.filter(({ atMs }) => atMs > nowMs);
    ready.push(...due);
  }

  /** Node begins a tick when no promise is left to go on: by then whatever was resumed waits for its next step. */
  function settle(): Promise<void> {
    return new Promise(resolve => process.nextTick(resolve));
  }

  return {
    now: () => nowMs,

    advance(ms: number): void {
      nowMs += ms;
    },

    /** Resolves when it is this life's turn. */
    step(life: Life): Promise<void> {
      return new Promise(resume => void ready.push({ life, resume }));
    },

    sleep(life: Life, ms: number): Promise<void> {
      return new Promise(resume => void sleeping.push({ life, resume, atMs: nowMs + ms }));
    },

    /** Lets one step happen; where none is due, time passes until one is. */
    async turn(): Promise<void> {
      ready = ready.filter(({ life }) => !life.isOver);
      sleeping = sleeping.filter(({ life }) => !life.isOver);
      wakeSleepers();
      if (ready.length === 0 && sleeping.length > 0) {
        nowMs = Math.min(...sleeping.map(({ atMs }) => atMs));
        wakeSleepers();
      }
      const [next] = ready.splice(random.below(ready.length), 1);
      next?.resume();
      await settle();
    },
  };
}
