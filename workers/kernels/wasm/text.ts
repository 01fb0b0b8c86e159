// Small pieces of WebAssembly text that the templates share. Locals are named with their $.

/** Text for 0 … count − 1, one a line: WebAssembly has no unrolling of its own. */
export function repeat(count: number, text: (index: number) => string): string {
  return Array.from({ length: count }, (_, index) => text(index)).join('\n');
}

export function number(value: number): string {
  return `(i32.const ${value})`;
}

/** name ← name + value. */
export function add(name: string, value: string): string {
  return `(local.set ${name} (i32.add (local.get ${name}) ${value}))`;
}

/** A loop that runs while `counter` ≥ `step`, unsigned, and takes `step` off it each time. */
export function countdown(label: string, counter: string, step: number, body: string): string {
  return `
  (block $end_${label} (loop $${label}
    (br_if $end_${label} (i32.lt_u (local.get ${counter}) ${number(step)}))
    ${body}
    (local.set ${counter} (i32.sub (local.get ${counter}) ${number(step)}))
    (br $${label})))`;
}
