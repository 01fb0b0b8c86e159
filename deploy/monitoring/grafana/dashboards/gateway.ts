// Rate, errors, duration of the HTTP surface, and its uploads.

import type { DashboardSpec } from './spec.ts';

const SCOPE = 'namespace="$namespace", pod=~"$pod"';

export const gateway: DashboardSpec = {
  uid: 'frechet-gateway',
  title: 'Frechet / Gateway',
  description: 'Rate, errors and duration of requests by route; uploads; the process itself.',
  variables: ['pod'],
  rows: [
    {
      title: 'Requests',
      panels: [
        {
          kind: 'stacked',
          title: 'Rate by route',
          description: '`unmatched` in number: a client with a wrong base URL, or a scanner.',
          unit: 'reqps',
          queries: [
            {
              expr: `sum by (method, route) (rate(frechet_http_request_duration_seconds_count{${SCOPE}}[$__rate_interval]))`,
              legend: '{{method}} {{route}}',
            },
          ],
        },
        {
          kind: 'stacked',
          title: 'Refused, by status',
          description:
            '4xx. 429: a tenant at its limit. 401: a key that was replaced. 499: clients that did not wait for the answer.',
          unit: 'reqps',
          emptyWhenHealthy: 'a status has no series before its first answer',
          queries: [
            {
              expr: `sum by (status) (rate(frechet_http_request_duration_seconds_count{${SCOPE}, status=~"4.."}[$__rate_interval]))`,
              legend: '{{status}}',
            },
          ],
        },
        {
          kind: 'stacked',
          title: 'Failed, by status and route',
          description:
            '503: Redis away or limits reached (readyz says which). 507: the store is full. 500: a bug, report it.',
          unit: 'reqps',
          emptyWhenHealthy: 'a status has no series before its first answer',
          queries: [
            {
              expr: `sum by (status, route) (rate(frechet_http_request_duration_seconds_count{${SCOPE}, status=~"5.."}[$__rate_interval]))`,
              legend: '{{status}} {{route}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Duration',
      panels: [
        {
          kind: 'timeseries',
          title: 'Reading a job',
          description:
            'No body, no waiting: the time is the gateway’s own and the store’s. Objective: 99 % within half a second. ' +
            'When slow: latency of the volume, or the lag below.',
          unit: 's',
          queries: [0.5, 0.99].map(quantile => ({
            expr: `histogram_quantile(${quantile}, sum by (le) (rate(frechet_http_request_duration_seconds_bucket{${SCOPE}, method="GET", route="/v1/jobs/{jobId}"}[$__rate_interval])))`,
            legend: `p${quantile * 100}`,
          })),
        },
        {
          kind: 'timeseries',
          title: 'By route, 95 %',
          description:
            '`POST /v1/jobs` includes the waiting a client asked for; events and results last as long as they last.',
          unit: 's',
          queries: [
            {
              expr: `histogram_quantile(0.95, sum by (method, route, le) (rate(frechet_http_request_duration_seconds_bucket{${SCOPE}}[$__rate_interval])))`,
              legend: '{{method}} {{route}}',
            },
          ],
        },
        {
          kind: 'heatmap',
          title: 'All requests',
          description:
            'A band that appears high up: one route, see beside; all of it moving up: the process or the store.',
          unit: 's',
          queries: [
            {
              expr: `sum by (le) (increase(frechet_http_request_duration_seconds_bucket{${SCOPE}}[$__rate_interval]))`,
              legend: '{{le}}',
            },
          ],
        },
      ],
    },
    {
      title: 'Uploads and the process',
      panels: [
        {
          kind: 'timeseries',
          title: 'Uploads',
          description:
            'Arrays a second. With operands repeated in many jobs, clients should ask by digest and upload once.',
          unit: 'reqps',
          queries: [
            {
              expr: `sum by (status) (rate(frechet_http_request_duration_seconds_count{${SCOPE}, method="POST", route="/v1/arrays"}[$__rate_interval]))`,
              legend: '{{status}}',
            },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Read from and written to the store',
          description:
            'Writes are uploads and specs, reads results. Flat at the top: the volume is the limit.',
          unit: 'Bps',
          queries: [
            {
              expr: `sum by (direction) (rate(frechet_store_bytes_total{job="frechet-gateway", ${SCOPE}}[$__rate_interval]))`,
              legend: '{{direction}}',
            },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Main thread lag, 99 %',
          description:
            'Above 100 ms: more gateways. JSON and CSV bodies are parsed there; large arrays should come as .npy.',
          unit: 's',
          queries: [
            { expr: `nodejs_eventloop_lag_p99_seconds{job="frechet-gateway", ${SCOPE}}`, legend: '{{pod}}' },
          ],
        },
        {
          kind: 'timeseries',
          title: 'Resident memory',
          description:
            'Bodies are streamed, so it should stay flat below the limit whatever is uploaded. Growing for days: report it.',
          unit: 'bytes',
          queries: [
            {
              expr: `process_resident_memory_bytes{job="frechet-gateway", ${SCOPE}}`,
              legend: '{{pod}}',
            },
          ],
        },
      ],
    },
  ],
};
