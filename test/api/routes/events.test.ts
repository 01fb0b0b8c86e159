import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { after, before, test } from 'node:test';
import type { JobDocument } from '../../../api/jobs/job-document.ts';
import { eventRoutes } from '../../../api/routes/events.ts';
import type { JobSpec } from '../../../shared/job/spec.ts';
import { startTestRedis, type TestRedis } from '../../support/redis.ts';
import { endJob, finishBlock, jobIn, postJson, specOf, startGateway, type TestGateway } from '../gateway.ts';
import { assertProblem } from '../problem-assertions.ts';
import { serve } from '../serve.ts';

let redis: TestRedis;
let gateway: TestGateway;

before(async () => {
  redis = await startTestRedis();
  gateway = await startGateway(redis.url);
});
after(async () => {
  await gateway.close();
  await redis.stop();
});

interface Received {
  readonly event: string;
  readonly data: Record<string, unknown>;
}

/** A job of several blocks: the members of a stack of scalars, each a Jacobian's worth of flops. */
async function submitted(): Promise<JobSpec> {
  const body = { operation: 'jvp', operands: { A: { data: [[1], [2]] } }, direction: { data: [[3]] } };
  return specOf(gateway, (await jobIn(await postJson(`${gateway.url}/v1/jobs`, body))).id);
}

/** Reads events one after the other; `undefined` at the end. */
function reader(response: Response) {
  const pieces = response.body!.pipeThrough(new TextDecoderStream()).getReader(); // a GET has a body
  let text = '';
  return async function next(): Promise<Received | undefined> {
    for (;;) {
      const end = text.indexOf('\n\n');
      if (end >= 0) {
        const frame = text.slice(0, end);
        text = text.slice(end + 2);
        if (frame.startsWith(':')) continue;
        const match = /^event: (\w+)\ndata: (.*)$/.exec(frame);
        assert.ok(match, `a frame of the agreed form: ${frame}`);
        return { event: match[1] ?? '', data: JSON.parse(match[2] ?? '') };
      }
      const { done, value } = await pieces.read();
      if (done) {
        assert.equal(text, '', 'nothing is cut short');
        return undefined;
      }
      text += value;
    }
  };
}

const open = (jobId: string, init?: RequestInit) => fetch(`${gateway.url}/v1/jobs/${jobId}/events`, init);

test('the state comes at once, then states, blocks and progress, and the final state is the last', async () => {
  const spec = await submitted();
  const response = await open(spec.id);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('content-type'), 'text/event-stream');
  assert.match(response.headers.get('cache-control') ?? '', /no-store/);
  const next = reader(response);
  const first = await next();
  assert.equal(first?.event, 'state');
  assert.deepEqual(first?.data, await jobIn(await fetch(`${gateway.url}/v1/jobs/${spec.id}`)));
  assert.equal(first?.data.state, 'queued');

  await finishBlock(gateway, spec, 0);
  const running = await next();
  assert.equal(running?.event, 'state');
  assert.equal(running?.data.state, 'running');
  const block = await next();
  assert.equal(block?.event, 'block');
  assert.deepEqual(Object.keys(block?.data ?? {}), ['index', 'rows', 'bytes', 'sha256', 'href']);
  assert.deepEqual(block?.data.rows, [0, 2]);
  const progress = await next();
  assert.equal(progress?.event, 'progress');
  const { etaSeconds, ...counts } = progress?.data ?? {};
  assert.deepEqual(counts, { blocksDone: 1, blocksTotal: 1, flopsDone: 4, flopsTotal: 4 });
  assert.equal(etaSeconds, 0);

  await endJob(gateway, spec);
  const last = await next();
  assert.equal(last?.event, 'state');
  assert.equal(last?.data.state, 'succeeded');
  assert.equal(await next(), undefined);
});

test('of a finished job there is one event', async () => {
  const spec = await submitted();
  await endJob(gateway, spec);
  const next = reader(await open(spec.id));
  assert.equal((await next())?.data.state, 'succeeded');
  assert.equal(await next(), undefined);
});

test('a lost hint is made up for by looking again', async () => {
  const spec = await submitted();
  const next = reader(await open(spec.id));
  await next();
  await gateway.deps.jobs.putOutcome(spec, {
    version: 1,
    state: 'cancelled',
    finishedAt: spec.createdAt,
    expiresAt: spec.createdAt,
  });
  assert.equal((await next())?.data.state, 'cancelled');
  assert.equal(await next(), undefined);
});

test('the stream of a job that is deleted under it ends', async () => {
  const spec = await submitted();
  const next = reader(await open(spec.id));
  await next();
  await gateway.deps.jobs.deleteJob(spec.tenant, spec.id);
  assert.equal(await next(), undefined);
});

test('a client that goes away is forgotten', async () => {
  const spec = await submitted();
  const controller = new AbortController();
  const next = reader(await open(spec.id, { signal: controller.signal }));
  await next();
  assert.equal(gateway.deps.events.watchedJobs, 1);
  controller.abort();
  while (gateway.deps.events.watchedJobs > 0) await new Promise(resolve => setTimeout(resolve, 10));
});

test('a client that does not read costs no memory and sees the latest when it does', async () => {
  const spec = await submitted();
  const received = await new Promise<NodeJS.ReadableStream>(resolve => {
    httpRequest(`${gateway.url}/v1/jobs/${spec.id}/events`, resolve).end();
  });
  // Its first event has come; from here on it does not read.
  await once(received, 'readable');
  for (let flops = 1n; flops <= 4n; flops += 1n) {
    await gateway.deps.live.noteStarted(spec.id, Date.now());
    await gateway.deps.live.noteProgress(spec.id, 0, flops);
    await gateway.deps.live.publish({ type: 'progress', tenant: spec.tenant, jobId: spec.id });
  }
  await endJob(gateway, spec);
  let text = '';
  for await (const piece of received) text += String(piece);
  const states = [...text.matchAll(/event: state\ndata: (.*)\n/g)].map(
    match => (JSON.parse(match[1] ?? '') as JobDocument).state,
  );
  assert.equal(states[0], 'queued');
  assert.equal(states.at(-1), 'succeeded');
  const counts = [...text.matchAll(/"flopsDone":(\d)/g)].map(match => Number(match[1]));
  assert.deepEqual(
    counts,
    counts.toSorted((a, b) => a - b),
    'progress never goes back',
  );
});

test('silence is broken by heartbeats, and draining ends the stream', async () => {
  const spec = await submitted();
  const draining = new AbortController();
  const served = await serve(() => eventRoutes({ ...gateway.deps, draining: draining.signal }, 0.05));
  const response = await fetch(`${served.url}/v1/jobs/${spec.id}/events`);
  let text = '';
  for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) {
    text += piece;
    // Two may come at once.
    if (text.includes('\n\n: ')) draining.abort();
  }
  assert.match(text, /^event: state\ndata: .*\n\n(: still here\n\n)+$/);
  await served.close();
});

test('an unknown job has no events, and there is no other representation', async () => {
  await assertProblem(await open('01JE0000000000000000000000'), 'not-found');
  const spec = await submitted();
  await assertProblem(await open(spec.id, { headers: { Accept: 'application/json' } }), 'not-acceptable');
  const head = await open(spec.id, { method: 'HEAD' });
  assert.equal(head.status, 200);
  assert.equal(head.headers.get('content-type'), 'text/event-stream');
});
