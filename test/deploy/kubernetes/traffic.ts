// Who may speak to whom: Services, monitors and network policies, which name ports and pods and must mean the same ones.

import { at, type KubernetesObject, listAt } from './build.ts';
import { containerPorts, ofKind, podLabels, selected, workloads } from './pods.ts';
import type { Policy } from './policies.ts';

export const TRAFFIC_POLICIES: Readonly<Record<string, Policy>> = {
  'services lead to ports that exist': objects =>
    ofKind(objects, 'Service').flatMap(service => {
      const pods = selected(objects, at(service, 'spec.selector') ?? {});
      if (pods.length !== 1) return [`${service.metadata.name} leads to ${pods.length} workloads`];
      return listAt<{ targetPort: string }>(service, 'spec.ports')
        .filter(({ targetPort }) => !containerPorts(pods[0]!).has(targetPort))
        .map(({ targetPort }) => `${service.metadata.name} leads to no port ${targetPort}`);
    }),

  'monitors find pods, services and ports': objects =>
    ofKind(objects, 'PodMonitor', 'ServiceMonitor').flatMap(monitor => {
      const { kind, metadata } = monitor;
      const labels = at<Record<string, string>>(monitor, 'spec.selector.matchLabels') ?? {};
      const ports = kind === 'PodMonitor' ? podPorts(objects, labels) : servicePorts(objects, labels);
      return listAt<{ port: string }>(monitor, `spec.${kind === 'PodMonitor' ? 'podMetricsE' : 'e'}ndpoints`)
        .filter(({ port }) => !ports.has(port))
        .map(({ port }) => `${kind} ${metadata.name} finds no port ${port}`);
    }),

  'selectors choose the pods of their own template': objects =>
    workloads(objects).flatMap(workload => {
      const chosen = selected(objects, at(workload, 'spec.selector.matchLabels') ?? {});
      return chosen.length === 1 && chosen[0] === workload
        ? []
        : [`${workload.metadata.name} chooses ${chosen.length}`];
    }),

  'everything is denied that is not allowed': objects => {
    const denies = ofKind(objects, 'NetworkPolicy').filter(
      policy =>
        JSON.stringify(at(policy, 'spec.podSelector')) === '{}' &&
        JSON.stringify(at(policy, 'spec.policyTypes')) === '["Ingress","Egress"]' &&
        at(policy, 'spec.ingress') === undefined &&
        at(policy, 'spec.egress') === undefined,
    );
    return denies.length === 1 ? [] : ['there is no default deny'];
  },

  'network policies allow what is needed, at both ends, and nothing else': objects => {
    const wanted = wantedTraffic(objects);
    const allowed = allowedTraffic(objects);
    return [
      ...wanted.filter(flow => !allowed.includes(flow)).map(flow => `${flow} is not allowed`),
      ...allowed.filter(flow => !wanted.includes(flow)).map(flow => `${flow} is allowed, and not needed`),
    ];
  },
};

function podPorts(objects: readonly KubernetesObject[], labels: Readonly<Record<string, string>>) {
  return new Set(selected(objects, labels).flatMap(pod => [...containerPorts(pod).keys()]));
}

function servicePorts(objects: readonly KubernetesObject[], labels: Readonly<Record<string, string>>) {
  const services = ofKind(objects, 'Service').filter(({ metadata }) =>
    Object.entries(labels).every(([key, value]) => metadata.labels?.[key] === value),
  );
  return new Set(
    services.flatMap(service => listAt<{ name: string }>(service, 'spec.ports')).map(({ name }) => name),
  );
}

/** `→` at the sender's end, `←` at the receiver's. */
function wantedTraffic(objects: readonly KubernetesObject[]): string[] {
  const ownRedis = ofKind(objects, 'StatefulSet').length > 0;
  const tracing = objects.some(({ metadata }) => metadata.name === 'frechet-gateway-tracing');
  return [
    'gateway ← namespace frechet.dev/client:8080',
    'gateway ← namespace frechet.dev/monitoring:8090',
    'worker ← namespace frechet.dev/monitoring:8090',
    ...(ownRedis
      ? [
          'gateway → redis:6379',
          'worker → redis:6379',
          'redis ← gateway:6379',
          'redis ← worker:6379',
          'redis ← namespace frechet.dev/monitoring:9121',
          'redis → namespace kubernetes.io/metadata.name:53',
        ]
      : ['gateway → 10.0.0.0/8:6379', 'worker → 10.0.0.0/8:6379']),
    'gateway → namespace kubernetes.io/metadata.name:53',
    'worker → namespace kubernetes.io/metadata.name:53',
    ...(tracing
      ? ['gateway', 'worker'].flatMap(role =>
          [4317, 4318].map(port => `${role} → namespace frechet.dev/tracing:${port}`),
        )
      : []),
  ].sort();
}

function allowedTraffic(objects: readonly KubernetesObject[]): string[] {
  const flows = ofKind(objects, 'NetworkPolicy').flatMap(policy => {
    const pods = selected(objects, at(policy, 'spec.podSelector.matchLabels') ?? {});
    return pods.flatMap(pod => [
      ...listAt(policy, 'spec.ingress').flatMap(rule => ruleFlows(objects, pod, rule, 'from', '←')),
      ...listAt(policy, 'spec.egress').flatMap(rule => ruleFlows(objects, pod, rule, 'to', '→')),
    ]);
  });
  return [...new Set(flows)].sort();
}

function ruleFlows(
  objects: readonly KubernetesObject[],
  pod: KubernetesObject,
  rule: unknown,
  peersField: 'from' | 'to',
  arrow: string,
): string[] {
  const peers = listAt(rule, peersField).flatMap(peer => peerNames(objects, peer));
  const ports = listAt<{ port: string | number }>(rule, 'ports').map(({ port }) =>
    typeof port === 'number' ? port : (containerPorts(pod).get(port) ?? `no such port ${port}`),
  );
  // A rule without peers or ports allows all of them.
  const from = peers.length > 0 ? peers : ['everybody'];
  const through = ports.length > 0 ? ports : ['every port'];
  return from.flatMap(peer => through.map(port => `${roleOf(pod)} ${arrow} ${peer}:${port}`));
}

function peerNames(objects: readonly KubernetesObject[], peer: unknown): string[] {
  const block = at<string>(peer, 'ipBlock.cidr');
  if (block !== undefined) return [block];
  const namespace = at<Record<string, string>>(peer, 'namespaceSelector.matchLabels');
  if (namespace !== undefined) return Object.keys(namespace).map(label => `namespace ${label}`);
  const chosen = selected(objects, at(peer, 'podSelector.matchLabels') ?? {}).map(roleOf);
  return chosen.length > 0 ? chosen : ['nobody'];
}

function roleOf(pod: KubernetesObject): string {
  return podLabels(pod)['app.kubernetes.io/name'] ?? pod.metadata.name;
}
