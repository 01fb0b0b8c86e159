// Teardown as a stack: whatever is acquired pushes what releases it, and release runs backwards. A start that fails
// half-way releases exactly what it had acquired. After the idea of graphile-worker's withReleasers.

export type Release = () => void | Promise<void>;

export interface Releasers {
  /** Registers the release of something just acquired. The name is for those who read the error. */
  push(name: string, release: Release): void;
  /** Releases everything, last first, each once, one at a time; a failure does not stop the others. @throws AggregateError */
  release(): Promise<void>;
}

export function createReleasers(): Releasers {
  const stack: { name: string; release: Release }[] = [];
  let released: Promise<void> | undefined;
  return {
    push: (name, release) => void stack.push({ name, release }),
    release: () => {
      released ??= unwind(stack);
      return released;
    },
  };
}

/**
 * Runs `acquire`, which pushes a releaser for everything it takes. Answers its value and the release of it all; where
 * it throws, everything taken so far is released and the error passes on.
 */
export async function withReleasers<T>(
  acquire: (releasers: Releasers) => Promise<T>,
): Promise<{ readonly value: T; readonly release: () => Promise<void> }> {
  const releasers = createReleasers();
  try {
    return { value: await acquire(releasers), release: releasers.release };
  } catch (error) {
    // The first failure is the one to tell; what fails while cleaning up after it would only hide it.
    await releasers.release().catch(() => undefined);
    throw error;
  }
}

async function unwind(stack: { name: string; release: Release }[]): Promise<void> {
  const failures: Error[] = [];
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    try {
      await top.release();
    } catch (error) {
      failures.push(new Error(`could not release ${top.name}`, { cause: error }));
    }
  }
  if (failures.length > 0)
    throw new AggregateError(failures, failures.map(failure => failure.message).join('; '));
}
