// `frechet batch`, over a server that answers as the contract says.

import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { encodeNpy, ndArray } from '../../../api/client/index.ts';
import { temporaryFolder } from '../../support/temporary.ts';
import { sendJson, sendProblem, startStandIn } from '../client/stand-in.ts';
import { frechet, frechetHere } from './command-line.ts';

const NO_COUNTS = { queued: 0, running: 0, succeeded: 0, failed: 0, cancelled: 0, rejected: 0 };
const ID = 'a'.repeat(64);
const RESULT = encodeNpy(ndArray(Float64Array.of(31), [1, 1]));

/** A batch of two lines: the first succeeds, the second is rejected unless both are to succeed. */
function startBatches(context: TestContext, isSecondGood: boolean) {
  let looks = 0;
  const ended = isSecondGood ? { ...NO_COUNTS, succeeded: 2 } : { ...NO_COUNTS, succeeded: 1, rejected: 1 };
  const job = (id: string) => ({ id, state: 'succeeded', operation: 'jvp' });
  const problem = {
    type: 'urn:frechet:problem:schema',
    title: 'schema',
    status: 422,
    detail: 'no operation',
  };
  return startStandIn(context, ({ method, path }, response) => {
    if (method === 'GET' && path.startsWith('/v1/arrays/')) return sendProblem(response, 'not-found', 404);
    if (path === '/v1/arrays') return sendJson(response, { id: ID }, 201);
    if (path === '/v1/batches')
      return sendJson(response, { id: '01JB', total: 2, counts: { ...NO_COUNTS, queued: 2 } }, 202);
    if (path === '/v1/batches/01JB') {
      looks += 1;
      return sendJson(response, {
        id: '01JB',
        total: 2,
        counts: looks < 2 ? { ...NO_COUNTS, running: 2 } : ended,
      });
    }
    if (path === '/v1/jobs/01J1/result' || path === '/v1/jobs/01J2/result') return void response.end(RESULT);
    assert.equal(path, '/v1/batches/01JB/jobs');
    response.write(`${JSON.stringify({ customId: 'first', line: 1, job: job('01J1') })}\n`);
    response.end(
      `${JSON.stringify({ line: 2, ...(isSecondGood ? { job: job('01J2') } : { error: problem }) })}\n`,
    );
  });
}

const LINE = {
  customId: 'first',
  operation: 'jvp',
  operands: { A: { file: 'A.npy' } },
  direction: { file: 'A.npy' },
};

async function folderOfJobs(context: TestContext): Promise<string> {
  const folder = await temporaryFolder(context);
  await writeFile(join(folder, 'A.npy'), encodeNpy(ndArray(Float64Array.of(2), [1, 1])));
  await writeFile(
    join(folder, 'jobs.ndjson'),
    `${JSON.stringify(LINE)}\n{"operation": "jvp", "direction": {"data": -0}}\n`,
  );
  return folder;
}

test('lines are sent, files by their ids, the rest as it is written; each line is told of', async context => {
  const { url, asked } = await startBatches(context, false);
  const folder = await folderOfJobs(context);
  const { code, stdout, stderr } = await frechetHere(['batch', join(folder, 'jobs.ndjson'), '--url', url]);
  assert.equal(code, 1, stderr);
  assert.match(stderr, /1 of 2 jobs did not succeed/);
  assert.equal(stdout, '1  first  01J1  succeeded\n2  -  -  rejected: no operation\n');
  const sent = asked.find(({ path }) => path === '/v1/batches')?.body.split('\n') ?? [];
  assert.deepEqual(JSON.parse(sent[0] ?? ''), {
    customId: 'first',
    operation: 'jvp',
    operands: { A: ID },
    direction: ID,
  });
  assert.equal(sent[1], '{"operation": "jvp", "direction": {"data": -0}}');
  assert.equal(asked.filter(({ method, path }) => method === 'POST' && path === '/v1/arrays').length, 1);
});

test('results are saved by customId, else by line', async context => {
  const { url } = await startBatches(context, true);
  const folder = await folderOfJobs(context);
  await mkdir(join(folder, 'out'));
  const args = ['batch', 'jobs.ndjson', '-o', 'out', '--json', '--url', url];
  const { code, stdout, stderr } = await frechetHere(args, { cwd: folder });
  assert.equal(code, 0, stderr);
  assert.deepEqual(
    stdout
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line).line),
    [1, 2],
  );
  for (const name of ['first.npy', '2.npy']) {
    assert.deepEqual(new Uint8Array(await readFile(join(folder, 'out', name))), RESULT);
  }
});

test('--no-wait prints the id and leaves', async context => {
  const { url, asked } = await startBatches(context, true);
  const folder = await folderOfJobs(context);
  const { code, stdout } = await frechetHere(['batch', 'jobs.ndjson', '--no-wait', '--url', url], {
    cwd: folder,
  });
  assert.equal(code, 0);
  assert.equal(stdout, '01JB\n');
  assert.equal(
    asked.some(({ path }) => path === '/v1/batches/01JB'),
    false,
  );
});

test('a file that is not there is found out before anything is sent', async context => {
  const { url, asked } = await startBatches(context, true);
  const { code, stderr } = await frechetHere(['batch', '-', '--url', url], { input: JSON.stringify(LINE) });
  assert.equal(code, 2);
  assert.match(stderr, /A\.npy: there is no such file/);
  assert.deepEqual(asked, []);
});

for (const waits of [[], ['--no-wait']]) {
  test(`Ctrl-C between the making of a batch and its answer cancels it: batch ${waits.join(' ')}`, async context => {
    let interrupt = (): void => undefined;
    const { url, asked } = await startStandIn(context, async ({ path }, response) => {
      const counts = { ...NO_COUNTS, queued: 1 };
      if (path !== '/v1/batches') return sendJson(response, { id: '01JB', total: 1, counts });
      interrupt();
      await setTimeout(300);
      sendJson(response, { id: '01JB', total: 1, counts }, 202);
    });
    const { code, stdout, stderr } = await frechet(['batch', '-', ...waits, '--url', url], {
      input: '{"operation": "jvp", "direction": {"data": 1}}',
      onSpawn: child => {
        interrupt = () => void child.kill('SIGINT');
      },
    });
    assert.equal(code, 130, stderr);
    assert.equal(stdout, '');
    assert.deepEqual(
      asked.map(({ method, path }) => `${method} ${path}`),
      ['POST /v1/batches', 'POST /v1/batches/01JB/cancel'],
    );
  });
}
