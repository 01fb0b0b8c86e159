// jvp, vjp, jacobian, value, check: from files to a file, in one command.

import { Readable } from 'node:stream';
import type { CheckReport, Client, Job, Operation } from '../client/index.ts';
import { nestedText } from '../client/job-text.ts';
import { writeWhole } from './array-files.ts';
import type { Arguments, Command, OptionTable, Shell } from './command.ts';
import { SERVICE_OPTIONS, withClient } from './connection.ts';
import { EXIT_CODES, type ExitCode } from './exit-codes.ts';
import { ARRAY_NOTES, JOB_OPTIONS, positionalUsage, readJobInput } from './job-input.ts';
import { matrixText, SHOWN_ELEMENTS_MAX } from './matrix-text.ts';
import { formatBrief, formatBytes, formatSeconds } from './progress.ts';
import { runJob } from './run-job.ts';

export const OUTPUT_OPTIONS: OptionTable = {
  output: {
    short: 'o',
    argument: 'FILE',
    help: 'where the result goes, as .npy (of a check JSON); - for standard output',
  },
};

function derivativeCommand(name: Operation, summary: string, notes: string): Command {
  return {
    name,
    summary,
    usage: `${positionalUsage(name)} [-e EXPRESSION] [--operand NAME=ARRAY …] [-o C.npy]`,
    notes: `${notes}\n${ARRAY_NOTES}`,
    options: { ...OUTPUT_OPTIONS, ...JOB_OPTIONS, ...SERVICE_OPTIONS },
    run: (given, shell) => runDerivative(name, given, shell),
  };
}

export const jvp = derivativeCommand(
  'jvp',
  'the derivative in a direction: dF_W(H)',
  '  frechet jvp A.npy H.npy -o C.npy computes A*H, the derivative of A*W at any W.',
);
export const vjp = derivativeCommand(
  'vjp',
  "its adjoint at a cotangent: dF_W*(G), the gradient for a loss's gradient G",
  "  frechet vjp A.npy G.npy -o B.npy computes A'*G.",
);
export const jacobian = derivativeCommand(
  'jacobian',
  'columns of the Jacobian',
  '  frechet jacobian A.npy shape:512x64 --columns 0:100 -o J.npy. Columns are stacked: vec(dF(H)) = J*vec(H).',
);
export const value = derivativeCommand('value', 'the value F(W)', '  frechet value A.npy W.npy -o F.npy');
export const check = derivativeCommand(
  'check',
  'test the derivative against its definition, numerically',
  '  frechet check -e "W\'*A*W" --operand A=A.npy --operand W=W.npy. Exit code 1 where it does not pass.',
);

async function runDerivative(operation: Operation, given: Arguments, shell: Shell): Promise<ExitCode> {
  const input = await readJobInput(operation, given);
  const isQuiet = given.flag('json');
  return withClient(given, shell, 'any', async client => {
    const job = await runJob(client, input, shell, isQuiet);
    return deliver(client, job, given, shell);
  });
}

/** Brings a succeeded job's result to where it is wanted. */
export async function deliver(client: Client, job: Job, given: Arguments, shell: Shell): Promise<ExitCode> {
  if (job.operation === 'check') return deliverReport(client, job, given, shell);
  const output = given.text('output');
  const { signal, stdout, stderr } = shell;
  if (output !== undefined) await writeOutput(output, await client.jobs.stream(job, { signal }), stdout);
  const shown = output === undefined && isShown(job) ? await client.jobs.result(job, { signal }) : undefined;
  if (!given.flag('json')) {
    if (shown !== undefined) stdout.write(matrixText(shown));
    stderr.write(`${summaryText(job, output)}\n`);
  } else if (output !== '-') {
    const result = shown === undefined ? '' : `,"result":${nestedText(shown)}`;
    stdout.write(`{"job":${JSON.stringify(job)},"output":${JSON.stringify(output ?? null)}${result}}\n`);
  }
  return EXIT_CODES.ok;
}

async function writeOutput(
  output: string,
  chunks: AsyncIterable<Uint8Array>,
  stdout: NodeJS.WriteStream,
): Promise<void> {
  if (output === '-') for await (const chunk of chunks) await write(stdout, chunk);
  else await writeWhole(output, chunks);
}

async function deliverReport(
  client: Client,
  job: Job,
  given: Arguments,
  { signal, stdout }: Shell,
): Promise<ExitCode> {
  const report = await client.jobs.report(job, { signal });
  const output = given.text('output');
  if (output !== undefined) {
    const bytes = new TextEncoder().encode(`${JSON.stringify(report)}\n`);
    await writeOutput(output, Readable.from([bytes]), stdout);
  }
  if (given.flag('json') && output !== '-') {
    stdout.write(`${JSON.stringify({ job, output: output ?? null, report })}\n`);
  } else if (output !== '-') {
    stdout.write(reportText(job, report));
  }
  return report.passed ? EXIT_CODES.ok : EXIT_CODES.failed;
}

function reportText({ expression, wrt }: Job, { passed, linear, taylor, adjoint }: CheckReport): string {
  const remainder = linear
    ? `linear in ${wrt}; largest remainder ${formatBrief(Math.max(...taylor.remainders))}, bound ${formatBrief(taylor.bound)}`
    : `not linear in ${wrt}; rate ${taylor.rate ?? 'not to be told from rounding'}, at least 1.9 is needed`;
  return [
    `${passed ? 'passed' : 'NOT PASSED'}: ${expression} in ${wrt}\n`,
    `  remainder  ${remainder}\n`,
    `  adjoint    defect ${formatBrief(adjoint.relativeDefect)}, bound ${formatBrief(adjoint.bound)}\n`,
  ].join('');
}

function isShown({ result }: Job): boolean {
  return (result?.shape ?? []).reduce((product, side) => product * side, 1) <= SHOWN_ELEMENTS_MAX;
}

function summaryText(job: Job, output: string | undefined): string {
  const { result, verification, errorBound, timings, kernel } = job;
  const shape = (result?.shape ?? []).join('×');
  const parts = [`${shape} ${result?.dtype}`];
  if (verification !== null) {
    const { method, maxError, bound } = verification;
    parts.push(`verified by ${method}: error ${formatBrief(maxError)}, bound ${formatBrief(bound)}`);
  }
  const relative = errorBound?.relative ?? null;
  if (relative !== null) parts.push(`rounded by at most ${formatBrief(relative)} of it`);
  const each = errorBound?.componentwise ?? null;
  if (each !== null) parts.push(`no element by more than ${formatBrief(each.absolute)}`);
  if (timings !== null) parts.push(`${formatSeconds(timings.computeSeconds)} of computing on ${kernel}`);
  if (output !== undefined && output !== '-') parts.push(`${formatBytes(result?.bytes ?? 0)} in ${output}`);
  if (output === undefined && !isShown(job)) parts.push('too large to show: -o FILE.npy keeps it');
  return parts.join(' · ');
}

function write(stream: NodeJS.WriteStream, chunk: Uint8Array): Promise<void> {
  return new Promise(resolve => {
    stream.write(chunk, () => resolve());
  });
}
