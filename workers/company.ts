// Blocks run side by side, except for those that must run alone: they wait until the worker is empty, and the others
// wait for them. First come, first served, so that neither kind starves.

type Manner = 'together' | 'alone';

interface Waiting {
  readonly manner: Manner;
  readonly enter: () => void;
}

export type Company = ReturnType<typeof createCompany>;

export function createCompany() {
  const waiting: Waiting[] = [];
  let present = 0;
  let isClosed = false;

  function hasRoomFor(manner: Manner): boolean {
    return !isClosed && (manner === 'together' || present === 0);
  }

  function admit(): void {
    for (let [first] = waiting; first !== undefined && hasRoomFor(first.manner); [first] = waiting) {
      waiting.shift();
      present += 1;
      isClosed = first.manner === 'alone';
      first.enter();
    }
  }

  async function arrive(manner: Manner, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const leaveQueue = () => {
        waiting.splice(waiting.indexOf(entry), 1);
        reject(signal.reason);
        admit();
      };
      const entry: Waiting = {
        manner,
        enter: () => {
          signal.removeEventListener('abort', leaveQueue);
          resolve();
        },
      };
      signal.addEventListener('abort', leaveQueue, { once: true });
      waiting.push(entry);
      admit();
    });
  }

  return {
    /** Runs `work` when its manner allows. @throws the signal's reason where it aborts before the work begins */
    async run<T>(manner: Manner, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
      await arrive(manner, signal);
      try {
        return await work();
      } finally {
        present -= 1;
        isClosed = false;
        admit();
      }
    },
  };
}
