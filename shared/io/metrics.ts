// Every metric, in one table. Label values come from closed sets: no id, tenant, expression or URL is ever a label,
// because a label value is kept for ever. The only importer of prom-client.

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** Seconds, from a cached small block to a block at the edge of a drain. */
const PHASE_BUCKETS = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60];
/** Seconds, from a small job to one that computes for a day. */
const JOB_BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800, 7200, 43_200];
/**
 * Few, because every method, route and status brings all of them: a process must stay below 500 series whatever it is
 * asked. 0.5 is the objective for reads; beyond 5 s are waiting and streaming, which last as long as they last.
 */
const HTTP_BUCKETS = [0.005, 0.05, 0.5, 5];

/** Gauges among Node's default metrics whose names end like a counter's; those without `_total` say the same. */
const MISNAMED = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

interface MetricEntry {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly role: 'gateway' | 'worker' | 'both';
  readonly help: string;
  readonly labels: readonly string[];
  readonly buckets?: readonly number[];
}

export const METRICS = {
  frechet_jobs_submitted_total: {
    type: 'counter',
    role: 'gateway',
    labels: ['operation'],
    help: 'Jobs accepted with a 2xx.',
  },
  frechet_jobs_finished_total: {
    type: 'counter',
    role: 'both',
    labels: ['operation', 'outcome'],
    help: 'Jobs that reached their final state, counted by the process that decided it.',
  },
  frechet_jobs: {
    type: 'gauge',
    role: 'gateway',
    labels: ['state'],
    help: 'Unfinished jobs by state, as the work-list knows them.',
  },
  frechet_backlog_flops: {
    type: 'gauge',
    role: 'gateway',
    labels: [],
    help: 'Floating-point operations still to do in all unfinished jobs.',
  },
  frechet_job_queue_seconds: {
    type: 'histogram',
    role: 'worker',
    labels: ['operation'],
    buckets: JOB_BUCKETS,
    help: 'From acceptance of a job to the start of its first block.',
  },
  frechet_job_duration_seconds: {
    type: 'histogram',
    role: 'both',
    labels: ['operation'],
    buckets: JOB_BUCKETS,
    help: 'From acceptance of a job to its final state.',
  },
  frechet_blocks_finished_total: {
    type: 'counter',
    role: 'worker',
    labels: ['outcome'],
    help: 'Blocks by how they ended: stored, present (stored before), cancelled, failed, retried.',
  },
  frechet_block_phase_seconds: {
    type: 'histogram',
    role: 'worker',
    labels: ['phase'],
    buckets: PHASE_BUCKETS,
    help: 'Time of a block by phase: load, compute, verify, store.',
  },
  frechet_flops_total: {
    type: 'counter',
    role: 'worker',
    labels: ['kernel', 'dtype'],
    help: 'Floating-point operations computed. Its rate is the throughput.',
  },
  frechet_threads: {
    type: 'gauge',
    role: 'worker',
    labels: ['state'],
    help: 'Compute threads by state: busy, idle.',
  },
  frechet_memory_bytes: {
    type: 'gauge',
    role: 'worker',
    labels: ['kind'],
    help: 'Matrix memory of the arena: used, limit.',
  },
  frechet_array_cache_requests_total: {
    type: 'counter',
    role: 'worker',
    labels: ['result'],
    help: 'Operand look-ups in the array cache: hit, miss.',
  },
  frechet_store_bytes_total: {
    type: 'counter',
    role: 'both',
    labels: ['direction'],
    help: 'Bytes read from and written to the store.',
  },
  frechet_verification_failures_total: {
    type: 'counter',
    role: 'worker',
    labels: [],
    help: 'Blocks whose result did not pass verification.',
  },
  frechet_stalled_blocks_total: {
    type: 'counter',
    role: 'worker',
    labels: [],
    help: 'Blocks taken back from a worker that stopped renewing its lock.',
  },
  frechet_http_request_duration_seconds: {
    type: 'histogram',
    role: 'gateway',
    labels: ['method', 'route', 'status'],
    buckets: HTTP_BUCKETS,
    help: 'Time from the request to the end of its answer.',
  },
  frechet_build_info: {
    type: 'gauge',
    role: 'both',
    labels: ['version', 'kernel'],
    help: 'Always 1; says what runs.',
  },
} as const satisfies Record<string, MetricEntry>;

type MetricName = keyof typeof METRICS;
type Label<N extends MetricName> = (typeof METRICS)[N]['labels'][number];
type Instrument<N extends MetricName> = (typeof METRICS)[N]['type'] extends 'counter'
  ? Counter<Label<N>>
  : (typeof METRICS)[N]['type'] extends 'gauge'
    ? Gauge<Label<N>>
    : Histogram<Label<N>>;
type NamesOf<R extends 'gateway' | 'worker'> = {
  [N in MetricName]: (typeof METRICS)[N]['role'] extends R | 'both' ? N : never;
}[MetricName];

export type GatewayMetrics = { readonly [N in NamesOf<'gateway'>]: Instrument<N> };
export type WorkerMetrics = { readonly [N in NamesOf<'worker'>]: Instrument<N> };

/** The instruments of one role on a registry of their own, with Node's default metrics. */
export function createMetrics(role: 'gateway'): { registry: Registry; metrics: GatewayMetrics };
export function createMetrics(role: 'worker'): { registry: Registry; metrics: WorkerMetrics };
export function createMetrics(role: 'gateway' | 'worker'): { registry: Registry; metrics: unknown } {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
  const metrics: Record<string, unknown> = {};
  for (const [name, entry] of Object.entries(METRICS) as [MetricName, MetricEntry][]) {
    if (entry.role === role || entry.role === 'both') metrics[name] = createInstrument(name, entry, registry);
  }
  return { registry, metrics };
}

function createInstrument(name: string, entry: MetricEntry, registry: Registry): unknown {
  const options = { name, help: entry.help, labelNames: [...entry.labels], registers: [registry] };
  if (entry.type === 'counter') return new Counter(options);
  if (entry.type === 'gauge') return new Gauge(options);
  return new Histogram({ ...options, buckets: [...(entry.buckets ?? PHASE_BUCKETS)] });
}
