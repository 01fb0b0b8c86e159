// Every expression that is shipped, evaluated by a real Prometheus that watches five real installations. One is well:
// its panels and rules have data, its alerts none. Four are in trouble: there everything that is empty while all is well
// has data, and every alert fires over the fault that it is about.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildDashboard } from '../../../deploy/monitoring/grafana/dashboards/build.ts';
import { DASHBOARDS } from '../../../deploy/monitoring/grafana/dashboards/index.ts';
import { createReleasers, type Releasers } from '../../../shared/io/releasers.ts';
import { type Client, createClient, inline } from '../../support/client.ts';
import { integers } from '../../support/integers.ts';
import { matrixNpy } from '../../support/npy.ts';
import { startStack } from '../../support/processes.ts';
import { startKubelet, startRedisExporter } from './exporters.ts';
import { panelExpressions, ruleExpressions } from './expressions.ts';
import { adaptExpression, type Prometheus, type Sample, startPrometheus, type Target } from './prometheus.ts';
import { startCut } from './trouble/cut.ts';
import { startFull } from './trouble/full.ts';
import { startIdle } from './trouble/idle.ts';
import { repeat } from './trouble/repeat.ts';
import { startWrong } from './trouble/wrong.ts';

const WAIT_MS_MAX = 60_000;
const EXPRESSIONS = [...ruleExpressions(), ...panelExpressions()];
/** Alert → the installation whose fault it is about. */
const PROVOKED: Readonly<Record<string, keyof typeof TROUBLES>> = {
  FrechetNoWorkerConsuming: 'idle',
  FrechetBacklogGrowing: 'idle',
  FrechetGatewaySlow: 'idle',
  FrechetMixedVersions: 'idle',
  FrechetJobsFailing: 'wrong',
  FrechetVerificationFailed: 'wrong',
  FrechetBlocksStalled: 'wrong',
  FrechetQueueWaitLong: 'wrong',
  FrechetBlocksRetried: 'full',
  FrechetNativeKernelMissing: 'full',
  FrechetStoreFilling: 'full',
  FrechetStoreAlmostFull: 'full',
  FrechetGatewayErrors: 'cut',
  FrechetTargetDown: 'cut',
  FrechetRedisDown: 'cut',
  FrechetRedisEvicts: 'cut',
  FrechetRedisMemoryHigh: 'cut',
};
const TROUBLES = { idle: startIdle, wrong: startWrong, full: startFull, cut: startCut };
/** No gateway anywhere: it needs a Prometheus of its own. */
const ABOUT_ALL_NAMESPACES = 'FrechetGatewayAbsent';

const releasers: Releasers = createReleasers();
let prometheus: Prometheus;
let kernel: string;
/** The namespaces that have targets. */
let watched: ReadonlySet<string>;

before(async () => {
  const targets = await Promise.all([startWell(), ...Object.values(TROUBLES).map(start => start(releasers))]);
  prometheus = await startPrometheus(targets.flat());
  watched = new Set(targets.flat().map(({ namespace }) => namespace));
  releasers.push('Prometheus', prometheus.stop);
});
after(() => releasers.release());

async function startWell(): Promise<Target[]> {
  const stack = await startStack({ env: { FRECHET_THREADS: '1', FRECHET_MEMORY_BYTES: '64MiB' } });
  releasers.push('the stack', stack.stop);
  const client = createClient(stack.url);
  const [redis, kubelet, job] = await Promise.all([
    startRedisExporter(stack.redisUrl),
    startKubelet(async () => ({ capacity: 1e11, available: 6e10 })),
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
  let seed = 0;
  repeat(releasers, 50, () => {
    seed += 1;
    return useEverything(client, seed);
  });
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

/** Uploads, jobs of every operation, and reads. */
async function useEverything(client: Client, seed: number): Promise<void> {
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

test('every alert fires over the fault that it is about', async context => {
  const alerts = ruleExpressions().filter(({ isAlert }) => isAlert);
  assert.deepEqual(
    alerts.map(({ place }) => place).sort(),
    [...Object.keys(PROVOKED), ABOUT_ALL_NAMESPACES].sort(),
  );
  const unmounted = Object.keys(PROVOKED).filter(alert => !watched.has(PROVOKED[alert]!));
  if (unmounted.length > 0)
    context.diagnostic(`without a small disk nobody provokes ${unmounted.join(', ')}`);
  const expected = Object.entries(PROVOKED).filter(([alert]) => !unmounted.includes(alert));
  const firing = expected.map(([alert, namespace]) => ({
    place: alert,
    expr: `ALERTS{alertname="${alert}", alertstate="firing", namespace="${namespace}"}`,
    holds: isData,
  }));
  assert.deepEqual(await settle(firing), []);
});

test('panels of faults have data where there are faults', async () => {
  const panels = panelExpressions().filter(({ emptyWhenHealthy }) => emptyWhenHealthy);
  assert.ok(panels.length >= 4);
  const expected = panels.map(({ place, expr }) => ({
    place,
    // Every installation's answer under a label of its own.
    expr: [...watched]
      .filter(namespace => namespace !== 'well')
      .map(namespace => `label_replace(${adaptExpression(expr, namespace)}, "at", "${namespace}", "", "")`)
      .join(' or '),
    holds: isData,
  }));
  assert.deepEqual(await settle(expected), []);
});

test('annotations and variables of the dashboards are valid', async () => {
  for (const spec of DASHBOARDS) {
    const { annotations, templating } = buildDashboard(spec);
    for (const { expr } of annotations?.list ?? []) {
      assert.ok(isData(await prometheus.query(adaptExpression(expr ?? '', 'idle'))), expr);
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
  assert.equal(isData(await prometheus.query(expr)), false, 'some installation has one');
  const alone = await startPrometheus([
    { job: 'frechet-gateway', namespace: 'idle', pod: 'gone', address: '127.0.0.1:1' },
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
