// A gateway under hostile requests: each has its answer, leaves nothing behind, and slows nobody down.

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
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

const STALL_MS_MAX = 250;
const STALL_RESOLUTION_MS = 5;
const STALL_TRIES = 5;
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

/** Nothing is stored, nothing is queued, and nobody else is held up meanwhile. */
async function unharmed(gateway: TestGateway, attack: () => Promise<void>): Promise<void> {
  const [files, load] = [await gateway.storedFiles(), await gateway.deps.live.load()];
  // A machine that does other things at the same time may be late once; a gateway that is held up is late each time.
  const stalls: number[] = [];
  while (stalls.length < STALL_TRIES && stalls.every(ms => ms >= STALL_MS_MAX))
    stalls.push(await longestStall(attack));
  assert.ok(Math.min(...stalls) < STALL_MS_MAX, `others wait for ${stalls.join(', ')} ms`);
  assert.deepEqual(await gateway.storedFiles(), files, 'nothing is left behind');
  assert.deepEqual(await gateway.deps.live.load(), load, 'nothing is queued');
  assert.equal((await fetch(`${gateway.url}/livez`)).status, 200);
}

/** How long the event loop, the gateway's and the attacker's, stood still at most during the attack, in ms. */
async function longestStall(attack: () => Promise<void>): Promise<number> {
  const delay = monitorEventLoopDelay({ resolution: STALL_RESOLUTION_MS });
  delay.enable();
  await attack();
  await sleep(2 * STALL_RESOLUTION_MS);
  delay.disable();
  return delay.max / 1e6;
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
