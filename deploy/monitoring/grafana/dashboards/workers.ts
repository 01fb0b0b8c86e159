// What the workers do with their time, memory and machines.

import type { DashboardSpec } from './spec.ts';

const SCOPE = 'namespace="$namespace", pod=~"$pod"';

export const workers: DashboardSpec = {
  uid: 'frechet-workers',
  title: 'Frechet / Workers',
  description: 'Threads, throughput by kernel, where the time of a block goes, memory and cache.',
  variables: ['pod'],
  rows: [
    {
      title: 'Computing',
      panels: [
        {
          kind: 'stacked',
          title: 'Threads',
          description:
            'Idle threads with a backlog: blocks wait for memory, for operands (phase load) or for the store (phase store).',
          unit: 'short',
          queries: [{ expr: `sum by (state) (frechet_threads{${SCOPE}})`, legend: '{{state}}' }],
        },
        {
          kind: 'timeseries',
          title: 'Threads busy, by worker',
          description: 'All should be alike. One low: its node is throttled or its volume slow.',
          unit: 'percentunit',
          max: 1,
          queries: [
            { expr: 'frechet:threads_utilisation{namespace="$namespace"}', legend: 'all' },
            {
              expr: `sum by (pod) (frechet_threads{${SCOPE}, state="busy"}) / sum by (pod) (frechet_threads{${SCOPE}})`,
              legend: '{{pod}}',
            },
          ],
        },
        {
          kind: 'stacked',
          title: 'Throughput by kernel',
          description:
            'The wasm or reference kernel where native is expected: the BLAS is missing; reproducible jobs use wasm on purpose.',
          unit: 'flops',
          queries: [
            {
              expr: `sum by (kernel, dtype) (rate(frechet_flops_total{${SCOPE}}[$__rate_interval]))`,
              legend: '{{kernel}} {{dtype}}',
            },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Throughput by worker',
          description:
            'Compare with the sizing table of deploy/README.md; a slow one shares its cores with others.',
          unit: 'flops',
          queries: [
            {
              expr: `sum by (pod) (rate(frechet_flops_total{${SCOPE}}[$__rate_interval]))`,
              legend: '{{pod}}',
            },
          ],
        },
      ],
    },
    {
      title: 'A block',
      panels: [
        {
          kind: 'stacked',
          title: 'Where the time goes',
          description:
            'Seconds spent in each phase, a second. Compute should dominate. Load: the store is slow or the cache too small. ' +
            'Store: write latency of the volume. Verify: many thin products.',
          unit: 's',
          queries: [
            {
              expr: `sum by (phase) (rate(frechet_block_phase_seconds_sum{${SCOPE}}[$__rate_interval]))`,
              legend: '{{phase}}',
            },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Phase, 95 %',
          description:
            'Compute near FRECHET_DRAIN_SECONDS: blocks are cut short by rollouts; raise the drain time.',
          unit: 's',
          queries: [
            {
              expr: `histogram_quantile(0.95, sum by (phase, le) (rate(frechet_block_phase_seconds_bucket{${SCOPE}}[$__rate_interval])))`,
              legend: '{{phase}}',
            },
          ],
        },
        {
          kind: 'stacked',
          title: 'Blocks ended',
          description:
            '`present` is work found done already, after a retry or a take-over. Many `retried`: the worker log says why.',
          unit: 'ops',
          queries: [
            {
              expr: `sum by (outcome) (rate(frechet_blocks_finished_total{${SCOPE}}[$__rate_interval]))`,
              legend: '{{outcome}}',
            },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Read from and written to the store',
          description:
            'At the limit of the volume, more workers bring nothing: give it throughput, or workers more cache.',
          unit: 'Bps',
          queries: [
            {
              expr: `sum by (direction) (rate(frechet_store_bytes_total{job="frechet-worker", ${SCOPE}}[$__rate_interval]))`,
              legend: '{{direction}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Memory',
      panels: [
        {
          kind: 'timeseries',
          title: 'Matrix memory in use',
          description:
            'Of the arena, FRECHET_MEMORY_BYTES. Full is normal (it caches operands); full with idle threads is not: blocks wait for room.',
          unit: 'percentunit',
          max: 1,
          queries: [
            {
              expr: `sum by (pod) (frechet_memory_bytes{${SCOPE}, kind="used"}) / sum by (pod) (frechet_memory_bytes{${SCOPE}, kind="limit"})`,
              legend: '{{pod}}',
            },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Resident memory',
          description:
            'Of the process, arena included. Near the memory limit of the container: lower FRECHET_MEMORY_BYTES or raise the limit.',
          unit: 'bytes',
          queries: [
            {
              expr: `process_resident_memory_bytes{job="frechet-worker", ${SCOPE}}`,
              legend: '{{pod}}',
            },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Operands found in the cache',
          description:
            'Low with the same operands in many jobs: the cache is too small for them; more memory a worker.',
          unit: 'percentunit',
          max: 1,
          queries: [
            {
              expr: `sum(rate(frechet_array_cache_requests_total{${SCOPE}, result="hit"}[$__rate_interval])) / sum(rate(frechet_array_cache_requests_total{${SCOPE}}[$__rate_interval]))`,
              legend: 'hits',
            },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Main thread lag, 99 %',
          description:
            'Above a second, locks are renewed late and blocks run twice. It should stay in milliseconds: report it.',
          unit: 's',
          queries: [
            { expr: `nodejs_eventloop_lag_p99_seconds{job="frechet-worker", ${SCOPE}}`, legend: '{{pod}}' },
          ],
        },
      ],
    },
  ],
};
