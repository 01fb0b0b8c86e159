// Streams that break, say nothing, or say things twice.

import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { createClient, type JobEvent } from '../../../api/client/index.ts';
import { sendJson, sendProblem, startStandIn } from './stand-in.ts';

const watch = { pollMs: 5, pollMsMax: 20, firstEventMsMax: 5_000, silenceMsMax: 1_000 };
const retry = { delayMs: 1, retries: 1 };

function job(state: string, blocksDone: number) {
  const progress = { blocksDone, blocksTotal: 2, flopsDone: blocksDone, flopsTotal: 2 };
  return { id: '01JE', state, operation: 'jvp', progress };
}

const block = (index: number) => ({ index, rows: [index, index + 1], bytes: 8, sha256: '', href: '' });

function tell(
  response: ServerResponse,
  ...events: readonly (readonly [event: string, data: object])[]
): void {
  if (!response.headersSent) response.writeHead(200, { 'Content-Type': 'text/event-stream' });
  for (const [event, data] of events) response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
}

/** Each event in a word or two. */
async function summarize(events: AsyncIterable<JobEvent>): Promise<string[]> {
  const words: string[] = [];
  for await (const { event, data } of events) {
    if (event === 'state') words.push(data.state);
    else words.push(event === 'block' ? `block ${data.index}` : `done ${data.blocksDone}`);
  }
  return words;
}

test('a stream that breaks begins again, and nothing is told twice', async context => {
  const { url, asked } = await startStandIn(context, async (_request, response, count) => {
    tell(response, ['state', job('running', 0)], ['block', block(0)], ['progress', job('', 1).progress]);
    await new Promise(resolve => setTimeout(resolve, 20));
    if (count === 0) return void response.destroy();
    tell(response, ['block', block(1)], ['progress', job('', 2).progress], ['state', job('succeeded', 2)]);
    response.end();
  });
  const told = await summarize(createClient({ url, retry, watch }).jobs.watch('01JE'));
  assert.deepEqual(told, ['running', 'block 0', 'done 1', 'block 1', 'done 2', 'succeeded']);
  assert.equal(asked.length, 2);
});

test('a proxy that holds the stream back is gone around by asking', async context => {
  let polls = 0;
  const { url } = await startStandIn(context, ({ path }, response) => {
    if (path.endsWith('/events')) return; // says nothing, for ever
    if (path.endsWith('/blocks')) return sendJson(response, polls > 2 ? [block(0), block(1)] : [block(0)]);
    polls += 1;
    sendJson(response, polls > 2 ? job('succeeded', 2) : job('running', polls - 1));
  });
  const told = await summarize(
    createClient({ url, retry, watch: { ...watch, firstEventMsMax: 100 } }).jobs.watch('01JE'),
  );
  assert.deepEqual(told, ['running', 'done 0', 'block 0', 'done 1', 'block 1', 'done 2', 'succeeded']);
});

test('a stream that falls silent begins again; heartbeats keep one alive', async context => {
  const { url, asked } = await startStandIn(context, async (_request, response, count) => {
    tell(response, ['state', job('running', 0)]);
    if (count === 0) return; // the connection stays open, and nothing comes
    for (let beat = 0; beat < 12; beat += 1) {
      await new Promise(resolve => setTimeout(resolve, 125));
      response.write(': still here\n\n');
    }
    tell(response, ['state', job('cancelled', 0)]);
    response.end();
  });
  const told = await summarize(createClient({ url, retry, watch }).jobs.watch('01JE'));
  assert.deepEqual(told, ['running', 'cancelled']);
  assert.equal(asked.length, 2);
});

test('a job that is not there is a problem, not something to ask for again', async context => {
  const { url, asked } = await startStandIn(context, (_request, response) =>
    sendProblem(response, 'not-found', 404),
  );
  await assert.rejects(createClient({ url, retry, watch }).jobs.wait('01JE'), { slug: 'not-found' });
  assert.equal(asked.length, 1);
});

test('a watcher that leaves closes the stream', async context => {
  let left = () => {};
  const gone = new Promise<void>(resolve => {
    left = resolve;
  });
  const { url } = await startStandIn(context, (_request, response) => {
    response.on('close', left);
    tell(response, ['state', job('running', 0)]);
  });
  for await (const { event } of createClient({ url, watch }).jobs.watch('01JE')) {
    assert.equal(event, 'state');
    break;
  }
  await gone;
});
