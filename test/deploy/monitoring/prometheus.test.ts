// Every expression that is shipped, evaluated by a real Prometheus that watches two installations. One is real and well:
// its panels and rules have data, its alerts none. The other is in trouble, partly for real (its Redis evicts, another is
// gone, its gateway has none), partly by stand-ins: there everything that is empty while all is well has data.

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildDashboard } from '../../../deploy/monitoring/grafana/dashboards/build.ts';
import { DASHBOARDS } from '../../../deploy/monitoring/grafana/dashboards/index.ts';
import { createReleasers, type Releasers } from '../../../shared/io/releasers.ts';
import { type Client, createClient, inline } from '../../support/client.ts';
import { integers } from '../../support/integers.ts';
import { matrixNpy } from '../../support/npy.ts';
import { startStack } from '../../support/processes.ts';
import { startTestRedis } from '../../support/redis.ts';
import { startGatewayProcess } from '../../system/gateway-process.ts';
import {
  startGatewayInTrouble,
  startKubelet,
  startRedisExporter,
  startWorkerInTrouble,
} from './exporters.ts';
import { panelExpressions, ruleExpressions } from './expressions.ts';
import { adaptExpression, type Prometheus, type Sample, startPrometheus, type Target } from './prometheus.ts';

const WAIT_MS_MAX = 40_000;
const EXPRESSIONS = [...ruleExpressions(), ...panelExpressions()];
/** It compares with a healthy installation that has no gateway, so no installation beside it may have one. */
const ABOUT_ALL_NAMESPACES = 'FrechetGatewayAbsent';

const releasers: Releasers = createReleasers();
let prometheus: Prometheus;
let kernel: string;

before(async () => {
  const [well, trouble] = await Promise.all([startWell(), startTrouble()]);
  const nobody: Target = { job: 'frechet-worker', namespace: 'trouble', pod: 'gone', address: '127.0.0.1:1' };
  prometheus = await startPrometheus([...well, ...trouble, nobody]);
  releasers.push('Prometheus', prometheus.stop);
});
after(() => releasers.release());

async function startWell(): Promise<Target[]> {
  const stack = await startStack({ env: { FRECHET_THREADS: '1', FRECHET_MEMORY_BYTES: '64MiB' } });
  releasers.push('the stack', stack.stop);
  const client = createClient(stack.url);
  const [redis, kubelet, job] = await Promise.all([
    startRedisExporter(stack.redisUrl),
    startKubelet(1e11, 6e10, 0),
    client.compute({
      operation: 'value',
      expression: 'A',
      operands: { A: inline(integers(1, 1, 1)) },
      wrt: 'A',
    }),
  ]);
  kernel = String(job.kernel);
  releasers.push('the exporters', async () => {
    await Promise.all([redis.stop(), kubelet.stop()]);
  });
  const load = keepBusy(client);
  releasers.push('the load', load.stop);
  const inWell = (job: string, pod: string, address: string): Target => ({
    job,
    pod,
    address,
    namespace: 'well',
  });
  return [
    inWell('frechet-gateway', 'gateway', new URL(stack.adminUrl).host),
    inWell('frechet-worker', 'worker', new URL(stack.workers[0]!.ready.adminUrl).host),
    inWell('frechet-redis', 'redis', redis.address),
    inWell('kubelet', 'node', kubelet.address),
  ];
}

/** Jobs of every operation, uploads and reads, until stopped. */
function keepBusy(client: Client): { stop(): Promise<void> } {
  let isStopped = false;
  const run = async () => {
    for (let seed = 1; !isStopped; seed += 1) {
      const A = await client.upload(matrixNpy(integers(40, 30, seed)));
      const W = inline(integers(30, 20, seed));
      for (const job of [
        { operation: 'value', operands: { A, W } },
        { operation: 'jvp', operands: { A }, direction: W },
        { operation: 'vjp', operands: { A }, cotangent: inline(integers(40, 20, seed)) },
        { operation: 'jacobian', operands: { A, W: { shape: [30, 2] } } },
        { operation: 'check', operands: { A, W } },
      ]) {
        const { id } = await client.compute(job);
        await client.read(id);
        await (await client.get(`/v1/jobs/${id}/result`)).arrayBuffer();
      }
      await sleep(50);
    }
  };
  const ended = run();
  return {
    async stop() {
      isStopped = true;
      await ended;
    },
  };
}

async function startTrouble(): Promise<Target[]> {
  const [evicting, gateway, worker, answers, kubelet, gone] = await Promise.all([
    startTestRedis(),
    startGatewayProcess({ FRECHET_REDIS_URL: 'unix:/nonexistent/redis.sock' }),
    startWorkerInTrouble(),
    startGatewayInTrouble(),
    startKubelet(1e11, 4e9, 1e6),
    startRedisExporter('redis://127.0.0.1:1'),
  ]);
  await configure(evicting.url, ['maxmemory 1mb', 'maxmemory-policy allkeys-lru']);
  const redis = await startRedisExporter(evicting.url);
  for (const [name, part] of Object.entries({ evicting, gateway, worker, answers, kubelet, gone, redis })) {
    releasers.push(name, () => part.stop());
  }
  const timer = setInterval(() => askInVain(gateway.url), 300);
  releasers.push('requests in vain', async () => clearInterval(timer));
  const inTrouble = (job: string, pod: string, address: string): Target => ({
    job,
    pod,
    address,
    namespace: 'trouble',
  });
  return [
    inTrouble('frechet-gateway', 'gateway', new URL(gateway.adminUrl).host),
    inTrouble('frechet-gateway', 'late', answers.address),
    inTrouble('frechet-worker', 'worker', worker.address),
    inTrouble('frechet-redis', 'redis', redis.address),
    inTrouble('frechet-redis', 'gone', gone.address),
    inTrouble('kubelet', 'node', kubelet.address),
  ];
}

/** One request that the client gets wrong, and one that fails for want of Redis. */
async function askInVain(url: string): Promise<void> {
  const job = {
    operation: 'jvp',
    operands: { A: inline(integers(1, 1, 1)) },
    direction: inline(integers(1, 1, 2)),
  };
  const client = createClient(url);
  const answers = await Promise.allSettled([
    client.get('/v1/jobs/01ARZ3NDEKTSV4RRFFQ69G5FAV'),
    client.post('/v1/jobs', JSON.stringify(job), { 'Content-Type': 'application/json' }),
  ]);
  for (const answer of answers) if (answer.status === 'fulfilled') await answer.value.body?.cancel();
}

async function configure(url: string, settings: readonly string[]): Promise<void> {
  const socket = connect(url.slice('unix:'.length));
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    let answers = 0;
    socket.on('data', bytes => {
      answers += bytes.toString().split('+OK').length - 1;
      if (answers === settings.length) resolve();
    });
    for (const setting of settings) socket.write(`CONFIG SET ${setting}\r\n`);
  });
  socket.destroy();
}

/** Queries until the answer is as wanted. Answers the places of those that never were. */
async function settle(
  wanted: readonly {
    readonly place: string;
    readonly expr: string;
    readonly holds: (samples: readonly Sample[]) => boolean;
  }[],
): Promise<string[]> {
  const deadline = Date.now() + WAIT_MS_MAX;
  let open = wanted;
  while (open.length > 0 && Date.now() < deadline) {
    const answers = await Promise.all(open.map(({ expr }) => prometheus.query(expr)));
    open = open.filter(({ holds }, index) => !holds(answers[index] ?? []));
    if (open.length > 0) await sleep(500);
  }
  return open.map(({ place, expr }) => `${place}: ${expr}`);
}

const isData = (samples: readonly Sample[]) => samples.some(({ value }) => value[1] !== 'NaN');

test('panels and rules of an installation that is well have data', async () => {
  const expected = EXPRESSIONS.filter(expression => !expression.emptyWhenHealthy).map(({ place, expr }) => ({
    place,
    expr: adaptExpression(expr, 'well'),
    holds: (samples: readonly Sample[]) =>
      isData(samples.filter(({ metric }) => (metric.namespace ?? 'well') === 'well')),
  }));
  assert.ok(expected.length > 50);
  assert.deepEqual(await settle(expected), []);
});

test('alerts about an installation that is well stay silent, and so do its panels of faults', async () => {
  const silent = EXPRESSIONS.filter(({ emptyWhenHealthy }) => emptyWhenHealthy)
    // On a machine without a BLAS it is right.
    .filter(({ place }) => place !== 'FrechetNativeKernelMissing' || kernel === 'native')
    .map(({ place, expr }) => ({
      place,
      expr: adaptExpression(expr, 'well'),
      holds: (samples: readonly Sample[]) =>
        !isData(samples.filter(({ metric }) => (metric.namespace ?? 'well') === 'well')),
    }));
  assert.deepEqual(await settle(silent), []);
});

test('what is empty while all is well has data in an installation in trouble', async () => {
  const expected = EXPRESSIONS.filter(({ emptyWhenHealthy }) => emptyWhenHealthy)
    .filter(({ place }) => place !== ABOUT_ALL_NAMESPACES)
    .map(({ place, expr }) => ({
      place,
      expr: adaptExpression(expr, 'trouble'),
      holds: (samples: readonly Sample[]) =>
        isData(samples.filter(({ metric }) => (metric.namespace ?? 'trouble') === 'trouble')),
    }));
  assert.ok(expected.length > 15);
  assert.deepEqual(await settle(expected), []);
});

test('alerts reach the state firing, where the dashboards read them', async () => {
  const firing = { place: 'ALERTS', expr: 'ALERTS{alertstate="firing", namespace="trouble"}' };
  const missing = await settle([{ ...firing, holds: samples => samples.length >= 15 }]);
  assert.deepEqual(missing, []);
});

test('annotations and variables of the dashboards are valid', async () => {
  for (const spec of DASHBOARDS) {
    const { annotations, templating } = buildDashboard(spec);
    for (const { expr } of annotations?.list ?? []) {
      assert.ok(isData(await prometheus.query(adaptExpression(expr ?? '', 'trouble'))), expr);
    }
    for (const { type, query } of templating?.list ?? []) {
      if (type !== 'query') continue;
      const [, series = '', label = ''] = /^label_values\((.*), (\w+)\)$/.exec(String(query)) ?? [];
      const samples = await prometheus.query(adaptExpression(series, 'well'));
      assert.ok(
        samples.some(({ metric }) => metric[label] !== undefined),
        String(query),
      );
    }
  }
});

test('an expression that asks for nothing that exists, or is no PromQL, is noticed', async () => {
  assert.equal(isData(await prometheus.query('frechet_nothing_total')), false);
  await assert.rejects(prometheus.query('sum by (pod) rate('), /parse error/);
});

test('without any gateway that answers, Prometheus says so', async () => {
  const absent = EXPRESSIONS.find(({ place }) => place === ABOUT_ALL_NAMESPACES);
  assert.ok(absent !== undefined);
  const { expr } = absent;
  assert.equal(isData(await prometheus.query(expr)), false, 'two installations have one');
  const alone = await startPrometheus([
    { job: 'frechet-gateway', namespace: 'trouble', pod: 'gone', address: '127.0.0.1:1' },
  ]);
  try {
    for (let attempt = 0; !isData(await alone.query(expr)); attempt += 1) {
      assert.ok(attempt < 100, 'absent() answers');
      await sleep(200);
    }
  } finally {
    await alone.stop();
  }
});
