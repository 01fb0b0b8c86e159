// What every build of the manifests must keep, beyond being valid. A policy answers what breaks it, in sentences; its
// name is what it keeps. About containers and pods; traffic.ts holds those about who speaks to whom.

import { SETTINGS } from '../../../shared/io/config.ts';
import { WORKER_MEMORY_BYTES_DEFAULT } from '../../../shared/job/limits.ts';
import { at, type KubernetesObject, listAt } from './build.ts';
import { containers, environmentOf, named, ofKind, podLabels, quantity, workloads } from './pods.ts';

export type Policy = (objects: readonly KubernetesObject[]) => string[];

/** Secrets that are made outside of the repository; deploy/README.md says how. */
/** A claim that exists already, where the component external-store leaves ours out. */
const CLAIM_FROM_OUTSIDE = 'frechet-store';
const SECRETS_FROM_OUTSIDE = ['frechet-redis', 'frechet-api-keys'];
/** What Node, the BLAS and packing may need beside the arena. */
const WORKER_OVERHEAD_BYTES = 1024 ** 3;
/** A gateway ends answers under way within ten seconds, and closes connections after that. */
const GATEWAY_STOP_SECONDS = 12;
const WORKER_STOP_MARGIN_SECONDS = 10;

export const POD_POLICIES: Readonly<Record<string, Policy>> = {
  'containers are confined': objects =>
    eachContainer(objects, (container, pod) => [
      ...expectEqual(container, 'securityContext.readOnlyRootFilesystem', true),
      ...expectEqual(container, 'securityContext.allowPrivilegeEscalation', false),
      ...expectEqual(container, 'securityContext.capabilities.drop', ['ALL']),
      ...expectEqual(container, 'securityContext.capabilities.add', undefined),
      ...expectEqual(container, 'securityContext.privileged', undefined),
      ...expectEqual(pod, 'securityContext.runAsNonRoot', true),
      ...expectEqual(pod, 'securityContext.seccompProfile.type', 'RuntimeDefault'),
      ...(Number(at(container, 'securityContext.runAsUser') ?? at(pod, 'securityContext.runAsUser')) > 0
        ? []
        : ['it does not name a user other than root']),
      ...['hostNetwork', 'hostPID', 'hostIPC'].flatMap(field => expectEqual(pod, field, undefined)),
    ]),

  'containers have requests and limits': objects =>
    eachContainer(objects, container =>
      ['cpu', 'memory'].flatMap(resource => {
        const request = quantity(at(container, `resources.requests.${resource}`));
        const limit = quantity(at(container, `resources.limits.${resource}`));
        return request > 0 && request <= limit ? [] : [`${resource}: request ${request}, limit ${limit}`];
      }),
    ),

  'containers are probed': objects =>
    eachContainer(objects, container => [
      ...['livenessProbe', 'readinessProbe'].flatMap(probe =>
        at(container, probe) === undefined ? [`it has no ${probe}`] : [],
      ),
      ...['startupProbe', 'livenessProbe', 'readinessProbe'].flatMap(probe =>
        probeFaults(container, at(container, probe)).map(fault => `${probe}: ${fault}`),
      ),
    ]),

  'images are named by a version': objects =>
    eachContainer(objects, container => {
      const image = String(at(container, 'image'));
      return /[^/]:v?\d+\.\d+\.\d+[\w.-]*$|@sha256:[0-9a-f]{64}$/.test(image) ? [] : [`image ${image}`];
    }),

  'no pod has a token of the Kubernetes API': objects =>
    eachWorkload(objects, workload => {
      const name = at<string>(workload, 'spec.template.spec.serviceAccountName') ?? '';
      return [
        ...expectEqual(workload, 'spec.template.spec.automountServiceAccountToken', false),
        ...expectEqual(named(objects, 'ServiceAccount', name), 'automountServiceAccountToken', false),
      ];
    }),

  'the namespace enforces the restricted profile, and holds everything': objects =>
    ofKind(objects, 'Namespace').length !== 1
      ? ['there is not one namespace']
      : objects.flatMap(object => {
          if (object.kind === 'Namespace') {
            const level = object.metadata.labels?.['pod-security.kubernetes.io/enforce'];
            return level === 'restricted' ? [] : [`it enforces ${level}`];
          }
          if (object.kind === 'PriorityClass') return [];
          return object.metadata.namespace === 'frechet' ? [] : [`${object.kind} ${object.metadata.name}`];
        }),

  'every reference is kept': objects =>
    eachWorkload(objects, workload => [
      ...references(workload).flatMap(([kind, name]) => {
        if (kind === 'Secret' && SECRETS_FROM_OUTSIDE.includes(name)) return [];
        if (kind === 'PersistentVolumeClaim' && name === CLAIM_FROM_OUTSIDE && !ofKind(objects, kind).length)
          return [];
        const exists = objects.some(each => each.kind === kind && each.metadata.name === name);
        return exists ? [] : [`there is no ${kind} ${name}`];
      }),
      ...mountFaults(workload),
    ]),

  'every variable is one of ours, and set before it is used': objects =>
    eachContainer(objects, (container, pod) => {
      const variables = environmentOf(objects, container);
      const known = new Set(Object.values(SETTINGS).map(setting => setting.variable));
      // Kubernetes would add variables of its own for every Service, and ours begin with FRECHET_.
      const faults = expectEqual(pod, 'enableServiceLinks', false);
      const before = new Set<string>();
      for (const { name, value } of variables) {
        if (name.startsWith('FRECHET_') && !known.has(name)) faults.push(`${name} is no setting`);
        if (before.has(name)) faults.push(`${name} is set twice`);
        for (const [, used = ''] of (value ?? '').matchAll(/\$\((\w+)\)/g)) {
          if (!before.has(used)) faults.push(`${name} uses ${used} before it is set`);
        }
        before.add(name);
      }
      return faults;
    }),

  'both roles are configured in full': objects =>
    Object.entries(NEEDED_SETTINGS).flatMap(([role, names]) => {
      const workload = named(objects, 'Deployment', `frechet-${role}`);
      const variables = new Set(environmentOf(objects, containers(workload)[0]).map(({ name }) => name));
      const anonymous = environmentOf(objects, containers(workload)[0]).some(
        ({ name, value }) => name === 'FRECHET_ALLOW_ANONYMOUS' && value === 'true',
      );
      return names
        .filter(name => !variables.has(name) && !(anonymous && name === 'FRECHET_API_KEYS_FILE'))
        .map(name => `${role} has no ${name}`);
    }),

  'pods are given time to stop': objects => {
    const gateway = named(objects, 'Deployment', 'frechet-gateway');
    const worker = named(objects, 'Deployment', 'frechet-worker');
    const grace = (workload: KubernetesObject) =>
      Number(at(workload, 'spec.template.spec.terminationGracePeriodSeconds'));
    const drain = environmentOf(objects, containers(worker)[0]).find(
      ({ name }) => name === 'FRECHET_DRAIN_SECONDS',
    );
    const preStop = /(\d+)\)"?$/.exec(
      String(listAt(containers(gateway)[0], 'lifecycle.preStop.exec.command').at(-1)),
    );
    const preStopSeconds = Number(preStop?.[1]) / 1000;
    return [
      ...(grace(worker) >= Number(drain?.value) + WORKER_STOP_MARGIN_SECONDS
        ? []
        : [`a worker has ${grace(worker)} s for a drain of ${drain?.value} s`]),
      ...(preStopSeconds >= 5 ? [] : [`a gateway sleeps ${preStopSeconds} s before SIGTERM`]),
      ...(grace(gateway) >= preStopSeconds + GATEWAY_STOP_SECONDS
        ? []
        : [`a gateway has ${grace(gateway)} s`]),
      ...expectEqual(gateway, 'spec.strategy.rollingUpdate.maxUnavailable', 0),
    ];
  },

  'threads and memory follow from the resources of the container': objects => {
    const [container] = containers(named(objects, 'Deployment', 'frechet-worker'));
    const source = (variable: string) =>
      at(
        environmentOf(objects, container).find(({ name }) => name === variable),
        'valueFrom.resourceFieldRef.resource',
      );
    const arena = quantity(at(container, 'resources.requests.memory'));
    const limit = quantity(at(container, 'resources.limits.memory'));
    return [
      ...(source('FRECHET_THREADS') === 'limits.cpu' ? [] : ['threads do not follow the CPU limit']),
      ...(source('FRECHET_MEMORY_BYTES') === 'requests.memory' ? [] : ['memory does not follow the request']),
      ...(Number.isInteger(quantity(at(container, 'resources.limits.cpu'))) ? [] : ['a part of a CPU']),
      ...(limit >= arena + WORKER_OVERHEAD_BYTES ? [] : [`${limit} bytes hold no arena of ${arena}`]),
      // Gateways cut blocks for workers of this size; a smaller worker would meet blocks that never fit.
      ...(arena >= WORKER_MEMORY_BYTES_DEFAULT ? [] : [`an arena of ${arena} bytes is too small for blocks`]),
    ];
  },

  'pods are spread, ranked and budgeted': objects =>
    eachWorkload(objects, workload => {
      const spec = 'spec.template.spec';
      named(objects, 'PriorityClass', at<string>(workload, `${spec}.priorityClassName`) ?? '');
      if (workload.kind === 'StatefulSet') return [];
      const spreads = listAt(workload, `${spec}.topologySpreadConstraints`);
      const budgets = ofKind(objects, 'PodDisruptionBudget').filter(budget =>
        isSubset(at(budget, 'spec.selector.matchLabels'), podLabels(workload)),
      );
      return [
        ...(spreads.length > 0 ? [] : ['it is not spread']),
        ...spreads.flatMap(spread =>
          isSubset(at(spread, 'labelSelector.matchLabels'), podLabels(workload)) ? [] : ['it spreads others'],
        ),
        ...(budgets.length === 1 ? [] : [`it has ${budgets.length} disruption budgets`]),
      ];
    }),

  'autoscaled workers have no number of their own': objects =>
    ofKind(objects, 'ScaledObject', 'HorizontalPodAutoscaler').flatMap(scaler => {
      const target = named(objects, 'Deployment', at<string>(scaler, 'spec.scaleTargetRef.name') ?? '');
      return expectEqual(target, 'spec.replicas', undefined);
    }),

  'Redis keeps what it is given': objects =>
    ofKind(objects, 'StatefulSet').flatMap(redis => {
      const config = ofKind(objects, 'ConfigMap').find(map =>
        map.metadata.name.startsWith('frechet-redis-config'),
      );
      const text = String(at<Record<string, string>>(config, 'data')?.['redis.conf']);
      const max = Number(/^maxmemory (\d+)mb$/m.exec(text)?.[1]) * 1024 ** 2;
      const limit = quantity(at(containers(redis)[0], 'resources.limits.memory'));
      return [
        ...(/^appendonly yes$/m.test(text) ? [] : ['there is no append-only file']),
        ...(/^maxmemory-policy noeviction$/m.test(text) ? [] : ['keys may be evicted']),
        // A rewrite of the file forks, and copies what changes meanwhile.
        ...(max * 2 <= limit ? [] : [`${limit} bytes do not hold ${max} and a fork`]),
        ...(listAt(redis, 'spec.volumeClaimTemplates').length === 1 ? [] : ['its data have no volume']),
      ];
    }),
};

/** Beyond what has a default that is right in a pod. */
const NEEDED_SETTINGS: Readonly<Record<string, readonly string[]>> = {
  gateway: [
    'FRECHET_HOST',
    'FRECHET_PORT',
    'FRECHET_ADMIN_PORT',
    'FRECHET_REDIS_URL',
    'FRECHET_DATA_DIR',
    'FRECHET_STORE',
    'FRECHET_API_KEYS_FILE',
    'FRECHET_ALLOW_ANONYMOUS',
    'FRECHET_LOG_LEVEL',
  ],
  worker: [
    'FRECHET_HOST',
    'FRECHET_ADMIN_PORT',
    'FRECHET_REDIS_URL',
    'FRECHET_DATA_DIR',
    'FRECHET_STORE',
    'FRECHET_DRAIN_SECONDS',
    'FRECHET_THREADS',
    'FRECHET_MEMORY_BYTES',
    'FRECHET_KERNEL',
    'FRECHET_LOG_LEVEL',
  ],
};

/** Every variable that some role is given. */
export const CONFIGURED_VARIABLES: ReadonlySet<string> = new Set(Object.values(NEEDED_SETTINGS).flat());

function eachWorkload(
  objects: readonly KubernetesObject[],
  check: (workload: KubernetesObject) => readonly string[],
): string[] {
  return workloads(objects).flatMap(workload =>
    check(workload).map(fault => `${workload.metadata.name}: ${fault}`),
  );
}

function eachContainer(
  objects: readonly KubernetesObject[],
  check: (container: unknown, pod: unknown) => readonly string[],
): string[] {
  return eachWorkload(objects, workload =>
    containers(workload).flatMap(container =>
      check(container, at(workload, 'spec.template.spec')).map(fault => `${at(container, 'name')}: ${fault}`),
    ),
  );
}

function expectEqual(object: unknown, path: string, expected: unknown): string[] {
  const found = at(object, path);
  return JSON.stringify(found) === JSON.stringify(expected)
    ? []
    : [`${path} is ${JSON.stringify(found)}, not ${JSON.stringify(expected)}`];
}

function probeFaults(container: unknown, probe: unknown): string[] {
  if (probe === undefined) return [];
  const port = at(probe, 'httpGet.port');
  const ports = listAt<{ name: string }>(container, 'ports').map(({ name }) => name);
  return [
    ...(port === undefined || ports.includes(String(port)) ? [] : [`there is no port ${port}`]),
    // A probe that gives up after the default second restarts a process that is merely busy.
    ...(Number(at(probe, 'timeoutSeconds')) >= 5 ? [] : ['it gives up too early']),
  ];
}

/** Kind and name of everything a pod mounts or reads. */
function references(workload: KubernetesObject): [kind: string, name: string][] {
  const found: [string, string | undefined][] = [];
  for (const volume of listAt(workload, 'spec.template.spec.volumes')) {
    found.push(['ConfigMap', at(volume, 'configMap.name')], ['Secret', at(volume, 'secret.secretName')]);
    found.push(['PersistentVolumeClaim', at(volume, 'persistentVolumeClaim.claimName')]);
  }
  for (const container of containers(workload)) {
    for (const variable of listAt(container, 'env')) {
      found.push(['Secret', at(variable, 'valueFrom.secretKeyRef.name')]);
    }
    for (const source of listAt(container, 'envFrom'))
      found.push(['ConfigMap', at(source, 'configMapRef.name')]);
  }
  return found.filter((entry): entry is [string, string] => entry[1] !== undefined);
}

function mountFaults(workload: KubernetesObject): string[] {
  const volumes = [
    ...listAt(workload, 'spec.template.spec.volumes').map(volume => at<string>(volume, 'name')),
    ...listAt(workload, 'spec.volumeClaimTemplates').map(claim => at<string>(claim, 'metadata.name')),
  ];
  const mounts = containers(workload).flatMap(container =>
    listAt(container, 'volumeMounts').map(mount => at<string>(mount, 'name')),
  );
  return [
    ...mounts.filter(name => !volumes.includes(name)).map(name => `it mounts ${name}, which is no volume`),
    ...volumes.filter(name => !mounts.includes(name)).map(name => `nobody mounts the volume ${name}`),
  ];
}

function isSubset(
  labels: Readonly<Record<string, string>> | undefined,
  of: Readonly<Record<string, string>>,
): boolean {
  const entries = Object.entries(labels ?? {});
  return entries.length > 0 && entries.every(([key, value]) => of[key] === value);
}
