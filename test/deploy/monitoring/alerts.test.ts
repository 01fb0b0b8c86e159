// Four real installations in trouble, and a real Prometheus that watches them: every alert fires over the fault that it
// is about, and panels that are empty while all is well have data.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildDashboard } from '../../../deploy/monitoring/grafana/dashboards/build.ts';
import { DASHBOARDS } from '../../../deploy/monitoring/grafana/dashboards/index.ts';
import { createReleasers, type Releasers } from '../../../shared/io/releasers.ts';
import { panelExpressions, ruleExpressions } from './expressions.ts';
import { adaptExpression, isData, type Prometheus, settle, startPrometheus } from './prometheus.ts';
import { startCut } from './trouble/cut.ts';
import { startFull } from './trouble/full.ts';
import { startIdle } from './trouble/idle.ts';
import { startWrong } from './trouble/wrong.ts';

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
/** The namespaces that have targets. */
let watched: ReadonlySet<string>;

before(async () => {
  const targets = (await Promise.all(Object.values(TROUBLES).map(start => start(releasers)))).flat();
  watched = new Set(targets.map(({ namespace }) => namespace));
  prometheus = await startPrometheus(targets);
  releasers.push('Prometheus', prometheus.stop);
});
after(() => releasers.release());

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
  assert.deepEqual(await settle(prometheus, firing), []);
});

test('panels of faults have data where there are faults', async () => {
  const panels = panelExpressions().filter(({ emptyWhenHealthy }) => emptyWhenHealthy);
  assert.ok(panels.length >= 4);
  const expected = panels.map(({ place, expr }) => ({
    place,
    // Every installation's answer under a label of its own.
    expr: [...watched]
      .map(namespace => `label_replace(${adaptExpression(expr, namespace)}, "at", "${namespace}", "", "")`)
      .join(' or '),
    holds: isData,
  }));
  assert.deepEqual(await settle(prometheus, expected), []);
});

test('annotations show alerts that fire and versions that came', async () => {
  const annotations = DASHBOARDS.flatMap(spec => buildDashboard(spec).annotations?.list ?? []);
  assert.equal(annotations.length, 2 * DASHBOARDS.length);
  const expected = annotations.map(({ name, expr }) => ({
    place: String(name),
    expr: adaptExpression(expr ?? '', 'idle'),
    holds: isData,
  }));
  assert.deepEqual(await settle(prometheus, expected), []);
});

test('without any gateway that answers, Prometheus says so', async () => {
  const absent = ruleExpressions().find(({ place }) => place === ABOUT_ALL_NAMESPACES);
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
