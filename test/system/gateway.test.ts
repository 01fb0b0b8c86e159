import assert from 'node:assert/strict';
import { rename } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectRedis } from '../../shared/io/redis.ts';
import { startTestRedis, type TestRedis } from '../support/redis.ts';
import { type GatewayProcess, startGatewayProcess } from './gateway-process.ts';

let redis: TestRedis;
let gateway: GatewayProcess;
before(async () => {
  redis = await startTestRedis();
  gateway = await startGatewayProcess({ FRECHET_REDIS_URL: redis.url });
});
after(async () => {
  await gateway.stop();
  await redis.stop();
});

/** Asks until the answer has the status, and answers its text. */
async function eventually(url: string, status: number): Promise<string> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const response = await fetch(url);
    const text = await response.text();
    if (response.status === status) return text;
    assert.ok(Date.now() < deadline, `${url} still answers ${response.status}: ${text}`);
    await sleep(100);
  }
}

test('probes answer on both listeners, metrics on the admin port alone', async () => {
  for (const base of [gateway.url, gateway.adminUrl]) {
    for (const probe of ['/livez', '/readyz']) {
      assert.equal((await fetch(base + probe)).status, 200);
      assert.equal((await fetch(base + probe, { method: 'HEAD' })).status, 200);
      assert.equal((await fetch(base + probe, { method: 'POST' })).status, 405);
    }
  }
  assert.equal((await fetch(`${gateway.url}/metrics`)).status, 404);
  assert.equal((await fetch(`${gateway.adminUrl}/v1/system`)).status, 404);
  const response = await fetch(`${gateway.adminUrl}/metrics`);
  assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
  const text = await response.text();
  assert.match(text, /^frechet_build_info\{version="\d+\.\d+\.\d+",kernel="none"\} 1$/m);
  assert.match(text, /^frechet_jobs\{state="queued"\} 0$/m);
  assert.match(
    text,
    /^frechet_http_request_duration_seconds_count\{method="GET",route="\/readyz",status="200"\} \d+$/m,
  );
  assert.ok(text.endsWith('\n'));
});

test('the system document has version, every limit, workers and queue', async () => {
  const response = await fetch(`${gateway.url}/v1/system`);
  const system = (await response.json()) as {
    version: string;
    limits: Record<string, number | string>;
    workers: unknown[];
    queue: unknown;
  };
  assert.match(system.version, /^\d+\.\d+\.\d+/);
  assert.equal(system.limits.jsonBodyBytesMax, 4 * 1024 * 1024);
  assert.equal(system.limits.jobFlopsMax, '10000000000000000');
  assert.deepEqual(system.workers, []);
  assert.deepEqual(system.queue, { queued: 0, running: 0, backlogFlops: 0 });
});

test('bytes that reach the store are counted', async () => {
  await fetch(`${gateway.url}/v1/arrays`, {
    method: 'POST',
    body: '[[1,2],[3,4]]',
    headers: { 'Content-Type': 'application/json' },
  });
  const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
  const written = /^frechet_store_bytes_total\{direction="write"\} (\d+)$/m.exec(text)?.[1];
  assert.ok(Number(written) >= 32);
});

test('without Redis the gateway serves what the store knows, and says what it cannot do', async () => {
  await redis.kill();
  try {
    for (const url of [gateway.url, gateway.adminUrl]) {
      // A look is shared for a moment.
      let text = 'ready\n';
      for (; text === 'ready\n'; await sleep(20)) text = await eventually(`${url}/readyz`, 200);
      assert.match(text, /^ready, but Redis is not reachable/);
    }
    assert.equal((await fetch(`${gateway.url}/livez`)).status, 200);
    const system = await fetch(`${gateway.url}/v1/system`);
    assert.equal(system.status, 503);
    assert.match(system.headers.get('retry-after') ?? '', /^\d+$/);
    assert.equal((await fetch(`${gateway.adminUrl}/metrics`)).status, 200, 'a scrape does not need Redis');
    assert.equal((await fetch(`${gateway.url}/v1/arrays`)).status, 200, 'nor do arrays');
  } finally {
    await redis.restart();
  }
  while ((await eventually(`${gateway.url}/readyz`, 200)) !== 'ready\n') await sleep(20);
});

test('a Redis that may evict makes the gateway not ready', async () => {
  const client = connectRedis(redis.url, 'consumer', () => undefined);
  try {
    await client.call('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
    assert.match(await eventually(`${gateway.adminUrl}/readyz`, 503), /allkeys-lru.*noeviction/);
    await client.call('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
    await eventually(`${gateway.adminUrl}/readyz`, 200);
  } finally {
    client.disconnect();
  }
});

test('a store that cannot be written makes the gateway not ready', async () => {
  const temporaries = join(gateway.dataDir, 'store', 'tmp');
  await rename(temporaries, `${temporaries}-away`);
  try {
    assert.match(await eventually(`${gateway.adminUrl}/readyz`, 503), /store/);
  } finally {
    await rename(`${temporaries}-away`, temporaries);
  }
  await eventually(`${gateway.adminUrl}/readyz`, 200);
});

test('SIGTERM: what is under way ends well, nothing new begins, exit code 0', async () => {
  const other = await startGatewayProcess({ FRECHET_REDIS_URL: redis.url });
  const answer = new Promise<number | undefined>((resolve, reject) => {
    const request = httpRequest(
      `${other.url}/v1/arrays`,
      { method: 'POST', headers: { 'Content-Type': 'application/json' } },
      response => {
        response.resume();
        resolve(response.statusCode);
      },
    );
    request.on('error', reject);
    request.write('[[1,2],');
    setTimeout(() => other.process.kill('SIGTERM'), 100);
    setTimeout(() => request.end('[3,4]]'), 4_500);
  });
  await sleep(400);
  const late = await fetch(`${other.url}/livez`);
  assert.equal(late.headers.get('connection'), 'close', 'whoever comes late is sent elsewhere');
  await sleep(3_400);
  await assert.rejects(fetch(`${other.url}/livez`), 'no new connections');
  assert.match(await (await fetch(`${other.adminUrl}/readyz`)).text(), /shutting down/);
  assert.equal((await fetch(`${other.adminUrl}/livez`)).status, 200);
  assert.equal(await answer, 201);
  assert.equal(await other.exit, 0);
  await other.stop();
});

test('a gateway whose parent is gone ends by itself', async () => {
  const orphan = await startGatewayProcess({ FRECHET_REDIS_URL: redis.url });
  orphan.process.disconnect();
  assert.equal(await orphan.exit, 0);
  await orphan.stop();
});

test('a gateway starts without Redis', async () => {
  const lonely = await startGatewayProcess({ FRECHET_REDIS_URL: 'unix:/nonexistent/redis.sock' });
  try {
    assert.equal((await fetch(`${lonely.url}/livez`)).status, 200);
    assert.match(await (await fetch(`${lonely.url}/readyz`)).text(), /^ready, but Redis/);
  } finally {
    await lonely.stop();
  }
  assert.equal(await lonely.exit, 0);
});

test('settings that are wrong or unsafe end the start with a sentence', async () => {
  const cases = [
    [{ FRECHET_HOST: '0.0.0.0' }, /FRECHET_ALLOW_ANONYMOUS/],
    [{ FRECHET_HOST: '::' }, /FRECHET_ALLOW_ANONYMOUS/],
    [{ FRECHET_PORT: 'x' }, /FRECHET_PORT.*0.*65535/],
    [{ FRECHET_API_KEYS_FILE: '/keys.json' }, /FRECHET_API_KEYS_FILE/],
  ] as const;
  for (const [env, message] of cases) {
    const start = startGatewayProcess({ FRECHET_REDIS_URL: redis.url, ...env });
    await assert.rejects(start, (error: Error) => {
      assert.match(error.message, /ended with 1/);
      assert.match(error.message, message);
      return true;
    });
  }
  const open = await startGatewayProcess({
    FRECHET_REDIS_URL: redis.url,
    FRECHET_HOST: '0.0.0.0',
    FRECHET_ALLOW_ANONYMOUS: 'true',
  });
  await open.stop();
});

test('a port that is taken ends the start', async () => {
  const port = new URL(gateway.url).port;
  const start = startGatewayProcess({ FRECHET_REDIS_URL: redis.url, FRECHET_PORT: port });
  await assert.rejects(start, /ended with 1[\s\S]*EADDRINUSE/);
});
