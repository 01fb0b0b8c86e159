// Random requests, as they are and damaged, to a gateway in a process of its own: every answer is a success or a problem
// of the table, none is a 500, others are answered meanwhile, and at the end the same process is there, unhurt.

import { equal, match, ok } from 'node:assert/strict';
import fc from 'fast-check';
import { ERRORS } from '../../shared/errors.ts';
import { exchange } from '../api/serve.ts';
import { probeLive } from '../support/live-probe.ts';
import { startTestRedis } from '../support/redis.ts';
import { startGatewayProcess } from '../system/gateway-process.ts';
import type { Campaign } from './campaign.ts';
import { mutated } from './mutate.ts';
import { requestBytes } from './requests.ts';

/** A request that announces more than it sends is waited for: no answer within this patience. */
const SILENCE_MS = 150;
const MEMORY_BYTES_MAX = 512 * 1024 * 1024;
const STATUSES: ReadonlySet<number> = new Set(Object.values(ERRORS).map(entry => entry.status));
const WORDS = [
  ...[
    '\r\n',
    '\r\n\r\n',
    '\n',
    '\r',
    '\0',
    ' ',
    ':',
    ',',
    ';',
    '%',
    '%00',
    '../',
    '\xff',
    '"',
    '\\',
    '{',
    '}',
    '[',
    ']',
  ],
  ...[
    'Content-Length: 5\r\n',
    'Transfer-Encoding: chunked\r\n',
    'Expect: 100-continue\r\n',
    'Host: b\r\n',
    '0\r\n\r\n',
  ],
  ...[
    'HTTP/1.0',
    'HTTP/2.0',
    '/v1/jobs',
    '/v1/batches',
    '--x',
    '--x--',
    '1e999',
    '"__proto__":',
    '\\u0000',
    '999999999',
  ],
];

/** The caller stops it. */
export async function startHttpCampaign(): Promise<Campaign & { stop(): Promise<void> }> {
  const redis = await startTestRedis();
  const gateway = await startGatewayProcess({ FRECHET_REDIS_URL: redis.url });
  const port = Number(new URL(gateway.url).port);
  const probe = probeLive(gateway.url);
  return {
    name: 'http',
    cases: 100_000,
    lanes: 8,
    async run(random, seed) {
      const [made] = fc.sample(requestBytes, { seed, numRuns: 1 });
      ok(made !== undefined);
      const bytes = random.below(2) === 0 ? made : Buffer.from(mutated(random, made, WORDS));
      const text = await exchange(port, bytes, SILENCE_MS).catch(ignoreReset);
      return judge(text, bytes);
    },
    async end() {
      equal(gateway.process.exitCode, null, gateway.log().slice(-5_000));
      const { failures, ...liveMs } = await probe.stop();
      equal(failures, 0, 'others are answered meanwhile');
      equal((await fetch(`${gateway.url}/readyz`)).status, 200);
      const bugs = gateway
        .log()
        .split('\n')
        .filter(line => /"level":"(error|fatal)"/.test(line));
      equal(bugs.length, 0, bugs.slice(0, 5).join('\n'));
      const { highest } = await gateway.memory();
      ok(highest < MEMORY_BYTES_MAX, `${highest} bytes of memory`);
      return {
        liveMs,
        memoryMiB: Math.round(highest / 1024 / 1024),
      };
    },
    async stop() {
      await probe.stop();
      await gateway.stop();
      await redis.stop();
    },
  };
}

/** A gateway that answers before it has read everything may reset the connection: that is no answer, and no fault. */
function ignoreReset(error: NodeJS.ErrnoException): string {
  if (error.code === 'ECONNRESET' || error.code === 'EPIPE') return '';
  throw error;
}

function judge(text: string, bytes: Buffer): string {
  const sent = () => JSON.stringify(bytes.toString('latin1').slice(0, 2000));
  const statuses: number[] = [];
  for (const [, status, head] of text.matchAll(/HTTP\/1\.1 (\d{3})([\s\S]*?)\r\n\r\n/g)) {
    const code = Number(status);
    statuses.push(code);
    if (code < 400) continue;
    ok(code !== 500, `${sent()} is answered ${text}`);
    ok(STATUSES.has(code), `${sent()} is answered ${text}`);
    match(head ?? '', /Content-Type: application\/problem\+json/, sent());
    match(head ?? '', /X-Request-Id: /, sent());
  }
  return String(statuses.at(-1) ?? 'no answer');
}
