// A few things at a time.

/**
 * Does `act` for all items, `count` of them at a time, in their order. After a failure no other begins; when this ends
 * none is running. @throws the first failure
 */
export async function eachInFlight<T>(
  items: Iterable<T>,
  count: number,
  act: (item: T) => Promise<void>,
): Promise<void> {
  const iterator = items[Symbol.iterator]();
  let hasFailed = false;
  const lane = async () => {
    while (!hasFailed) {
      const next = iterator.next();
      if (next.done) return;
      try {
        await act(next.value);
      } catch (error) {
        hasFailed = true;
        throw error;
      }
    }
  };
  const lanes = Array.from({ length: count }, lane);
  await Promise.allSettled(lanes);
  await Promise.all(lanes);
}
