// A worker is judged by what it takes, not by whether Redis answers it: consumers are known to stop consuming after an
// outage while every ping looks healthy. One that has nothing to do, sees work waiting and takes none of it is lost.

const LOOK_MS = 5_000;
/** An idle consumer asks for work every few seconds, so a healthy one has had a dozen chances by then. */
const STARVED_LOOKS = 12;

export interface VigilDeps {
  /** Entries taken so far. */
  readonly taken: () => number;
  /** Whether an entry is being worked at. */
  readonly isBusy: () => boolean;
  /** Entries that could be taken. */
  readonly waiting: () => Promise<number>;
  readonly onStarved: () => void;
}

/** Looks every `lookMs`, and counts looks instead of time: a process that was stopped has not starved meanwhile. */
export function startVigil(deps: VigilDeps, lookMs: number = LOOK_MS): { stop(): void } {
  let starvedLooks = 0;
  let takenBefore = deps.taken();

  async function look(): Promise<void> {
    const taken = deps.taken();
    // Without Redis there is nothing that could be taken.
    const waiting = await deps.waiting().catch(() => 0);
    const isStarved = waiting > 0 && taken === takenBefore && taken === deps.taken() && !deps.isBusy();
    starvedLooks = isStarved ? starvedLooks + 1 : 0;
    takenBefore = taken;
    if (starvedLooks === STARVED_LOOKS) deps.onStarved();
  }

  const timer = setInterval(look, lookMs).unref();
  return { stop: () => clearInterval(timer) };
}
