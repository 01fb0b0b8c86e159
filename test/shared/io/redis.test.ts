// What a producer does before a server that stops answering. A real Redis cannot be made to answer one command of a
// connection and not the next, so a few lines stand for it.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { connectRedis } from '../../../shared/io/redis.ts';

const ANSWER_MS = 300;

/** Greets its first connection, answers FIRST there after a while, and says nothing more to anybody. */
async function startFadingServer(context: TestContext): Promise<string> {
  const sockets: Socket[] = [];
  const server = createServer(socket => {
    const isFirst = sockets.push(socket) === 1;
    socket.on('error', () => undefined);
    socket.on('data', bytes => {
      for (const [name = ''] of isFirst
        ? bytes.toString().matchAll(/\b(hello|setinfo|info|first)\b/gi)
        : []) {
        const answer = name.toLowerCase() === 'info' ? '$9\r\nloading:0\r\n' : '+OK\r\n';
        setTimeout(() => socket.write(answer), name === 'FIRST' ? ANSWER_MS : 0);
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return `redis://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('who has waited in vain for one command does not wait for the next', async context => {
  const redis = connectRedis(await startFadingServer(context), 'producer', () => undefined);
  context.after(() => redis.disconnect());
  await once(redis, 'ready');
  const first = redis.call('FIRST');
  const second = redis.call('SECOND');
  // Something was heard after the second was sent: the silence is younger than its patience.
  assert.equal(await first, 'OK');
  await assert.rejects(second, /timed out/);
  await assert.rejects(redis.call('THIRD'), error => !/timed out/.test((error as Error).message));
});
