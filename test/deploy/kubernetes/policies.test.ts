// The policies hold for every build; and each notices the fault it is there for.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readGatewayConfig } from '../../../api/config.ts';
import { SETTINGS } from '../../../shared/io/config.ts';
import { readWorkerConfig } from '../../../workers/config.ts';
import { ARENA_BYTES_MAX } from '../../../workers/memory/arena.ts';
import { readRules } from '../monitoring/expressions.ts';
import {
  at,
  buildOverlay,
  buildWithComponents,
  KUBERNETES_DIR,
  type KubernetesObject,
  listAt,
} from './build.ts';
import { containers, environmentOf, named, quantity } from './pods.ts';
import { CONFIGURED_VARIABLES, POD_POLICIES, type Policy } from './policies.ts';
import { TRAFFIC_POLICIES } from './traffic.ts';

const POLICIES: Readonly<Record<string, Policy>> = { ...POD_POLICIES, ...TRAFFIC_POLICIES };

const BUILDS: Readonly<Record<string, () => Promise<KubernetesObject[]>>> = {
  'the overlay local': () => buildOverlay('local'),
  'the overlay production': () => buildOverlay('production'),
  'the base with an external Redis': () => buildWithComponents(['external-redis']),
  'the base with an HPA': () => buildWithComponents(['hpa']),
  'the base with an HPA by backlog': () => buildWithComponents(['hpa', 'hpa-backlog']),
  'the base with a collector of traces': () => buildWithComponents(['tracing']),
  'the base over a claim of yours': () => buildWithComponents(['external-store']),
  'the base with KEDA to zero': () => buildWithComponents(['keda', 'scale-to-zero']),
};

for (const [name, build] of Object.entries(BUILDS)) {
  test(`${name} keeps every policy`, async () => {
    const objects = await build();
    for (const [policy, check] of Object.entries(POLICIES)) assert.deepEqual(check(objects), [], policy);
  });
}

/** Policy → a change of the production manifests, as JSON text, that breaks it. */
const FAULTS: Readonly<Record<string, readonly [from: string | RegExp, to: string]>> = {
  'containers are confined': ['"readOnlyRootFilesystem":true', '"readOnlyRootFilesystem":false'],
  'containers have requests and limits': ['"cpu":"4","memory":"6Gi"', '"cpu":"4"'],
  'containers are probed': [/"readinessProbe":\{[^}]*\}[^}]*\},/, ''],
  'images are named by a version': ['redis:8.10.2-trixie', 'redis:latest'],
  'no pod has a token of the Kubernetes API': [
    '"automountServiceAccountToken":false,"containers"',
    '"automountServiceAccountToken":true,"containers"',
  ],
  'the namespace enforces the restricted profile, and holds everything': [
    'enforce":"restricted"',
    'enforce":"baseline"',
  ],
  'every reference is kept': ['"claimName":"frechet-store"', '"claimName":"frechet-stores"'],
  'every variable is one of ours, and set before it is used': ['"FRECHET_THREADS"', '"FRECHET_THREAD"'],
  'both roles are configured in full': ['"FRECHET_LOG_LEVEL":"info"', '"LOG_LEVEL":"info"'],
  'pods are given time to stop': ['"FRECHET_DRAIN_SECONDS":"25"', '"FRECHET_DRAIN_SECONDS":"40"'],
  'threads and memory follow from the resources of the container': ['"memory":"6Gi"', '"memory":"4500Mi"'],
  'pods are spread, ranked and budgeted': [
    '"matchLabels":{"app.kubernetes.io/instance":"frechet","app.kubernetes.io/name":"worker"}},"unhealthy',
    '"matchLabels":{"app.kubernetes.io/instance":"frechet","app.kubernetes.io/name":"work"}},"unhealthy',
  ],
  'autoscaled workers have no number of their own': [
    '"revisionHistoryLimit":5',
    '"replicas":3,"revisionHistoryLimit":5',
  ],
  'Redis keeps what it is given': ['maxmemory-policy noeviction', 'maxmemory-policy allkeys-lru'],
  'services lead to ports that exist': ['"targetPort":"http"', '"targetPort":"https"'],
  'monitors find pods, services and ports': [
    '"port":"admin","relabelings"',
    '"port":"metrics","relabelings"',
  ],
  'selectors choose the pods of their own template': [
    /("app.kubernetes.io\/name":")worker(","app.kubernetes.io\/part-of":"frechet"\}\},"spec")/,
    '$1gateway$2',
  ],
  'everything is denied that is not allowed': [
    '"podSelector":{},"policyTypes":["Ingress","Egress"]',
    '"podSelector":{},"policyTypes":["Ingress"]',
  ],
  'network policies allow what is needed, at both ends, and nothing else': [
    '[{"port":"http","protocol":"TCP"}]',
    '[{"port":"http","protocol":"TCP"},{"port":"admin","protocol":"TCP"}]',
  ],
};

test('every policy notices a fault', async () => {
  assert.deepEqual(Object.keys(FAULTS).sort(), Object.keys(POLICIES).sort());
  // Keys in one order, so that the texts above match whatever program built.
  const text = JSON.stringify(sorted(await buildOverlay('production')));
  for (const [name, [from, to]] of Object.entries(FAULTS)) {
    // Replaced wherever it stands: kinds share texts, and the policy looks at the right one.
    const changed = typeof from === 'string' ? text.replaceAll(from, to) : text.replace(from, to);
    assert.notEqual(changed, text, `the fault of "${name}" applies`);
    const faults = POLICIES[name]?.(JSON.parse(changed) as KubernetesObject[]);
    assert.ok((faults ?? []).length > 0, `"${name}" notices its fault`);
  }
});

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, field]) => [key, sorted(field)] as const);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

test('every setting of the contract is configured', () => {
  const variables = new Set(Object.values(SETTINGS).map(setting => setting.variable));
  assert.deepEqual([...CONFIGURED_VARIABLES].sort(), [...variables].sort());
});

/** What a container's process would find in its environment; Secrets stand in for themselves. */
function processEnvironment(
  objects: readonly KubernetesObject[],
  deployment: string,
): Record<string, string> {
  const [container] = containers(named(objects, 'Deployment', deployment));
  const entries = environmentOf(objects, container).map(({ name, value, valueFrom }) => {
    const resource = at<string>(valueFrom, 'resourceFieldRef.resource');
    if (resource !== undefined) return [name, String(quantity(at(container, `resources.${resource}`)))];
    return [name, value ?? 'redis://:secret@frechet-redis:6379'];
  });
  return Object.fromEntries(entries) as Record<string, string>;
}

test('the processes accept the environment that the manifests give them', async () => {
  const production = await buildOverlay('production');
  const gateway = readGatewayConfig(processEnvironment(production, 'frechet-gateway'));
  assert.equal(gateway.allowAnonymous, false);
  assert.equal(gateway.apiKeysFile, '/etc/frechet/keys/keys.json');
  assert.equal(gateway.gatewayAdminPort, 8090);
  const worker = readWorkerConfig(processEnvironment(production, 'frechet-worker'));
  assert.equal(worker.threads, 4);
  assert.equal(worker.memoryBytes, ARENA_BYTES_MAX);
  assert.equal(worker.workerAdminPort, 8090);

  const local = await buildOverlay('local');
  const anonymous = readGatewayConfig(processEnvironment(local, 'frechet-gateway'));
  assert.deepEqual([anonymous.allowAnonymous, anonymous.apiKeysFile], [true, undefined]);
  assert.equal(readWorkerConfig(processEnvironment(local, 'frechet-worker')).memoryBytes, 3 * 1024 ** 3);
});

test('the autoscaler asks for a rule that is recorded, in this namespace', async () => {
  const scaler = named(await buildOverlay('production'), 'ScaledObject', 'frechet-worker');
  const [trigger] = listAt(scaler, 'spec.triggers');
  const query = at<string>(trigger, 'metadata.query') ?? '';
  const recorded = readRules().map(({ record }) => record);
  const asked = /frechet:[\w:]+/.exec(query)?.[0];
  assert.ok(recorded.includes(asked), `${asked} is recorded`);
  assert.match(query, /namespace="frechet"/);
  assert.equal(at(trigger, 'metricType'), 'AverageValue');
});

test('the HPA by backlog asks for what the adapter makes of a recorded rule', async () => {
  const scaler = named(
    await buildWithComponents(['hpa', 'hpa-backlog']),
    'HorizontalPodAutoscaler',
    'frechet-worker',
  );
  const metrics = listAt(scaler, 'spec.metrics');
  assert.deepEqual(
    metrics.map(metric => at(metric, 'type')),
    ['External'],
  );
  const path = join(KUBERNETES_DIR, 'components/hpa-backlog/kustomization.yaml');
  const rule = readFileSync(path, 'utf8');
  const [, series = ''] = /__name__="([\w:]+)"/.exec(rule) ?? [];
  assert.ok(
    readRules().some(({ record }) => record === series),
    `${series} is recorded`,
  );
  const [, served = ''] = /name: \{ as: (\w+) \}/.exec(rule) ?? [];
  assert.equal(at(metrics[0], 'external.metric.name'), served);
});

test('scaling in takes one worker at a time, long after the last work', async () => {
  for (const [components, path] of [
    [['keda'], 'spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleDown'],
    [['hpa'], 'spec.behavior.scaleDown'],
  ] as const) {
    const objects = await buildWithComponents(components);
    const scaler = objects.find(({ kind }) => /^(ScaledObject|HorizontalPodAutoscaler)$/.test(kind));
    assert.ok(Number(at(scaler, `${path}.stabilizationWindowSeconds`)) >= 300);
    assert.deepEqual(listAt(scaler, `${path}.policies`), [{ type: 'Pods', value: 1, periodSeconds: 60 }]);
  }
});

test('an overlay holds no secret but the one that says it is none', () => {
  const production = readFileSync(join(KUBERNETES_DIR, 'overlays/production/kustomization.yaml'), 'utf8');
  assert.doesNotMatch(production, /secretGenerator|kind: Secret/);
});
