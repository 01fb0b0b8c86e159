// Repetition of WebAssembly text, which has no loops of its own for unrolling.

/** Text for 0 … count − 1, one a line. */
export function repeat(count: number, text: (index: number) => string): string {
  return Array.from({ length: count }, (_, index) => text(index)).join('\n');
}
