// The alerts, by their own unit tests: each fires on a history that deserves it and stays silent on one close by.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse, stringify } from 'yaml';
import { temporaryFolder } from '../../support/temporary.ts';
import { ALERT_CASES, type History } from './alert-cases.ts';
import { RULE_FILES, readRules } from './expressions.ts';
import { MONITORING_DIR, promtool } from './promtool.ts';

const alerts = readRules().filter(rule => rule.alert !== undefined);

/** A test in promtool's form; without labels, the alert must be silent. */
function unitTest(alert: string, history: History, labels?: Readonly<Record<string, string>>) {
  return {
    name: alert,
    interval: '1m',
    input_series: Object.entries(history.series).map(([series, values]) => ({ series, values })),
    alert_rule_test: [
      {
        eval_time: history.at,
        alertname: alert,
        exp_alerts: labels === undefined ? [] : [{ exp_labels: labels }],
      },
    ],
  };
}

/** promtool compares annotations too, which are prose: the rules are tested without them. */
async function runUnitTests(folder: string, tests: readonly ReturnType<typeof unitTest>[]) {
  const ruleFiles = await Promise.all(
    RULE_FILES.map(async path => {
      const document = parse(readFileSync(path, 'utf8')) as {
        groups: { rules: Record<string, unknown>[] }[];
      };
      for (const { rules } of document.groups) for (const rule of rules) delete rule.annotations;
      const bare = join(folder, path.split('/').at(-1) ?? 'rules.yaml');
      await writeFile(bare, stringify(document));
      return bare;
    }),
  );
  const file = join(folder, 'tests.yaml');
  await writeFile(file, stringify({ rule_files: ruleFiles, evaluation_interval: '30s', tests }));
  return promtool(['test', 'rules', file]);
}

test('promtool accepts the rules and the configuration', async () => {
  for (const args of [
    ['check', 'rules', ...RULE_FILES],
    ['check', 'config', join(MONITORING_DIR, 'prometheus/prometheus.yaml')],
  ]) {
    const { code, output } = await promtool(args);
    assert.equal(code, 0, output);
  }
});

test('every alert has a history that fires it and one that does not', () => {
  assert.deepEqual(alerts.map(rule => rule.alert).sort(), Object.keys(ALERT_CASES).sort());
});

test('alerts fire when they should, with their labels', async context => {
  const folder = await temporaryFolder(context);
  const tests = Object.entries(ALERT_CASES).map(([alert, { fires }]) => unitTest(alert, fires, fires.labels));
  const { code, output } = await runUnitTests(folder, tests);
  assert.equal(code, 0, output);
});

test('alerts are silent when they should be', async context => {
  const folder = await temporaryFolder(context);
  const tests = Object.entries(ALERT_CASES).map(([alert, { stays }]) => unitTest(alert, stays));
  const { code, output } = await runUnitTests(folder, tests);
  assert.equal(code, 0, output);
});

test('the unit tests notice an alert that fires, and one that does not', async context => {
  const folder = await temporaryFolder(context);
  const [alert, { fires, stays }] = Object.entries(ALERT_CASES)[0]!;
  const unexpected = await runUnitTests(folder, [unitTest(alert, fires)]);
  assert.notEqual(unexpected.code, 0);
  const missing = await runUnitTests(folder, [unitTest(alert, stays, fires.labels)]);
  assert.notEqual(missing.code, 0);
});

test('every alert has a severity, a summary and a section of the runbook that exists', () => {
  const runbook = readFileSync(join(MONITORING_DIR, '../README.md'), 'utf8');
  const anchors = new Set([...runbook.matchAll(/^#+ (.*)$/gm)].map(([, title]) => anchorOf(title ?? '')));
  for (const { alert, labels, annotations } of alerts) {
    assert.match(labels?.severity ?? '', /^(critical|warning)$/, alert);
    assert.ok((annotations?.summary ?? '').length > 20, `${alert} says what is wrong`);
    const [path = '', anchor = ''] = (annotations?.runbook ?? '').split('#');
    assert.ok(existsSync(join(MONITORING_DIR, '../..', path)), `${alert}: ${path} exists`);
    assert.equal(anchor, (alert ?? '').toLowerCase());
    assert.ok(anchors.has(anchor), `${alert}: ${path} has a section #${anchor}`);
  }
});

/** As forges make them from a heading. */
function anchorOf(title: string): string {
  return title
    .toLowerCase()
    .replaceAll(/[^\w\- ]/g, '')
    .replaceAll(' ', '-');
}
