// Workloads and what belongs to them, as the policies ask for it.

import { at, type KubernetesObject, listAt } from './build.ts';

export interface EnvironmentVariable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: unknown;
}

/** The objects that make pods. */
export function workloads(objects: readonly KubernetesObject[]): KubernetesObject[] {
  return ofKind(objects, 'Deployment', 'StatefulSet');
}

export function ofKind(objects: readonly KubernetesObject[], ...kinds: string[]): KubernetesObject[] {
  return objects.filter(object => kinds.includes(object.kind));
}

/** @throws Error where there is none */
export function named(objects: readonly KubernetesObject[], kind: string, name: string): KubernetesObject {
  const found = objects.find(object => object.kind === kind && object.metadata.name === name);
  if (found === undefined) throw new Error(`there is no ${kind} ${name}`);
  return found;
}

export function podLabels(workload: KubernetesObject): Readonly<Record<string, string>> {
  return at<Record<string, string>>(workload, 'spec.template.metadata.labels') ?? {};
}

export function containers(workload: KubernetesObject): readonly unknown[] {
  return [
    ...listAt(workload, 'spec.template.spec.initContainers'),
    ...listAt(workload, 'spec.template.spec.containers'),
  ];
}

/** The workloads whose pods a selector (`matchLabels`, or a Service's plain labels) chooses. */
export function selected(
  objects: readonly KubernetesObject[],
  selector: Readonly<Record<string, string>>,
): KubernetesObject[] {
  return workloads(objects).filter(workload => {
    const labels = podLabels(workload);
    return Object.entries(selector).every(([key, value]) => labels[key] === value);
  });
}

/** Name → number of the ports of all containers. */
export function containerPorts(workload: KubernetesObject): Map<string, number> {
  const ports = containers(workload).flatMap(container =>
    listAt<{ name: string; containerPort: number }>(container, 'ports'),
  );
  return new Map(ports.map(({ name, containerPort }) => [name, containerPort]));
}

/** What the kubelet would set, in its order: ConfigMaps first, then the list. */
export function environmentOf(
  objects: readonly KubernetesObject[],
  container: unknown,
): EnvironmentVariable[] {
  const fromMaps = listAt(container, 'envFrom').flatMap(source => {
    const map = named(objects, 'ConfigMap', at<string>(source, 'configMapRef.name') ?? '');
    return Object.entries(at<Record<string, string>>(map, 'data') ?? {});
  });
  return [
    ...fromMaps.map(([name, value]) => ({ name, value })),
    ...listAt<EnvironmentVariable>(container, 'env'),
  ];
}

const SUFFIXES: Readonly<Record<string, number>> = {
  m: 0.001,
  Ki: 1024,
  Mi: 1024 ** 2,
  Gi: 1024 ** 3,
  Ti: 1024 ** 4,
};

/** `500m` → 0.5, `2Gi` → 2147483648. */
export function quantity(text: unknown): number {
  const [, digits = '', suffix = ''] = /^(\d+)(\w*)$/.exec(String(text)) ?? [];
  return Number(digits || Number.NaN) * (suffix === '' ? 1 : (SUFFIXES[suffix] ?? Number.NaN));
}
