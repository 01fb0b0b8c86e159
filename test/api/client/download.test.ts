// Bodies that break off on the way.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { createClient, encodeNpy, ndArray } from '../../../api/client/index.ts';
import { type Asked, startStandIn } from './stand-in.ts';

const array = ndArray(
  Float64Array.from({ length: 4000 }, (_, i) => i),
  [40, 100],
);
const file = encodeNpy(array);
const etag = `"${createHash('sha256').update(file).digest('hex')}"`;
const retry = { delayMs: 1, retries: 1 };

/** Sends from where the range begins, and breaks off before `stop`. */
function sendPart({ headers }: Asked, response: ServerResponse, stop: number): void {
  const start = Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1] ?? 0);
  response.writeHead(start > 0 ? 206 : 200, { ETag: etag, 'Content-Length': file.length - start });
  response.write(file.subarray(start, stop), () => {
    if (stop >= file.length) response.end();
    else setTimeout(() => response.destroy(), 10);
  });
}

test('a download that breaks off goes on where it was, of the same bytes', async context => {
  const stops = [1000, 1001, 20_000, file.length];
  const { url, asked } = await startStandIn(context, (request, response, count) =>
    sendPart(request, response, stops[count] ?? 0),
  );
  assert.deepEqual(await createClient({ url, retry }).jobs.result('01JE'), array);
  assert.deepEqual(
    asked.map(({ headers }) => [headers.range, headers['if-range']]),
    [
      [undefined, undefined],
      ['bytes=1000-', etag],
      ['bytes=1001-', etag],
      ['bytes=20000-', etag],
    ],
  );
});

test('a download that breaks off again and again without a byte fails', async context => {
  const { url, asked } = await startStandIn(context, (request, response) => sendPart(request, response, 500));
  await assert.rejects(createClient({ url, retry }).jobs.result('01JE'), { name: 'ConnectionError' });
  assert.ok(asked.length < 10);
});

test('other bytes than those that were begun are not joined to them', async context => {
  const { url } = await startStandIn(context, (request, response, count) =>
    count === 0
      ? sendPart(request, response, 500)
      : sendPart({ ...request, headers: {} }, response, file.length),
  );
  await assert.rejects(createClient({ url, retry }).jobs.result('01JE'), /changed on the way/);
});
