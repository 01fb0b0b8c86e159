// Every overlay builds, with every program there is, into objects that a cluster would accept.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  buildOverlay,
  buildText,
  buildWithComponents,
  KUBERNETES_DIR,
  type KubernetesObject,
  kustomizePrograms,
} from './build.ts';
import { schemaFaults } from './schema.ts';

const OVERLAYS = readdirSync(join(KUBERNETES_DIR, 'overlays'));
const COMPONENTS = readdirSync(join(KUBERNETES_DIR, 'components'));

/** Components that change what others bring. */
const BUILDS_ON: Readonly<Record<string, readonly string[]>> = {
  'scale-to-zero': ['keda'],
  'hpa-backlog': ['hpa'],
};

function assertValid(objects: readonly KubernetesObject[]): void {
  assert.ok(objects.length > 0);
  for (const object of objects) {
    assert.deepEqual(schemaFaults(object), [], `${object.kind} ${object.metadata.name}`);
  }
  const names = objects.map(({ kind, metadata }) => `${kind} ${metadata.namespace ?? ''} ${metadata.name}`);
  assert.equal(new Set(names).size, names.length, 'no two objects have one name');
}

for (const overlay of OVERLAYS) {
  test(`the overlay ${overlay} holds valid objects only`, async () => {
    assertValid(await buildOverlay(overlay));
  });

  test(`all programs build the overlay ${overlay} alike`, async () => {
    const folder = join(KUBERNETES_DIR, 'overlays', overlay);
    const [first, ...others] = await Promise.all(
      (await kustomizePrograms()).map(program => buildText(folder, program)),
    );
    for (const other of others) assert.equal(other, first);
  });
}

for (const component of COMPONENTS) {
  test(`the component ${component} fits the base`, async () => {
    assertValid(await buildWithComponents([...(BUILDS_ON[component] ?? []), component]));
  });
}

test('unknown fields, missing fields and wrong types are noticed', async () => {
  const objects = await buildOverlay('production');
  const broken = (kind: string, change: (text: string) => string) => {
    const object = objects.find(each => each.kind === kind);
    assert.ok(object !== undefined, kind);
    const text = JSON.stringify(object);
    assert.notEqual(change(text), text, `the change applies to ${kind}`);
    return schemaFaults(JSON.parse(change(text)) as KubernetesObject);
  };
  assert.match(
    broken('Deployment', text => text.replace('"readinessProbe"', '"readyProbe"')).join(),
    /readyProbe/,
  );
  assert.match(
    broken('Deployment', text => text.replace('"periodSeconds":1,', '"period":1,')).join(),
    /period/,
  );
  assert.match(broken('Deployment', text => text.replace('"spec":', '"specs":')).join(), /spec/);
  assert.match(
    broken('ScaledObject', text => text.replace('"pollingInterval"', '"polling"')).join(),
    /polling/,
  );
  assert.match(
    broken('ScaledObject', text => text.replace('"scaleTargetRef"', '"target"')).join(),
    /scaleTargetRef/,
  );
  assert.match(broken('PodMonitor', text => text.replace('"interval"', '"every"')).join(), /every/);
  assert.match(
    broken('NetworkPolicy', text => text.replace('"podSelector"', '"pods"')).join(),
    /pods|podSelector/,
  );
  assert.match(broken('Service', text => text.replace('"port":80', '"port":"eighty"')).join(), /integer/);
  assert.match(
    schemaFaults({ apiVersion: 'apps/v2', kind: 'Deployment', metadata: { name: 'x' } }).join(),
    /no schema/,
  );
});
