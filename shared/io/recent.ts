// What changes slowly and is asked often is asked once in a while.

/** Old enough to spare nearly all of the asking under load, young enough that nobody notices. */
export const RECENT_MS = 1_000;

/**
 * `ask`, whose answers serve for RECENT_MS. Who comes while one is being found waits for it; failures, and answers that
 * are not to be kept, serve nobody else.
 */
export function recently<T>(
  ask: () => Promise<T>,
  isKept: (answer: T) => boolean = () => true,
  clock: () => number = () => performance.now(),
): () => Promise<T> {
  let known: { readonly answer: Promise<T>; readonly atMs: number } | undefined;
  return () => {
    if (known !== undefined && clock() - known.atMs < RECENT_MS) return known.answer;
    const asked = { answer: ask(), atMs: clock() };
    known = asked;
    const forget = () => {
      if (known === asked) known = undefined;
    };
    asked.answer.then(answer => isKept(answer) || forget(), forget);
    return asked.answer;
  };
}
