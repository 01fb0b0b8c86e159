// The two things that are not ours: the work-list and the truth.

import type { DashboardSpec } from './spec.ts';

const REDIS = 'job="frechet-redis", namespace="$namespace"';
const VOLUME = 'namespace="$namespace", persistentvolumeclaim="frechet-store"';

export const redisAndStore: DashboardSpec = {
  uid: 'frechet-redis-and-store',
  title: 'Frechet / Redis and store',
  description: 'Redis (the work-list, which can be lost) and the store (the truth, which cannot).',
  variables: [],
  rows: [
    {
      title: 'Redis',
      panels: [
        {
          kind: 'stat',
          title: 'Up',
          description:
            'At 0 new jobs get 503 and accepted ones wait. `kubectl logs` and events of frechet-redis-0.',
          unit: 'short',
          width: 6,
          queries: [{ expr: `min(redis_up{${REDIS}})`, legend: 'up' }],
          thresholds: { warning: 1, error: 1, direction: 'below' },
        },
        {
          kind: 'table',
          title: 'Version and policy',
          description:
            'The policy must be noeviction. Any other: queued work can vanish; processes are not ready on purpose.',
          unit: 'short',
          width: 6,
          queries: [
            {
              expr: `count by (redis_version, maxmemory_policy) (redis_instance_info{${REDIS}})`,
              legend: '{{redis_version}} {{maxmemory_policy}}',
            },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Memory',
          description:
            'A waiting block is about 1.5 KB. Towards the limit Redis refuses new work: raise maxmemory and the container’s limit together.',
          unit: 'bytes',
          width: 12,
          queries: [
            { expr: `redis_memory_used_bytes{${REDIS}}`, legend: 'used' },
            { expr: `redis_memory_max_bytes{${REDIS}}`, legend: 'limit' },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Commands',
          description:
            'Some hundred a second for each busy worker. Far more while nothing is computed: report it.',
          unit: 'ops',
          width: 8,
          queries: [
            {
              expr: `sum(rate(redis_commands_processed_total{${REDIS}}[$__rate_interval]))`,
              legend: 'commands',
            },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Connections',
          description:
            'Two for each gateway and three for each worker, and a few of BullMQ. Growing without new pods: report it.',
          unit: 'short',
          width: 8,
          queries: [{ expr: `redis_connected_clients{${REDIS}}`, legend: 'clients' }],
        },
        {
          kind: 'timeseries',
          title: 'Append-only file written',
          description:
            'Whether the last write and rewrite succeeded. At 0 the volume is full or broken, and a restart loses the queue; jobs do not.',
          unit: 'short',
          max: 1,
          width: 8,
          queries: [
            { expr: `redis_aof_last_write_status{${REDIS}}`, legend: 'write' },
            { expr: `redis_aof_last_bgrewrite_status{${REDIS}}`, legend: 'rewrite' },
          ],
        },
      ],
    },
    {
      title: 'Store',
      panels: [
        {
          kind: 'stat',
          title: 'Room left',
          description:
            'Below 5 % uploads and jobs are refused with 507; work accepted before still ends. Grow the volume, or shorten expiresIn.',
          unit: 'percentunit',
          width: 6,
          queries: [{ expr: 'frechet:store_available_ratio{namespace="$namespace"}', legend: 'left' }],
          thresholds: { warning: 0.2, error: 0.05, direction: 'below' },
        },
        {
          kind: 'stat',
          title: 'Full in',
          description: 'At the rate of the last six hours. Less than four days: grow the volume now.',
          unit: 's',
          width: 6,
          emptyWhenHealthy: 'a store that does not grow never fills',
          queries: [{ expr: 'frechet:store_seconds_to_full{namespace="$namespace"}', legend: 'full in' }],
          thresholds: { warning: 345_600, error: 86_400, direction: 'below' },
        },
        {
          kind: 'timeseries',
          title: 'Size',
          description:
            'Expired results and unused arrays are swept; a curve that only rises has no such work, or no sweeping.',
          unit: 'bytes',
          width: 12,
          queries: [
            {
              expr: `min(kubelet_volume_stats_capacity_bytes{${VOLUME}}) - min(kubelet_volume_stats_available_bytes{${VOLUME}})`,
              legend: 'used',
            },
            { expr: `min(kubelet_volume_stats_capacity_bytes{${VOLUME}})`, legend: 'capacity' },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Throughput',
          description:
            'All processes. Flat at the top while threads idle: the volume is the limit of the installation.',
          unit: 'Bps',
          width: 12,
          queries: [
            {
              expr: 'sum by (job, direction) (rate(frechet_store_bytes_total{namespace="$namespace"}[$__rate_interval]))',
              legend: '{{job}} {{direction}}',
            },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Storing a block, 95 %',
          description:
            'Up to 64 MiB, synced to the volume. Above a second or two: the volume is slow, and so are rollouts.',
          unit: 's',
          width: 12,
          queries: [
            {
              expr: 'histogram_quantile(0.95, sum by (le) (rate(frechet_block_phase_seconds_bucket{namespace="$namespace", phase="store"}[$__rate_interval])))',
              legend: 'p95',
            },
          ],
        },
      ],
    },
  ],
};
