// `frechet batch`: many jobs from a file, one a line, and what became of each.

import { join } from 'node:path';
import { isFinished } from '../client/batches.ts';
import type { Batch, BatchLine, Client } from '../client/index.ts';
import { readTextFile, writeWhole } from './array-files.ts';
import type { Arguments, Command, Shell } from './command.ts';
import { SERVICE_OPTIONS, withClient } from './connection.ts';
import { CommandFailure, EXIT_CODES, type ExitCode, UsageError } from './exit-codes.ts';
import { jobWithFiles, type UploadedFiles } from './job-file.ts';
import { bar } from './progress.ts';
import { afterGrace } from './run-job.ts';

const CANCEL_MS_MAX = 5_000;

export const batch: Command = {
  name: 'batch',
  summary: 'submit a file of jobs, one as JSON a line, and wait for all',
  usage: 'JOBS.ndjson | -',
  notes:
    '  A line is a job with an optional "customId"; an array in it may be { "file": "A.npy" }.\n' +
    '  Prints a line for each job: line, customId, id, state. Exit code 1 where one did not succeed.',
  options: {
    'no-wait': { help: "print the batch's id and leave" },
    output: {
      short: 'o',
      argument: 'DIR',
      help: 'save each result as CUSTOMID.npy, or LINE.npy, in this folder',
    },
    ...SERVICE_OPTIONS,
  },
  async run(given, shell) {
    const path = given.single('a file of jobs, one a line');
    const text = await readTextFile(path, shell.stdin);
    const leaves = given.flag('no-wait');
    if (leaves && given.text('output') !== undefined) throw new UsageError('--output needs to wait');
    return withClient(given, shell, leaves ? 'existing' : 'any', async client => {
      const lines = await readLines(text, path, client, shell.signal);
      const submitted = await client.batches.submitText(lines, { signal: afterGrace(shell.signal) });
      try {
        shell.signal.throwIfAborted();
        if (!leaves) return await finish(client, submitted, given, shell);
      } catch (error) {
        // Nobody else knows this batch.
        if (shell.signal.aborted) await cancel(client, submitted);
        throw error;
      }
      shell.stdout.write(given.flag('json') ? `${JSON.stringify(submitted)}\n` : `${submitted.id}\n`);
      return EXIT_CODES.ok;
    });
  },
};

async function readLines(text: string, path: string, client: Client, signal: AbortSignal): Promise<string> {
  const uploaded: UploadedFiles = new Map();
  const lines: string[] = [];
  for (const line of text.split(/\r?\n/))
    lines.push(await jobWithFiles(line, path, client, signal, uploaded));
  return lines.join('\n');
}

async function finish(client: Client, submitted: Batch, given: Arguments, shell: Shell): Promise<ExitCode> {
  const { signal, stdout } = shell;
  const ended = await follow(client, submitted, given.flag('json'), shell);
  for await (const line of client.batches.jobs(ended, { signal })) {
    stdout.write(`${given.flag('json') ? JSON.stringify(line) : lineText(line)}\n`);
    await save(client, line, given.text('output'), signal);
  }
  const { succeeded } = ended.counts;
  if (succeeded === ended.total) return EXIT_CODES.ok;
  throw new CommandFailure(`${ended.total - succeeded} of ${ended.total} jobs did not succeed`);
}

/** Never throws. */
async function cancel(client: Client, submitted: Batch): Promise<void> {
  const signal = AbortSignal.timeout(CANCEL_MS_MAX);
  await client.batches.cancel(submitted, { signal }).catch(() => undefined);
}

async function follow(
  client: Client,
  submitted: Batch,
  isQuiet: boolean,
  { stderr, signal }: Shell,
): Promise<Batch> {
  if (isFinished(submitted)) return submitted;
  const onProgress = ({ total, counts }: Batch) => {
    const done = total - counts.queued - counts.running;
    const text = `${done} of ${total} jobs, ${counts.failed + counts.rejected} went wrong`;
    if (!isQuiet && stderr.isTTY) stderr.write(`\r\u001b[K${bar(total === 0 ? 1 : done / total)} ${text}`);
  };
  try {
    return await client.batches.wait(submitted, { signal, onProgress });
  } finally {
    if (!isQuiet && stderr.isTTY) stderr.write('\r\u001b[K');
  }
}

function lineText(line: BatchLine): string {
  const name = line.customId ?? '-';
  if ('job' in line) return `${line.line}  ${name}  ${line.job.id}  ${line.job.state}`;
  return `${line.line}  ${name}  -  rejected: ${line.error.detail}`;
}

async function save(
  client: Client,
  line: BatchLine,
  folder: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  if (folder === undefined || !('job' in line) || line.job.state !== 'succeeded') return;
  // A customId is anybody's text, and here the name of a file.
  const name = /^[\w.-]+$/.test(line.customId ?? '') ? line.customId : String(line.line);
  const isReport = line.job.operation === 'check';
  const mediaType = isReport ? 'application/json' : 'application/x-npy';
  const path = join(folder, `${name}.${isReport ? 'json' : 'npy'}`);
  await writeWhole(path, await client.jobs.stream(line.job, { mediaType, signal }));
}
