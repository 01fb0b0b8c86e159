// Is it well? The first look, and the page an alert leads to.

import type { DashboardSpec } from './spec.ts';

export const overview: DashboardSpec = {
  uid: 'frechet-overview',
  title: 'Frechet / Overview',
  description: 'Is it well: alerts, success, throughput, waiting, errors. Everything else is one link away.',
  variables: [],
  rows: [
    {
      title: 'Now',
      panels: [
        {
          kind: 'stat',
          title: 'Alerts firing',
          description: 'Each alert has a section of its name in deploy/README.md; critical ones first.',
          unit: 'short',
          width: 3,
          queries: [
            {
              expr: 'count(ALERTS{alertname=~"Frechet.*", alertstate="firing", namespace=~"$namespace|"}) or vector(0)',
              legend: 'firing',
            },
          ],
          thresholds: { warning: 1, error: 2 },
        },
        {
          kind: 'stat',
          title: 'Jobs that succeed',
          description:
            'Of the jobs that ended within five minutes, without the cancelled ones. Objective: 99.5 % over 30 days. ' +
            'When it falls: the operation that fails (Jobs and queue), then the `error` of one such job.',
          unit: 'percentunit',
          width: 3,
          queries: [{ expr: 'frechet:jobs_success_ratio{namespace="$namespace"}', legend: 'succeeded' }],
          thresholds: { warning: 0.995, error: 0.95, direction: 'below' },
        },
        {
          kind: 'stat',
          title: 'Requests that fail',
          description:
            'Answered with 5xx, 503 and 507 included. Objective: below 0.1 % over 30 days. When it rises: the status and ' +
            'route on the Gateway dashboard; 503 means Redis or the limits, 507 the store.',
          unit: 'percentunit',
          width: 3,
          queries: [{ expr: 'frechet:http_error_ratio{namespace="$namespace"}', legend: '5xx' }],
          thresholds: { warning: 0.001, error: 0.01 },
        },
        {
          kind: 'stat',
          title: 'Queue wait, 95 %',
          description:
            'From acceptance to the first block. Objective: below five minutes. When it is long: more workers, or one ' +
            'tenant that floods.',
          unit: 's',
          width: 3,
          queries: [{ expr: 'frechet:job_queue_seconds:p95{namespace="$namespace"}', legend: 'p95' }],
          thresholds: { warning: 60, error: 300 },
        },
        {
          kind: 'stat',
          title: 'Reading a job, 99 %',
          description:
            'What the gateway itself takes to answer. Objective: half a second. When it is long: latency of the volume, then ' +
            'the main thread lag on the Gateway dashboard.',
          unit: 's',
          width: 3,
          queries: [{ expr: 'frechet:http_read_seconds:p99{namespace="$namespace"}', legend: 'p99' }],
          thresholds: { warning: 0.25, error: 0.5 },
        },
        {
          kind: 'stat',
          title: 'Threads busy',
          description:
            'All workers together. Near 100 % for hours: more workers, or a backlog nobody waits for. Low with a backlog: see Workers.',
          unit: 'percentunit',
          width: 3,
          queries: [{ expr: 'frechet:threads_utilisation{namespace="$namespace"}', legend: 'busy' }],
        },
        {
          kind: 'stat',
          title: 'Workers answering',
          description:
            'Worker processes Prometheus reaches. Fewer than wanted: `kubectl describe pod` of those missing.',
          unit: 'short',
          width: 3,
          queries: [
            { expr: 'sum(up{job="frechet-worker", namespace="$namespace"}) or vector(0)', legend: 'workers' },
          ],
          thresholds: { warning: 1, error: 1, direction: 'below' },
        },
        {
          kind: 'stat',
          title: 'Gateways answering',
          description: 'Gateway processes Prometheus reaches. At one, a restart is an outage.',
          unit: 'short',
          width: 3,
          queries: [
            {
              expr: 'sum(up{job="frechet-gateway", namespace="$namespace"}) or vector(0)',
              legend: 'gateways',
            },
          ],
          thresholds: { warning: 2, error: 1, direction: 'below' },
        },
      ],
    },
    {
      title: 'Work',
      panels: [
        {
          kind: 'timeseries',
          title: 'Throughput',
          description:
            'Floating-point operations a second, all workers. Low with a backlog: see Workers, threads busy and the phases; ' +
            'low without one: nobody asks.',
          unit: 'flops',
          queries: [{ expr: 'frechet:flops_per_second{namespace="$namespace"}', legend: 'computed' }],
        },
        {
          kind: 'stacked',
          title: 'Jobs ended',
          description:
            'By outcome. Failed ones in number: read the `error` of one, it is a problem document.',
          unit: 'ops',
          queries: [
            {
              expr: 'sum by (outcome) (frechet:jobs_finished_per_second{namespace="$namespace"})',
              legend: '{{outcome}}',
            },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Backlog',
          description:
            'How long one worker would need for all that waits. Growing for long: raise maxReplicaCount, or lower the ' +
            'limits of the tenant that causes it.',
          unit: 's',
          queries: [{ expr: 'frechet:backlog_worker_seconds{namespace="$namespace"}', legend: 'one worker' }],
        },
        {
          kind: 'stacked',
          title: 'Unfinished jobs',
          description:
            'Queued jobs with few running and threads idle: workers lack memory, or cannot read operands.',
          unit: 'short',
          queries: [{ expr: 'max by (state) (frechet_jobs{namespace="$namespace"})', legend: '{{state}}' }],
        },
      ],
    },
    {
      title: 'Trouble',
      panels: [
        {
          kind: 'stacked',
          title: 'Failed requests',
          description: '5xx by status. 500 is a bug: find the request id in the log and report it.',
          unit: 'reqps',
          emptyWhenHealthy: 'a status has no series before its first answer',
          queries: [
            {
              expr: 'sum by (status) (rate(frechet_http_request_duration_seconds_count{namespace="$namespace", status=~"5.."}[$__rate_interval]))',
              legend: '{{status}}',
            },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Blocks that did not pass verification',
          description:
            'Wrong numbers, found before they were served. Always one machine? Take it out of service and test its memory.',
          unit: 'short',
          queries: [
            {
              expr: 'sum(increase(frechet_verification_failures_total{namespace="$namespace"}[1h]))',
              legend: 'in an hour',
            },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Blocks taken over',
          description:
            'From workers that stopped renewing their lock: killed for memory (`kubectl get pod`, OOMKilled), or frozen.',
          unit: 'short',
          queries: [
            {
              expr: 'sum(increase(frechet_stalled_blocks_total{namespace="$namespace"}[1h]))',
              legend: 'in an hour',
            },
          ],
        },
        {
          kind: 'table',
          title: 'What runs',
          description:
            'Versions and kernels of all processes. Two versions for long: a rollout stands still. A worker without the ' +
            'native kernel computes at half speed; its log says why at start-up.',
          unit: 'short',
          queries: [
            {
              expr: 'count by (version, kernel) (frechet_build_info{namespace="$namespace"})',
              legend: '{{version}} {{kernel}}',
            },
          ],
        },
      ],
    },
  ],
};
