// Objects against the typed schemas of Kubernetes, KEDA and the Prometheus operator. The schemas' validators pass over
// fields they do not know, so an object is handed to them behind a proxy that notes which fields they look at: one that
// nobody looked at does not exist.

import { ScaledObject } from '@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject';
import { PodMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PodMonitor';
import { PrometheusRule } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule';
import { ServiceMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor';
import { Deployment } from 'kubernetes-models/apps/v1/Deployment';
import { StatefulSet } from 'kubernetes-models/apps/v1/StatefulSet';
import { HorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler';
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1/PodDisruptionBudget';
import { PriorityClass } from 'kubernetes-models/scheduling.k8s.io/v1/PriorityClass';
import { ConfigMap } from 'kubernetes-models/v1/ConfigMap';
import { Namespace } from 'kubernetes-models/v1/Namespace';
import { PersistentVolumeClaim } from 'kubernetes-models/v1/PersistentVolumeClaim';
import { Secret } from 'kubernetes-models/v1/Secret';
import { Service } from 'kubernetes-models/v1/Service';
import { ServiceAccount } from 'kubernetes-models/v1/ServiceAccount';
import type { KubernetesObject } from './build.ts';

interface Model {
  validate(): void;
}

const MODELS = [
  ConfigMap,
  Deployment,
  HorizontalPodAutoscaler,
  Namespace,
  NetworkPolicy,
  PersistentVolumeClaim,
  PodDisruptionBudget,
  PodMonitor,
  PriorityClass,
  PrometheusRule,
  ScaledObject,
  Secret,
  Service,
  ServiceAccount,
  ServiceMonitor,
  StatefulSet,
];

/** What is wrong with an object, in sentences; empty where nothing is. */
export function schemaFaults(object: KubernetesObject): string[] {
  const Known = MODELS.find(model => model.apiVersion === object.apiVersion && model.kind === object.kind);
  if (Known === undefined) return [`there is no schema for ${object.apiVersion} ${object.kind}`];
  const seen = new Set<string>();
  // The constructors' parameter types are what is to be checked here.
  const model = new (Known as unknown as new (data: unknown) => Model)(object);
  try {
    noting(model, '', seen).validate();
  } catch (error) {
    return [(error as Error).message];
  }
  return fieldPaths(object, '')
    .filter(path => !seen.has(path))
    .map(path => `${path} is not a field of ${object.kind}`);
}

/** Behaves as the value, and notes in `seen` the path of every field that is read. */
function noting<Value>(value: Value, path: string, seen: Set<string>): Value {
  if (typeof value !== 'object' || value === null) return value;
  return new Proxy(value as Value & object, {
    get(target, key) {
      const field: unknown = Reflect.get(target, key);
      if (typeof key === 'symbol' || typeof field === 'function') return field;
      const below = `${path}/${key}`;
      seen.add(below);
      return noting(field, below, seen);
    },
  });
}

function fieldPaths(value: unknown, path: string): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, field]) => [
    `${path}/${key}`,
    ...fieldPaths(field, `${path}/${key}`),
  ]);
}
