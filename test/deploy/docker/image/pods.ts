// Writes the local overlay's pods to a folder, in a form that `podman kube play` takes: pods.js FOLDER. What it can't
// play is left out here and held by the policies in test/deploy/kubernetes: Services, policies, HTTP probes (they need
// curl in the image), the exporter. A StatefulSet becomes a Deployment with its volume.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { at, buildOverlay, type KubernetesObject, listAt } from '../../kubernetes/build.ts';
import { ofKind } from '../../kubernetes/pods.ts';

/** Containers of which there is no image on a bare machine. */
const WITHOUT_IMAGE = ['exporter'];
const PROBES = ['startupProbe', 'livenessProbe', 'readinessProbe'];

function playable(workload: KubernetesObject): unknown {
  const changed = structuredClone(workload) as unknown as Record<string, never>;
  const spec = at<Record<string, unknown>>(changed, 'spec.template.spec');
  if (spec === undefined) throw new Error(`${workload.metadata.name} has no pods`);
  const kept = listAt<Record<string, unknown>>(spec, 'containers').filter(
    ({ name }) => !WITHOUT_IMAGE.includes(String(name)),
  );
  for (const container of kept) {
    for (const probe of PROBES) if (at(container, `${probe}.httpGet`) !== undefined) delete container[probe];
  }
  const claims = listAt(workload, 'spec.volumeClaimTemplates').map(claim => ({
    name: at(claim, 'metadata.name'),
    persistentVolumeClaim: { claimName: at(claim, 'metadata.name') },
  }));
  spec.containers = kept;
  spec.volumes = [...listAt(spec, 'volumes'), ...claims];
  return { ...changed, kind: 'Deployment' };
}

function write(folder: string, name: string, objects: readonly unknown[]): void {
  writeFileSync(join(folder, `${name}.yaml`), objects.map(object => stringify(object)).join('---\n'));
}

const folder = process.argv[2];
if (folder === undefined) throw new Error('pods.js FOLDER');
mkdirSync(folder, { recursive: true });
const objects = await buildOverlay('local');
write(folder, 'shared', ofKind(objects, 'Secret', 'PersistentVolumeClaim'));
for (const workload of ofKind(objects, 'Deployment', 'StatefulSet')) {
  // ConfigMaps must stand beside the pods that read them.
  write(folder, workload.metadata.name, [...ofKind(objects, 'ConfigMap'), playable(workload)]);
}
