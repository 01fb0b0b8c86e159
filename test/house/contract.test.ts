// Lists that must agree with the contract: error codes, metrics, environment variables.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ERRORS, type ErrorCode } from '../../shared/errors.ts';
import { SETTINGS } from '../../shared/io/config.ts';
import { METRICS as TABLE } from '../../shared/io/metrics.ts';
import { AWAITED, METRICS, SLUGS, STATUSES, VARIABLES } from './contract.ts';
import { readSources, readText, type Source } from './source-tree.ts';

const CODES = Object.keys(ERRORS) as ErrorCode[];
const sources = readSources('.ts', '.mjs');

test('every slug of the contract is in the table, with its status', () => {
  for (const [slug, status] of Object.entries(SLUGS)) {
    assert.equal((ERRORS as Record<string, { status: number }>)[slug]?.status, status, slug);
  }
});

test('the statuses of the table are those of the contract', () => {
  const statuses = new Set(CODES.map(code => ERRORS[code].status));
  assert.deepEqual([...statuses].sort(), STATUSES);
});

test('the kind of a code fits its status', () => {
  const statuses = {
    invalid: [400, 401, 405, 406, 408, 413, 414, 415, 416, 417, 422],
    missing: [404, 410, 422],
    conflict: [409],
    numeric: [422],
    busy: [429, 503, 507],
    outage: [500, 503],
  };
  for (const code of CODES) {
    const { kind, status } = ERRORS[code];
    assert.ok(statuses[kind].includes(status), `${code} is ${kind} and ${status}`);
  }
});

/** Codes of the table that stand in no source but the table's own. */
function unusedCodes(tree: readonly Source[]): ErrorCode[] {
  const text = tree
    .filter(({ path }) => !path.startsWith('test/') && path !== 'shared/errors.ts')
    .map(source => source.text)
    .join('\n');
  return CODES.filter(code => !text.includes(`'${code}'`));
}

test('every code of the table is used, or listed as awaited', () => {
  assert.deepEqual(unusedCodes(sources).sort(), [...AWAITED].sort());
});

test('a code that nothing uses is found, also where a test names it', () => {
  const tree = [
    {
      path: 'api/a.ts',
      text: CODES.slice(1)
        .map(code => `'${code}'`)
        .join(),
    },
    { path: 'test/a.ts', text: `'${CODES[0]}'` },
  ];
  assert.deepEqual(unusedCodes(tree), [CODES[0]]);
});

test('the metrics are those of the contract, by name, type and labels', () => {
  const table = Object.entries(TABLE).map(([name, { type, labels }]) => [name, [type, ...labels]]);
  assert.deepEqual(Object.fromEntries(table), METRICS);
});

/** Mentions of metrics that no process exposes; a histogram may be named by its parts. */
function unknownMetrics(tree: readonly Source[]): string[] {
  return tree.flatMap(({ path, text }) =>
    [...text.matchAll(/\bfrechet_[a-z_]*[a-z]\b(?!\.)/g)]
      .map(([name]) => name)
      .filter(name => !Object.hasOwn(METRICS, name))
      .filter(name => METRICS[name.replace(/_(bucket|sum|count)$/, '')]?.[0] !== 'histogram')
      .map(name => `${path} names ${name}`),
  );
}

test('dashboards, alerts and documents name only metrics that exist', () => {
  const tree = readSources('.md', '.yaml', '.yml', '.json', '.ts');
  assert.deepEqual(unknownMetrics(tree.filter(({ path }) => !path.startsWith('test/'))), []);
});

test('a metric that does not exist is found', () => {
  const text = 'rate(frechet_job_queue_seconds_bucket[5m]) / frechet_jobs_total + frechet_jobs_bucket';
  const found = ['a.yaml names frechet_jobs_total', 'a.yaml names frechet_jobs_bucket'];
  assert.deepEqual(unknownMetrics([{ path: 'a.yaml', text }]), found);
});

test('the settings are the variables of the contract', () => {
  const variables = new Set(Object.values(SETTINGS).map(({ variable }) => variable));
  assert.deepEqual([...variables].sort(), Object.keys(VARIABLES).sort());
});

/** What the command line reads; the service does not, so neither the contract nor its settings know them. */
const COMMAND_VARIABLES = ['FRECHET_URL', 'FRECHET_API_KEY'];

/** Mentions of variables that no process reads. */
function unknownVariables(tree: readonly Source[]): string[] {
  return tree.flatMap(({ path, text }) =>
    [...text.matchAll(/\bFRECHET_[A-Z_]*[A-Z]\b/g)]
      .filter(([name]) => !Object.hasOwn(VARIABLES, name) && !COMMAND_VARIABLES.includes(name))
      .map(([name]) => `${path} names ${name}`),
  );
}

test('no source, manifest or document names a variable that does not exist', () => {
  const tree = readSources('.ts', '.mjs', '.md', '.yaml', '.yml', '.json', 'Dockerfile', '.sh');
  const readme = { path: 'README.md', text: readText('README.md') };
  const judged = [readme, ...tree].filter(({ path }) => !path.startsWith('test/'));
  assert.deepEqual(unknownVariables(judged), []);
});

test('a variable that does not exist is found', () => {
  const text = `FRECHET_PORT=1 ${'FRECHET'}_PROT=2`;
  assert.deepEqual(unknownVariables([{ path: 'a.yaml', text }]), [`a.yaml names ${'FRECHET'}_PROT`]);
});
