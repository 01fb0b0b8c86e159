import assert from 'node:assert/strict';
import { mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { FrechetError } from '../../../shared/errors.ts';
import { createReadiness, startAdminListener, storeCheck } from '../../../shared/io/probes.ts';
import { openFileStore } from '../../../shared/io/store/file-store.ts';
import type { Store } from '../../../shared/io/store/store.ts';

const METRICS = async () => ({ contentType: 'text/plain; version=0.0.4', text: 'a_metric 1\n' });

test('readiness is the first fault in the order of the checks', async () => {
  const ready = createReadiness({ a: async () => undefined, b: async () => undefined });
  assert.equal(await ready(), undefined);
  const faulty = createReadiness({
    a: async () => undefined,
    b: () => new Promise(resolve => setTimeout(resolve, 30, 'b is late and wrong')),
    c: async () => 'c is wrong',
  });
  assert.equal(await faulty(), 'b is late and wrong');
});

test('a check that throws is a fault; only our own errors are quoted', async () => {
  const ours = createReadiness({
    store: async () => {
      throw new FrechetError('store-full', 'the store is full');
    },
  });
  assert.equal(await ours(), 'store: the store is full');
  const foreign = createReadiness({
    store: async () => {
      throw new Error('ENOENT /secret/path');
    },
  });
  assert.equal(await foreign(), 'store is not usable');
});

test('probes that come at once share one look; later ones look again', async () => {
  let looks = 0;
  const readiness = createReadiness({
    count: async () => {
      looks += 1;
      return undefined;
    },
  });
  await Promise.all([readiness(), readiness(), readiness()]);
  assert.equal(looks, 1);
  await new Promise(resolve => setTimeout(resolve, 600));
  await readiness();
  assert.equal(looks, 2);
});

test('a check that hangs is a fault within seconds', async () => {
  const readiness = createReadiness({ store: () => new Promise(() => undefined) });
  assert.match((await readiness()) ?? '', /^store did not answer in \d+ s$/);
});

test('a store is usable when it takes an object', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'frechet-probes-'));
  try {
    const check = storeCheck(await openFileStore(folder), 'test');
    assert.equal(await check(), undefined);
    await rename(join(folder, 'tmp'), join(folder, 'elsewhere'));
    await assert.rejects(check);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('a full store is ready: what it holds is served, and may be deleted', async () => {
  const full = {
    put: () => Promise.reject(new FrechetError('store-full', 'full')),
  } as unknown as Store; // nothing else is asked of it
  assert.equal(await storeCheck(full, 'test')(), undefined);
});

test('the admin listener answers probes and metrics, and problems for all else', async () => {
  let fault: string | undefined;
  const listener = await startAdminListener({
    host: '127.0.0.1',
    port: 0,
    readiness: async () => fault,
    metrics: METRICS,
  });
  const get = (path: string, init?: RequestInit) => fetch(listener.url + path, init);
  try {
    assert.equal(await (await get('/livez')).text(), 'live\n');
    assert.equal(await (await get('/readyz?verbose')).text(), 'ready\n');
    const metrics = await get('/metrics');
    assert.equal(metrics.headers.get('content-type'), 'text/plain; version=0.0.4');
    assert.equal(await metrics.text(), 'a_metric 1\n');
    fault = 'Redis is away';
    const unready = await get('/readyz');
    assert.equal(unready.status, 503);
    assert.equal(unready.headers.get('content-type'), 'application/problem+json');
    assert.match(unready.headers.get('retry-after') ?? '', /^\d+$/);
    const problem = (await unready.json()) as Record<string, unknown>;
    assert.equal(problem.type, 'urn:frechet:problem:unavailable');
    assert.equal(problem.detail, 'Redis is away');
    assert.equal(problem.instance, unready.headers.get('x-request-id'));
    assert.equal((await get('/livez')).status, 200, 'alive all the same');
    assert.equal((await get('/')).status, 404);
    const wrong = await get('/metrics', { method: 'POST' });
    assert.equal(wrong.status, 405);
    assert.equal(wrong.headers.get('allow'), 'GET, HEAD');
  } finally {
    await listener.close();
  }
});

test('metrics that cannot be collected are 503 and end nothing', async () => {
  const listener = await startAdminListener({
    host: '127.0.0.1',
    port: 0,
    readiness: async () => undefined,
    metrics: async () => {
      throw new Error('no');
    },
  });
  try {
    assert.equal((await fetch(`${listener.url}/metrics`)).status, 503);
    assert.equal((await fetch(`${listener.url}/livez`)).status, 200);
  } finally {
    await listener.close();
  }
});
