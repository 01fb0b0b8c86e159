// Dashboards and rules against what they are made of: generated files are the committed ones, and every metric and label
// they name exists.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { generateFiles } from '../../../deploy/monitoring/generated.ts';
import { DASHBOARDS } from '../../../deploy/monitoring/grafana/dashboards/index.ts';
import { createMetrics, METRICS } from '../../../shared/io/metrics.ts';
import { panelExpressions, readRules, ruleExpressions } from './expressions.ts';
import { MONITORING_DIR } from './promtool.ts';

const DEPLOY_DIR = join(MONITORING_DIR, '..');
/** Labels that Prometheus adds when it scrapes, and a histogram's own. */
const SCRAPED_LABELS = ['namespace', 'pod', 'job', 'le'];
/** From the Redis exporter and the kubelet; the system test meets the real exporter. */
const FOREIGN_LABELS: Readonly<Record<string, readonly string[]>> = {
  redis_up: [],
  redis_instance_info: ['redis_version', 'maxmemory_policy'],
  redis_memory_used_bytes: [],
  redis_memory_max_bytes: [],
  redis_commands_processed_total: [],
  redis_connected_clients: [],
  redis_aof_last_write_status: [],
  redis_aof_last_bgrewrite_status: [],
  kubelet_volume_stats_available_bytes: ['persistentvolumeclaim'],
  kubelet_volume_stats_capacity_bytes: ['persistentvolumeclaim'],
  up: [],
  ALERTS: ['alertname', 'alertstate'],
};

/** Metric → labels its series may carry. */
async function knownLabels(): Promise<Map<string, readonly string[]>> {
  const known = new Map<string, readonly string[]>(Object.entries(FOREIGN_LABELS));
  for (const [name, { type, labels }] of Object.entries(METRICS)) {
    const names = type === 'histogram' ? ['_bucket', '_sum', '_count'].map(end => name + end) : [name];
    for (const series of names) known.set(series, labels);
  }
  for (const { name } of await createMetrics('worker').registry.getMetricsAsJSON()) {
    if (!known.has(name)) known.set(name, []);
  }
  for (const { record } of readRules()) if (record !== undefined) known.set(record, ['operation', 'outcome']);
  return known;
}

/** Metric names of an expression with the labels they are selected by. */
function selectors(expr: string): { readonly name: string; readonly labels: readonly string[] }[] {
  const withoutClauses = expr.replaceAll(/\b(by|on)\s*\([^)]*\)/g, '');
  const pattern =
    /(?<!["\w])((?:frechet|nodejs|process|redis|kubelet)[_:][\w:]+|up|ALERTS)\b(?:\{((?:\s*\w+[=!~]+"[^"]*",?)*)\})?/g;
  return [...withoutClauses.matchAll(pattern)].map(([, name = '', matchers = '']) => ({
    name,
    labels: [...matchers.matchAll(/(\w+)[=!~]+"/g)].map(([, label = '']) => label),
  }));
}

const EXPRESSIONS = [...panelExpressions(), ...ruleExpressions()];

test('what is generated is what is committed', () => {
  for (const [path, content] of generateFiles(DEPLOY_DIR)) {
    assert.equal(readFileSync(join(DEPLOY_DIR, path), 'utf8'), content, `run npm run dashboards: ${path}`);
  }
  const committed = readdirSync(join(DEPLOY_DIR, 'kubernetes/components/dashboards'));
  const uids = DASHBOARDS.map(({ uid }) => `${uid}.json`);
  assert.deepEqual(committed.sort(), [...uids, 'kustomization.yaml'].sort());
});

test('every metric and label that is asked for exists', async () => {
  const known = await knownLabels();
  for (const { place, expr } of EXPRESSIONS) {
    const found = selectors(expr);
    assert.ok(found.length > 0, `${place} asks for a metric`);
    for (const { name, labels } of found) {
      const allowed = known.get(name);
      assert.ok(allowed !== undefined, `${place} asks for ${name}, which nobody exports`);
      for (const label of labels) {
        assert.ok([...allowed, ...SCRAPED_LABELS].includes(label), `${place}: ${name} has no label ${label}`);
      }
    }
  }
});

test('an unknown metric or label would be noticed', () => {
  assert.deepEqual(
    selectors('sum by (pod) (rate(frechet_nothing_total{colour=~"a|b", pod="p"}[5m])) or up == 0'),
    [
      { name: 'frechet_nothing_total', labels: ['colour', 'pod'] },
      { name: 'up', labels: [] },
    ],
  );
  assert.deepEqual(selectors('ALERTS{alertname=~"frechet_x", namespace="n"}'), [
    { name: 'ALERTS', labels: ['alertname', 'namespace'] },
  ]);
});

test('every metric of ours is on a dashboard, or behind a rule that is', () => {
  const asked = new Set(EXPRESSIONS.flatMap(({ expr }) => selectors(expr).map(({ name }) => name)));
  for (const name of Object.keys(METRICS)) {
    const series = [name, `${name}_bucket`, `${name}_count`];
    assert.ok(
      series.some(each => asked.has(each)),
      `${name} is shown nowhere`,
    );
  }
});

test('every recording rule is read by a dashboard, an alert or the autoscaler', () => {
  const scaledObject = readFileSync(
    join(DEPLOY_DIR, 'kubernetes/components/keda/scaled-object.yaml'),
    'utf8',
  );
  const readers = [...EXPRESSIONS.map(({ expr }) => expr), scaledObject].join('\n');
  for (const { record } of readRules()) {
    if (record !== undefined) assert.ok(readers.includes(record), `nobody reads ${record}`);
  }
});

test('every panel says what to do, and no two of a dashboard have one title', () => {
  for (const dashboard of DASHBOARDS) {
    const panels = dashboard.rows.flatMap(row => row.panels);
    for (const panel of panels) {
      assert.ok(panel.description.length >= 60, `${dashboard.title}: ${panel.title}`);
      const width = panel.width ?? 24;
      assert.ok(width >= 3 && width <= 24, panel.title);
    }
    assert.equal(new Set(panels.map(panel => panel.title)).size, panels.length, dashboard.title);
    for (const { title, panels: inRow } of dashboard.rows) {
      const explicit = inRow.filter(panel => panel.width !== undefined);
      assert.ok(explicit.length === 0 || explicit.length === inRow.length, `${title}: all widths or none`);
      const total = inRow.reduce((sum, panel) => sum + (panel.width ?? Math.floor(24 / inRow.length)), 0);
      assert.equal(total % 24, 0, `${dashboard.title}, ${title}: rows are full`);
    }
  }
});
