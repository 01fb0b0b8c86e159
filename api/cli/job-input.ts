// Options of a command → the job that is submitted.

import type { ArrayInput, Dtype, JobInput, Operation } from '../client/index.ts';
import { readArrayInput } from './array-files.ts';
import type { Arguments, OptionTable } from './command.ts';
import { UsageError } from './exit-codes.ts';

export const JOB_OPTIONS: OptionTable = {
  expression: { short: 'e', argument: 'TEXT', help: 'the expression; default A*W' },
  wrt: { short: 'w', argument: 'NAME', help: 'the variable; default W' },
  operand: { argument: 'NAME=ARRAY', repeatable: true, help: 'an operand' },
  direction: { argument: 'ARRAY', help: 'H of jvp and check, or a stack of them' },
  cotangent: { argument: 'ARRAY', help: 'G of vjp and check, or a stack of them' },
  columns: { argument: 'START:STOP', help: 'of a Jacobian, half-open; default all' },
  dtype: { argument: 'DTYPE', help: 'float64 (default) or float32' },
  reproducible: { help: 'the same bytes on any machine' },
  rounds: { argument: 'N', help: 'of verification, 1 (default) to 32' },
  componentwise: { help: 'a bound of the rounding of each element, for twice the arithmetic' },
  seed: { argument: 'N', help: 'of the random direction and cotangent of a check' },
  label: { argument: 'KEY=VALUE', repeatable: true, help: 'a label' },
  priority: { argument: 'N', help: '0 (default) to 9, higher first' },
};

export const ARRAY_NOTES =
  '  ARRAY is FILE.npy, shape:ROWSxCOLS where no value is needed, or id:ID of an uploaded array.';

/** Where positional arguments go: the operand A, then what the operation is applied to. */
const SECOND: Readonly<
  Record<Operation, { readonly name: string; readonly field?: 'direction' | 'cotangent' }>
> = {
  jvp: { name: 'H', field: 'direction' },
  vjp: { name: 'G', field: 'cotangent' },
  jacobian: { name: 'W' },
  value: { name: 'W' },
  check: { name: 'W' },
};

/** As in help. */
export function positionalUsage(operation: Operation): string {
  const { name } = SECOND[operation];
  return `[A.npy ${name}.npy]`;
}

/** @throws UsageError */
export async function readJobInput(
  operation: Operation,
  given: Arguments,
  positionals: readonly string[] = given.positionals,
): Promise<JobInput> {
  const named = new Map(given.texts('operand').map(text => splitPair(text, 'operand', 'NAME=ARRAY')));
  const fields = { direction: given.text('direction'), cotangent: given.text('cotangent') };
  placePositionals(operation, positionals, given.text('wrt') ?? 'W', named, fields);
  const operands: Record<string, ArrayInput> = {};
  for (const [name, text] of named) operands[name] = await readArrayInput(text);
  const labels = Object.fromEntries(given.texts('label').map(text => splitPair(text, 'label', 'KEY=VALUE')));
  const job = {
    operation,
    expression: given.text('expression'),
    wrt: given.text('wrt'),
    operands,
    direction: fields.direction && (await readArrayInput(fields.direction)),
    cotangent: fields.cotangent && (await readArrayInput(fields.cotangent)),
    jacobian: readColumns(given.text('columns')),
    dtype: readDtype(given.text('dtype')),
    reproducible: given.flag('reproducible') || undefined,
    verification: readRounds(given.wholeNumber('rounds')),
    errorBound: given.flag('componentwise') ? ('componentwise' as const) : undefined,
    seed: given.wholeNumber('seed'),
    labels: given.texts('label').length > 0 ? labels : undefined,
    priority: given.wholeNumber('priority'),
  };
  return Object.fromEntries(
    Object.entries(job).filter(([, value]) => value !== undefined),
  ) as unknown as JobInput; // what is absent is away
}

function placePositionals(
  operation: Operation,
  positionals: readonly string[],
  wrt: string,
  named: Map<string, string>,
  fields: { direction: string | undefined; cotangent: string | undefined },
): void {
  if (positionals.length === 0) return;
  const [a, second, ...rest] = positionals;
  const { name, field } = SECOND[operation];
  if (a === undefined || rest.length > 0) {
    throw new UsageError(`give at most two arrays, A and ${name}; more go in --operand NAME=ARRAY`);
  }
  named.set('A', a);
  if (second === undefined) return;
  if (field === undefined) named.set(wrt, second);
  else fields[field] = second;
}

function splitPair(text: string, option: string, form: string): [string, string] {
  const at = text.indexOf('=');
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  throw new UsageError(`--${option} is ${form}, not ${JSON.stringify(text)}`);
}

function readColumns(text: string | undefined): JobInput['jacobian'] {
  if (text === undefined) return undefined;
  const [, start, stop] = /^(\d{1,15}):(\d{1,15})$/.exec(text) ?? [];
  if (start === undefined) throw new UsageError(`--columns is START:STOP, not ${JSON.stringify(text)}`);
  return { columns: [Number(start), Number(stop)] };
}

function readRounds(rounds: number | undefined): JobInput['verification'] {
  return rounds === undefined ? undefined : { rounds };
}

function readDtype(text: string | undefined): Dtype | undefined {
  if (text === undefined || text === 'float64' || text === 'float32') return text;
  throw new UsageError(`--dtype is float64 or float32, not ${JSON.stringify(text)}`);
}
