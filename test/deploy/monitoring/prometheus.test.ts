// Every expression that is shipped, evaluated by a real Prometheus that watches a real installation. It is well: its
// panels and rules have data, its alerts none. alerts.test.ts is about those that are not.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { buildDashboard } from '../../../deploy/monitoring/grafana/dashboards/build.ts';
import { DASHBOARDS } from '../../../deploy/monitoring/grafana/dashboards/index.ts';
import { createReleasers, type Releasers } from '../../../shared/io/releasers.ts';
import { type Client, createClient, inline } from '../../support/client.ts';
import { integers } from '../../support/integers.ts';
import { matrixNpy } from '../../support/npy.ts';
import { startStack } from '../../support/processes.ts';
import { startKubelet, startRedisExporter } from './exporters.ts';
import { panelExpressions, ruleExpressions } from './expressions.ts';
import {
  adaptExpression,
  isData,
  type Prometheus,
  type Sample,
  settle,
  startPrometheus,
  type Target,
} from './prometheus.ts';
import { repeat } from './trouble/repeat.ts';

const EXPRESSIONS = [...ruleExpressions(), ...panelExpressions()];
const releasers: Releasers = createReleasers();
let prometheus: Prometheus;
let kernel: string;

before(async () => {
  prometheus = await startPrometheus(await startWell());
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

test('panels and rules of an installation that is well have data', async () => {
  const expected = EXPRESSIONS.filter(expression => !expression.emptyWhenHealthy).map(({ place, expr }) => ({
    place,
    expr: adaptExpression(expr, 'well'),
    holds: (samples: readonly Sample[]) =>
      isData(samples.filter(({ metric }) => (metric.namespace ?? 'well') === 'well')),
  }));
  assert.ok(expected.length > 50);
  assert.deepEqual(await settle(prometheus, expected), []);
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
  assert.deepEqual(await settle(prometheus, silent), []);
});

test('variables of the dashboards find values', async () => {
  for (const spec of DASHBOARDS) {
    for (const { type, query } of buildDashboard(spec).templating?.list ?? []) {
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
