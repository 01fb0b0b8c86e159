// Jobs by operation: what is asked, how long it waits, how it ends.

import type { DashboardSpec } from './spec.ts';

const SCOPE = 'namespace="$namespace", operation=~"$operation"';

export const jobs: DashboardSpec = {
  uid: 'frechet-jobs',
  title: 'Frechet / Jobs and queue',
  description: 'Jobs by operation: arrivals, waiting, duration, outcome; and the backlog they make.',
  variables: ['operation'],
  rows: [
    {
      title: 'Arrivals and ends',
      panels: [
        {
          kind: 'stacked',
          title: 'Submitted',
          description:
            'A flood of one operation while others wait: lower the limits of the tenant behind it, in keys.json.',
          unit: 'ops',
          queries: [
            {
              expr: `sum by (operation) (rate(frechet_jobs_submitted_total{${SCOPE}}[$__rate_interval]))`,
              legend: '{{operation}}',
            },
          ],
        },
        {
          kind: 'stacked',
          title: 'Ended',
          description:
            'Fewer than submitted for long: the backlog grows. `failed` in number: read the `error` of one such job.',
          unit: 'ops',
          queries: [
            {
              expr: `sum by (operation, outcome) (rate(frechet_jobs_finished_total{${SCOPE}}[$__rate_interval]))`,
              legend: '{{operation}} {{outcome}}',
            },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Failing, by operation',
          description: 'Of the jobs that ended, without the cancelled ones. Read the `error` of one of them.',
          unit: 'percentunit',
          emptyWhenHealthy: 'an operation has no failed series before its first failure',
          max: 1,
          queries: [
            {
              expr: `sum by (operation) (rate(frechet_jobs_finished_total{${SCOPE}, outcome="failed"}[$__rate_interval])) / sum by (operation) (rate(frechet_jobs_finished_total{${SCOPE}, outcome=~"succeeded|failed"}[$__rate_interval]))`,
              legend: '{{operation}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Backlog',
      panels: [
        {
          kind: 'timeseries',
          title: 'Work that waits',
          description:
            'Floating-point operations of all unfinished jobs. It should fall whenever arrivals pause.',
          unit: 'short',
          queries: [{ expr: 'frechet:backlog_flops{namespace="$namespace"}', legend: 'flop' }],
        },
        {
          kind: 'timeseries',
          title: 'Seconds to work it off',
          description:
            'At the present throughput. Longer than clients expect: raise maxReplicaCount of the ScaledObject.',
          unit: 's',
          queries: [
            {
              expr: 'frechet:backlog_flops{namespace="$namespace"} / (frechet:flops_per_second{namespace="$namespace"} > 0)',
              legend: 'to empty',
            },
          ],
        },
        {
          kind: 'stacked',
          title: 'Unfinished jobs',
          description:
            'Running stays low while queued grows: large jobs hold all workers; small ones want a higher priority.',
          unit: 'short',
          queries: [{ expr: 'max by (state) (frechet_jobs{namespace="$namespace"})', legend: '{{state}}' }],
        },
      ],
    },
    {
      title: 'Time',
      panels: [
        {
          kind: 'heatmap',
          title: 'Waiting for the first block',
          description:
            'A second band far above the first: a burst, or jobs whose working set fits few workers.',
          unit: 's',
          width: 12,
          queries: [
            {
              expr: `sum by (le) (increase(frechet_job_queue_seconds_bucket{${SCOPE}}[$__rate_interval]))`,
              legend: '{{le}}',
            },
          ],
        },
        {
          kind: 'heatmap',
          title: 'From acceptance to the end',
          description:
            'Compare with the waiting beside it: the rest is computing. Both rise together: too few workers.',
          unit: 's',
          width: 12,
          queries: [
            {
              expr: `sum by (le) (increase(frechet_job_duration_seconds_bucket{${SCOPE}}[$__rate_interval]))`,
              legend: '{{le}}',
            },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Waiting, 50 % and 95 %',
          description:
            'By operation. Above the objective of five minutes: more workers, or fewer large jobs at once.',
          unit: 's',
          width: 12,
          queries: [0.5, 0.95].map(quantile => ({
            expr: `histogram_quantile(${quantile}, sum by (operation, le) (rate(frechet_job_queue_seconds_bucket{${SCOPE}}[$__rate_interval])))`,
            legend: `{{operation}} p${quantile * 100}`,
          })),
        },
        {
          kind: 'timeseries',
          title: 'Duration, 50 % and 95 %',
          description:
            'By operation. One that grew after a rollout is a regression: compare the phases on Workers.',
          unit: 's',
          width: 12,
          queries: [0.5, 0.95].map(quantile => ({
            expr: `histogram_quantile(${quantile}, sum by (operation, le) (rate(frechet_job_duration_seconds_bucket{${SCOPE}}[$__rate_interval])))`,
            legend: `{{operation}} p${quantile * 100}`,
          })),
        },
      ],
    },
  ],
};
