// A gateway under hostile requests: each has its answer, leaves nothing behind, and slows nobody down.

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { ERRORS, type ErrorCode } from '../../../shared/errors.ts';
import { startTestRedis, type TestRedis } from '../../support/redis.ts';
import { startGateway, type TestGateway } from '../gateway.ts';
import { assertProblem } from '../problem-assertions.ts';

/** A request that fetch can send. */
export interface HostileRequest {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

export type HostileCase = readonly [what: string, request: HostileRequest, code: ErrorCode];
/** Bytes for a socket of their own. */
export type HostileBytes = readonly [what: string, bytes: string, code: ErrorCode];

const LIVE_MS_MAX = 250;
const LIVE_TRIES = 5;
const SILENCE_MS_MAX = 5_000;

/** Registers one test for each case, over one gateway. @param prepare makes what the cases may refer to */
export function testHostile(
  cases: (prepared: Readonly<Record<string, string>>) => readonly HostileCase[],
  names: readonly string[] = [],
  prepare: (gateway: TestGateway) => Promise<Record<string, string>> = async () => ({}),
): void {
  let redis: TestRedis;
  let gateway: TestGateway;
  let prepared: Record<string, string>;
  before(async () => {
    redis = await startTestRedis();
    gateway = await startGateway(redis.url);
    prepared = await prepare(gateway);
  });
  after(async () => {
    await gateway.close();
    await redis.stop();
  });
  // Names and number of the cases do not depend on what is prepared.
  const blank = Object.fromEntries(names.map(name => [name, '']));
  for (const [index, [what]] of cases(blank).entries()) {
    test(what, async () => {
      const [, request, code] = cases(prepared)[index]!;
      await unharmed(gateway, async () => {
        const { path, ...init } = request;
        const response = await fetch(`${gateway.url}${path}`, { method: 'GET', redirect: 'manual', ...init });
        if (init.method === 'HEAD') assert.equal(response.status, ERRORS[code].status);
        else await assertProblem(response, code);
      });
    });
  }
}

/** The same for requests that are no HTTP, or that no client library would send. */
export function testHostileBytes(cases: readonly HostileBytes[]): void {
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
  for (const [what, bytes, code] of cases) {
    test(what, async () => {
      await unharmed(gateway, async () => {
        const answer = await sendBytes(gateway.port, bytes);
        const [head = '', body = ''] = answer.split(/\r\n\r\n(.*)/s);
        assert.match(head, new RegExp(`^HTTP/1.1 ${ERRORS[code].status} `), answer.slice(0, 300));
        assert.ok(body.includes(`"urn:frechet:problem:${code}"`), answer.slice(0, 600));
      });
    });
  }
}

/** Nothing is stored, nothing is queued, and the gateway answers others at once. */
async function unharmed(gateway: TestGateway, attack: () => Promise<void>): Promise<void> {
  const [files, load] = [await gateway.storedFiles(), await gateway.deps.live.load()];
  await attack();
  assert.deepEqual(await gateway.storedFiles(), files, 'nothing is left behind');
  assert.deepEqual(await gateway.deps.live.load(), load, 'nothing is queued');
  // A machine that does other things at the same time may be late once; a gateway that is held up is late each time.
  const times: number[] = [];
  while (times.length < LIVE_TRIES && times.every(ms => ms >= LIVE_MS_MAX))
    times.push(await timeLive(gateway));
  assert.ok(Math.min(...times) < LIVE_MS_MAX, `others wait for ${times.join(', ')} ms`);
}

async function timeLive({ url }: TestGateway): Promise<number> {
  const startedAt = performance.now();
  assert.equal((await fetch(`${url}/livez`)).status, 200);
  return performance.now() - startedAt;
}

/** Sends the bytes, and answers the first answer as soon as it is whole. */
function sendBytes(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let received = '';
    const settle = () => {
      socket.destroy();
      resolve(received);
    };
    socket.setEncoding('latin1').setTimeout(SILENCE_MS_MAX, settle);
    socket.on('data', piece => {
      received += piece;
      const head = received.indexOf('\r\n\r\n');
      const length = /^content-length: (\d+)\r$/im.exec(received.slice(0, head + 1))?.[1];
      if (head >= 0 && length !== undefined && received.length >= head + 4 + Number(length)) settle();
    });
    socket.on('end', settle);
    socket.on('error', reject);
    socket.write(Buffer.from(bytes, 'latin1'));
  });
}

export const json = (path: string, body: unknown, headers: Record<string, string> = {}): HostileRequest => ({
  method: 'POST',
  path,
  headers: { 'Content-Type': 'application/json', ...headers },
  body: typeof body === 'string' ? body : JSON.stringify(body),
});
