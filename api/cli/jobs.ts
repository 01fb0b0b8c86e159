// Commands about jobs of a service that stays: submit, status, watch, result, cancel, list.

import { type Client, isFinal, type Job, type JobState, type Operation } from '../client/index.ts';
import { readTextFile } from './array-files.ts';
import { type Arguments, type Command, type Shell, table } from './command.ts';
import { SERVICE_OPTIONS, withClient } from './connection.ts';
import { deliver, OUTPUT_OPTIONS } from './derivative.ts';
import { EXIT_CODES, type ExitCode, UsageError } from './exit-codes.ts';
import { jobWithFiles } from './job-file.ts';
import { ARRAY_NOTES, JOB_OPTIONS, readJobInput } from './job-input.ts';
import { createProgressView, formatBrief, formatBytes, formatSeconds } from './progress.ts';
import { followJob, succeeded } from './run-job.ts';

const OPERATIONS: readonly Operation[] = ['value', 'jvp', 'vjp', 'jacobian', 'check'];
const STATES: readonly JobState[] = ['queued', 'running', 'succeeded', 'failed', 'cancelled'];
const LISTED_DEFAULT = 20;

export const submit: Command = {
  name: 'submit',
  summary: 'submit a job and print its id',
  usage: 'OPERATION [A.npy B.npy] [options] | JOB.json | -',
  notes: `  OPERATION is ${OPERATIONS.join(', ')}. A job as JSON may hold { "file": "A.npy" } for an array.\n${ARRAY_NOTES}`,
  options: { ...JOB_OPTIONS, wait: { help: 'wait for its end' }, ...SERVICE_OPTIONS },
  async run(given, shell) {
    const send = await readSubmission(given, shell);
    return withClient(given, shell, 'existing', async client => {
      const job = await send(client);
      const isQuiet = given.flag('json');
      const latest = given.flag('wait') ? await followJob(client, job, shell, isQuiet) : job;
      shell.stdout.write(isQuiet ? `${JSON.stringify(latest)}\n` : `${latest.id}\n`);
      if (given.flag('wait')) succeeded(latest);
      return EXIT_CODES.ok;
    });
  },
};

type Send = (client: Client) => Promise<Job>;

async function readSubmission(given: Arguments, shell: Shell): Promise<Send> {
  const [first, ...rest] = given.positionals;
  if (first === undefined) throw new UsageError('name an operation, or a file that holds a job as JSON');
  const operation = OPERATIONS.find(known => known === first);
  const { signal } = shell;
  if (operation !== undefined) {
    const input = await readJobInput(operation, given, rest);
    return client => client.jobs.submit(input, { signal });
  }
  const text = await readTextFile(given.single('one file'), shell.stdin);
  return async client => client.jobs.submitText(await jobWithFiles(text, first, client, signal), { signal });
}

export const status: Command = {
  name: 'status',
  summary: 'how a job is',
  usage: 'ID',
  options: SERVICE_OPTIONS,
  run: (given, shell) =>
    withClient(given, shell, 'existing', async client => {
      const job = await client.jobs.get(given.single("the job's id"), { signal: shell.signal });
      shell.stdout.write(given.flag('json') ? `${JSON.stringify(job)}\n` : statusText(job));
      return EXIT_CODES.ok;
    }),
};

function boundText({
  absolute,
  relative,
}: Pick<NonNullable<Job['errorBound']>, 'absolute' | 'relative'>): string {
  return `${formatBrief(absolute)}, relative ${relative === null ? 'unknown' : formatBrief(relative)}`;
}

function statusText(job: Job): string {
  const { result, progress, derivative, error, verification, errorBound } = job;
  const rows: [string, string][] = [
    ['job', job.id],
    ['state', job.state],
    ['asked', `${job.operation} of ${job.expression} in ${job.wrt}, ${job.dtype}`],
    ['differential', derivative.differential ?? 'too long to print'],
    ['blocks', `${progress.blocksDone} of ${progress.blocksTotal}`],
    ['created', job.createdAt],
  ];
  if (job.startedAt !== null && job.finishedAt !== null) {
    const seconds = (Date.parse(job.finishedAt) - Date.parse(job.startedAt)) / 1000;
    rows.push([
      'finished',
      `${job.finishedAt}, after ${formatSeconds(seconds)} on ${job.kernel ?? 'no kernel'}`,
    ]);
  }
  if (result !== null) {
    rows.push(['result', `${(result.shape ?? ['a report']).join('×')}, ${formatBytes(result.bytes ?? 0)}`]);
  }
  if (verification !== null)
    rows.push([
      'verified',
      `error ${formatBrief(verification.maxError)}, bound ${formatBrief(verification.bound)}`,
    ]);
  if (errorBound !== null) {
    const { componentwise } = errorBound;
    rows.push(['error bound', boundText(errorBound)]);
    if (componentwise !== null) rows.push(['of each element', boundText(componentwise)]);
  }
  if (error !== null) rows.push(['error', `${error.title}: ${error.detail}`]);
  return `${table(rows)}\n`;
}

export const watch: Command = {
  name: 'watch',
  summary: 'follow a job to its end',
  usage: 'ID',
  notes: '  Exit code 1 where it does not succeed. Ctrl-C stops watching, and the job goes on.',
  options: SERVICE_OPTIONS,
  run: (given, shell) => withClient(given, shell, 'existing', client => watchToEnd(client, given, shell)),
};

async function watchToEnd(
  client: Client,
  given: Arguments,
  { stdout, stderr, signal }: Shell,
): Promise<ExitCode> {
  const isJson = given.flag('json');
  const view = createProgressView(stderr, isJson);
  let latest: Job | undefined;
  try {
    for await (const told of client.jobs.watch(given.single("the job's id"), { signal })) {
      if (isJson) stdout.write(`${JSON.stringify(told)}\n`);
      if (told.event === 'progress') view.update(told.data);
      if (told.event !== 'state') continue;
      latest = told.data;
      view.end();
      if (!isJson) stdout.write(`${latest.id} ${latest.state}\n`);
    }
  } finally {
    view.end();
  }
  if (latest !== undefined && isFinal(latest)) succeeded(latest);
  return EXIT_CODES.ok;
}

export const result: Command = {
  name: 'result',
  summary: "a finished job's result",
  usage: 'ID [-o C.npy]',
  options: { ...OUTPUT_OPTIONS, ...SERVICE_OPTIONS },
  run: (given, shell) =>
    withClient(given, shell, 'existing', async client => {
      const job = await client.jobs.get(given.single("the job's id"), { signal: shell.signal });
      if (!isFinal(job))
        throw new UsageError(`job ${job.id} is ${job.state}: frechet watch ${job.id} waits for it`);
      return deliver(client, succeeded(job), given, shell);
    }),
};

export const cancel: Command = {
  name: 'cancel',
  summary: 'cancel a job',
  usage: 'ID',
  options: SERVICE_OPTIONS,
  run: (given, shell) =>
    withClient(given, shell, 'existing', async client => {
      const job = await client.jobs.cancel(given.single("the job's id"), { signal: shell.signal });
      shell.stdout.write(given.flag('json') ? `${JSON.stringify(job)}\n` : `${job.id} ${job.state}\n`);
      return EXIT_CODES.ok;
    }),
};

export const list: Command = {
  name: 'list',
  summary: 'jobs, newest first',
  usage: '[--state STATE] [--label KEY=VALUE]',
  options: {
    state: { argument: 'STATE', help: STATES.join(', ') },
    label: { argument: 'KEY=VALUE', help: 'only jobs with this label' },
    limit: { short: 'n', argument: 'N', help: `how many; default ${LISTED_DEFAULT}` },
    ...SERVICE_OPTIONS,
  },
  run: (given, shell) =>
    withClient(given, shell, 'existing', async client => {
      let left = given.wholeNumber('limit') ?? LISTED_DEFAULT;
      const filter = {
        ...readFilter(given),
        pageSize: Math.min(Math.max(left, 1), 100),
        signal: shell.signal,
      };
      if (left === 0) return EXIT_CODES.ok;
      for await (const job of client.jobs.list(filter)) {
        const { id, state, operation, expression, createdAt } = job;
        const line = `${id}  ${state.padEnd(9)}  ${operation.padEnd(8)}  ${createdAt}  ${expression}`;
        shell.stdout.write(`${given.flag('json') ? JSON.stringify(job) : line}\n`);
        left -= 1;
        if (left === 0) break;
      }
      return EXIT_CODES.ok;
    }),
};

function readFilter(given: Arguments) {
  const text = given.text('state');
  const state = STATES.find(known => known === text);
  if (text !== undefined && state === undefined)
    throw new UsageError(`--state is one of ${STATES.join(', ')}`);
  const label = given.text('label');
  const [, key, value] = /^([^=]+)=(.*)$/s.exec(label ?? '') ?? [];
  if (label !== undefined && key === undefined) throw new UsageError('--label is KEY=VALUE');
  return {
    ...(state === undefined ? {} : { state }),
    ...(key === undefined ? {} : { label: { key, value: value ?? '' } }),
  };
}
