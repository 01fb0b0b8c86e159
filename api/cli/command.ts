// What a command is, and how its arguments are read and its help is written from one description.

import { parseArgs } from 'node:util';
import type { Environment } from '../../shared/io/config.ts';
import { type ExitCode, UsageError } from './exit-codes.ts';

/** The world as a command sees it. */
export interface Shell {
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  readonly stdin: NodeJS.ReadStream;
  readonly environment: Environment;
  /** Aborted when the user wants no more. */
  readonly signal: AbortSignal;
}

export interface OptionEntry {
  readonly short?: string;
  /** What stands for the value in help; absent for a flag. */
  readonly argument?: string;
  readonly repeatable?: boolean;
  readonly help: string;
}

export type OptionTable = Readonly<Record<string, OptionEntry>>;

/** The arguments of one call. */
export class Arguments {
  readonly positionals: readonly string[];
  readonly #values: Readonly<Record<string, unknown>>;

  constructor(positionals: readonly string[], values: Readonly<Record<string, unknown>>) {
    this.positionals = positionals;
    this.#values = values;
  }

  flag(name: string): boolean {
    return this.#values[name] === true;
  }

  text(name: string): string | undefined {
    const value = this.#values[name];
    return typeof value === 'string' ? value : undefined;
  }

  texts(name: string): readonly string[] {
    const value = this.#values[name];
    return Array.isArray(value) ? (value as string[]) : []; // parseArgs made it
  }

  /** @throws UsageError */
  wholeNumber(name: string): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    if (!/^\d{1,15}$/.test(text)) throw new UsageError(`--${name} must be a whole number, not ${text}`);
    return Number(text);
  }

  /** The only positional. @throws UsageError */
  single(what: string): string {
    const [value, ...rest] = this.positionals;
    if (value === undefined) throw new UsageError(`name ${what}`);
    if (rest.length > 0) throw new UsageError(`there is one argument too many: ${rest.join(' ')}`);
    return value;
  }
}

export interface Command {
  readonly name: string;
  /** One line of the overview. */
  readonly summary: string;
  /** Arguments after the name, as in help. */
  readonly usage: string;
  /** More that help says. */
  readonly notes?: string;
  readonly options: OptionTable;
  run(given: Arguments, shell: Shell): Promise<ExitCode>;
}

export const COMMON_OPTIONS: OptionTable = {
  json: { help: 'JSON on standard output, one document a line' },
  help: { short: 'h', help: 'this text' },
};

/** @throws UsageError */
export function readArguments(command: Command, args: readonly string[]): Arguments {
  const entries = Object.entries({ ...command.options, ...COMMON_OPTIONS });
  const options = entries.map(([name, { short, argument, repeatable }]) => [
    name,
    {
      type: argument === undefined ? ('boolean' as const) : ('string' as const),
      ...(short ? { short } : {}),
      ...(repeatable ? { multiple: true } : {}),
    },
  ]);
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: Object.fromEntries(options),
    });
    return new Arguments(positionals, values);
  } catch (error) {
    // Its messages are sentences for users.
    if (!String((error as { code?: unknown }).code).startsWith('ERR_PARSE_ARGS')) throw error;
    throw new UsageError(`${(error as Error).message} (see frechet ${command.name} --help)`);
  }
}

export function helpText(command: Command): string {
  const rows = Object.entries({ ...command.options, ...COMMON_OPTIONS }).map(([name, entry]) => {
    const short = entry.short === undefined ? '    ' : `-${entry.short}, `;
    const argument = entry.argument === undefined ? '' : ` ${entry.argument}`;
    return [
      `${short}--${name}${argument}`,
      `${entry.help}${entry.repeatable ? ' (repeatable)' : ''}`,
    ] as const;
  });
  const notes = command.notes === undefined ? '' : `\n${command.notes}\n`;
  return `${command.summary}\n\n  frechet ${command.name} ${command.usage}\n${notes}\n${table(rows)}\n`;
}

/** Two columns. */
export function table(rows: readonly (readonly [left: string, right: string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join('\n');
}
