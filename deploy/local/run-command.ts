// One command, run to its end.

import { spawn } from 'node:child_process';

export interface CommandResult {
  readonly code: number;
  /** What it wrote, standard output and standard error mixed in the order they came. */
  readonly output: string;
}

/** Runs a command to its end. Rejects only where it cannot be started; `code` is 128 + n after a signal, as in a shell. */
export function runCommand(
  command: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    }
    child.once('error', reject);
    child.once('close', code => resolve({ code: code ?? 128, output }));
  });
}
