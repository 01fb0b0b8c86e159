// Assertions detect our own bugs. What the world can do wrong is a FrechetError, never an assertion.

/** Thrown by a failed assertion: a bug. The process that sees it crashes and is restarted by its supervisor. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** Marks a branch that the types say cannot be reached. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${String(value)}`);
}
