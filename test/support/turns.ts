// How long a piece of work holds up everything else in its process.

/** Does the work, and tells the longest time in which nothing else had a turn meanwhile, beside that of all of it. */
export async function longestTurn(
  work: () => Promise<unknown>,
): Promise<{ readonly longestMs: number; readonly totalMs: number }> {
  const startedAt = performance.now();
  let [longestMs, lastAt, isOver] = [0, startedAt, false];
  const look = () => {
    const now = performance.now();
    longestMs = Math.max(longestMs, now - lastAt);
    lastAt = now;
    if (!isOver) setImmediate(look);
  };
  setImmediate(look);
  await work();
  look();
  isOver = true;
  return { longestMs, totalMs: performance.now() - startedAt };
}
