// From arguments to an exit code: finds the command, runs it, and says what went wrong and what to do.

import type { Environment } from '../../shared/io/config.ts';
import { readVersion } from '../../shared/io/version.ts';
import { FrechetProblem } from '../client/index.ts';
import { COMMON_OPTIONS, type Command, helpText, readArguments, table } from './command.ts';
import { COMMANDS } from './commands.ts';
import {
  CommandFailure,
  EXIT_CODES,
  type ExitCode,
  exitCodeOf,
  isInterruption,
  UsageError,
} from './exit-codes.ts';

export interface CommandLineWorld {
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  readonly stdin: NodeJS.ReadStream;
  readonly environment: Environment;
  /** Called where a command can be interrupted in order. `up` brings handlers of its own. */
  readonly onInterrupt: () => AbortSignal;
}

export async function runCommandLine(args: readonly string[], world: CommandLineWorld): Promise<ExitCode> {
  const [name = 'help', ...rest] = args;
  const wantsJson = rest.includes('--json');
  try {
    if (name === '--version' || name === '-V') {
      world.stdout.write(`${readVersion()}\n`);
      return EXIT_CODES.ok;
    }
    if (name === 'help' || name === '--help' || name === '-h') {
      world.stdout.write(rest[0] === undefined ? overview() : helpText(findCommand(rest[0])));
      return EXIT_CODES.ok;
    }
    const command = findCommand(name);
    const given = readArguments(command, rest);
    if (given.flag('help')) {
      world.stdout.write(helpText(command));
      return EXIT_CODES.ok;
    }
    const signal = command.name === 'up' ? new AbortController().signal : world.onInterrupt();
    return await command.run(given, { ...world, signal });
  } catch (error) {
    const code = exitCodeOf(error);
    world.stderr.write(wantsJson ? `${JSON.stringify(errorDocument(error))}\n` : errorText(error, code));
    return code;
  }
}

function findCommand(name: string): Command {
  const command = COMMANDS.find(known => known.name === name);
  if (command !== undefined) return command;
  throw new UsageError(`there is no command "${name}"; frechet help lists them`);
}

function overview(): string {
  const commands = table(COMMANDS.map(({ name, summary }) => [name, summary]));
  const codes = Object.entries(EXIT_CODES).map(([name, code]) => `${code} ${name}`);
  return `Derivatives of matrix expressions.

  frechet COMMAND … [--url URL]

${commands}

Without --url and FRECHET_URL, a service of your own is started for the command and stopped after it.
frechet help COMMAND says more.   Exit codes: ${codes.join(', ')}.
${table(Object.entries(COMMON_OPTIONS).map(([name, { help }]) => [`--${name}`, help]))}
`;
}

function errorText(error: unknown, code: ExitCode): string {
  if (code === EXIT_CODES.bug)
    return `frechet: a fault of this program: ${(error as Error).stack ?? error}\n`;
  if (isInterruption(error)) return code === EXIT_CODES.ok ? '' : 'frechet: interrupted\n';
  const { message } = error as Error;
  if (!(error instanceof FrechetProblem)) return `frechet: ${message}\n`;
  const limits = error.limit === undefined ? '' : ` (limit ${error.limit}, requested ${error.requested})`;
  const places = error.errors
    .filter(({ detail }) => detail !== message)
    .map(({ pointer, detail }) => `\n  ${pointer}: ${detail}`);
  const column = error.column === undefined ? '' : ` (column ${error.column})`;
  const id = error.requestId === undefined ? '' : `\n  request ${error.requestId}`;
  return `frechet: ${error.title}: ${message}${column}${limits}${places.join('')}${id}\n`;
}

function errorDocument(error: unknown): object {
  if (error instanceof FrechetProblem) {
    const { slug, status, title, detail, errors, limit, requested, column, requestId } = error;
    return { error: { slug, status, title, detail, errors, limit, requested, column, requestId } };
  }
  const slug = error instanceof CommandFailure ? 'failed' : (error as Error).name;
  return { error: { slug, detail: (error as Error).message } };
}
