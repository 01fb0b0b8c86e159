// For each alert a history that fires it and one close by that must not, in promtool's notation: `0+5x20` starts at 0
// and adds 5 twenty times, `_x3` is three missing samples. Samples are a minute apart.

export interface History {
  /** Series → values. */
  readonly series: Readonly<Record<string, string>>;
  /** When the alerts are looked at. */
  readonly at: string;
}

export interface AlertCase {
  readonly fires: History & { readonly labels: Readonly<Record<string, string>> };
  readonly stays: History;
}

const namespace = 'n';
const worker = 'namespace="n", pod="w"';

export const ALERT_CASES: Readonly<Record<string, AlertCase>> = {
  FrechetNoWorkerConsuming: {
    fires: {
      series: {
        'frechet_backlog_flops{namespace="n", pod="g"}': '1e12x30',
        [`frechet_blocks_finished_total{outcome="stored", ${worker}}`]: '7x30',
        // Trying again and again is not getting on.
        [`frechet_blocks_finished_total{outcome="retried", ${worker}}`]: '0+5x30',
      },
      at: '20m',
      labels: { severity: 'critical', namespace },
    },
    stays: {
      series: {
        'frechet_backlog_flops{namespace="n", pod="g"}': '1e12x30',
        [`frechet_blocks_finished_total{outcome="stored", ${worker}}`]: '0x9 1x9 2x12',
      },
      at: '30m',
    },
  },
  FrechetBacklogGrowing: {
    fires: {
      series: { 'frechet_backlog_flops{namespace="n", pod="g"}': '1e14+1e12x80' },
      at: '75m',
      labels: { severity: 'warning', namespace },
    },
    // Larger, and shrinking.
    stays: { series: { 'frechet_backlog_flops{namespace="n", pod="g"}': '9e14-1e12x80' }, at: '75m' },
  },
  FrechetJobsFailing: {
    fires: {
      series: {
        [`frechet_jobs_finished_total{operation="jvp", outcome="succeeded", ${worker}}`]: '0+90x30',
        [`frechet_jobs_finished_total{operation="jvp", outcome="failed", ${worker}}`]: '0+10x30',
      },
      at: '25m',
      labels: { severity: 'critical', namespace },
    },
    // Cancelled jobs are nobody's failure.
    stays: {
      series: {
        [`frechet_jobs_finished_total{operation="jvp", outcome="succeeded", ${worker}}`]: '0+96x30',
        [`frechet_jobs_finished_total{operation="jvp", outcome="failed", ${worker}}`]: '0+4x30',
        [`frechet_jobs_finished_total{operation="jvp", outcome="cancelled", ${worker}}`]: '0+500x30',
      },
      at: '25m',
    },
  },
  FrechetQueueWaitLong: {
    fires: { series: queueWait({ within: 90 }), at: '30m', labels: { severity: 'warning', namespace } },
    stays: { series: queueWait({ within: 97 }), at: '30m' },
  },
  FrechetVerificationFailed: {
    fires: {
      series: { [`frechet_verification_failures_total{${worker}}`]: '0x10 1x20' },
      at: '15m',
      labels: { severity: 'critical', namespace, pod: 'w' },
    },
    // An hour after the only one.
    stays: { series: { [`frechet_verification_failures_total{${worker}}`]: '0x10 1x70' }, at: '70m' },
  },
  FrechetBlocksStalled: {
    fires: {
      series: { [`frechet_stalled_blocks_total{${worker}}`]: '0x10 2x20' },
      at: '20m',
      labels: { severity: 'warning', namespace },
    },
    stays: { series: { [`frechet_stalled_blocks_total{${worker}}`]: '3x60' }, at: '50m' },
  },
  FrechetBlocksRetried: {
    fires: {
      series: {
        [`frechet_blocks_finished_total{outcome="stored", ${worker}}`]: '0+90x60',
        [`frechet_blocks_finished_total{outcome="retried", ${worker}}`]: '0+10x60',
      },
      at: '50m',
      labels: { severity: 'warning', namespace },
    },
    stays: {
      series: {
        [`frechet_blocks_finished_total{outcome="stored", ${worker}}`]: '0+96x60',
        [`frechet_blocks_finished_total{outcome="retried", ${worker}}`]: '0+4x60',
      },
      at: '50m',
    },
  },
  FrechetGatewayErrors: {
    fires: { series: requests({ 202: 98, 503: 2 }), at: '20m', labels: { severity: 'critical', namespace } },
    // What clients get wrong is not an error of the gateway.
    stays: { series: requests({ 202: 995, 503: 5, 422: 500 }), at: '20m' },
  },
  FrechetGatewaySlow: {
    fires: {
      series: readTimes('GET', '/v1/jobs/{jobId}'),
      at: '25m',
      labels: { severity: 'warning', namespace },
    },
    // Waiting for a job's end is what the client asked for.
    stays: { series: readTimes('POST', '/v1/jobs'), at: '25m' },
  },
  FrechetGatewayAbsent: {
    fires: {
      series: { 'up{job="frechet-gateway", namespace="n", pod="g"}': '1x5 0x20' },
      at: '15m',
      labels: { severity: 'critical' },
    },
    stays: {
      series: {
        'up{job="frechet-gateway", namespace="n", pod="g"}': '1x5 0x20',
        'up{job="frechet-gateway", namespace="n", pod="h"}': '1x25',
      },
      at: '15m',
    },
  },
  FrechetTargetDown: {
    fires: {
      series: { 'up{job="frechet-worker", namespace="n", pod="w"}': '1x5 0x20' },
      at: '15m',
      labels: { severity: 'warning', job: 'frechet-worker', namespace, pod: 'w' },
    },
    // A restart, and a target that is none of ours.
    stays: {
      series: {
        'up{job="frechet-worker", namespace="n", pod="w"}': '1x5 0x3 1x20',
        'up{job="elsewhere", namespace="n", pod="x"}': '0x30',
      },
      at: '15m',
    },
  },
  FrechetMixedVersions: {
    fires: {
      series: {
        'frechet_build_info{namespace="n", pod="g", version="1.0.0", kernel="none"}': '1x90',
        'frechet_build_info{namespace="n", pod="w", version="1.1.0", kernel="native"}': '1x90',
      },
      at: '80m',
      labels: { severity: 'warning', namespace },
    },
    stays: {
      series: {
        'frechet_build_info{namespace="n", pod="g", version="1.0.0", kernel="none"}': '1x90',
        'frechet_build_info{namespace="n", pod="w", version="1.0.0", kernel="native"}': '1x90',
        'frechet_build_info{namespace="m", pod="w", version="1.1.0", kernel="native"}': '1x90',
      },
      at: '80m',
    },
  },
  FrechetNativeKernelMissing: {
    fires: {
      series: { 'frechet_build_info{namespace="n", pod="w", version="1.0.0", kernel="wasm"}': '1x30' },
      at: '20m',
      labels: { severity: 'warning', namespace, pod: 'w', version: '1.0.0', kernel: 'wasm' },
    },
    stays: {
      series: {
        'frechet_build_info{namespace="n", pod="g", version="1.0.0", kernel="none"}': '1x30',
        'frechet_build_info{namespace="n", pod="w", version="1.0.0", kernel="native"}': '1x30',
      },
      at: '20m',
    },
  },
  FrechetStoreFilling: {
    // 36 GB left, 0.2 GB go each minute: three hours.
    fires: {
      series: volume('1e11', '1e11-2e8x320'),
      at: '320m',
      labels: { severity: 'warning', namespace },
    },
    // As much left, and a garbage collection instead of growth.
    stays: { series: volume('1e11', '3e10+1e7x320'), at: '320m' },
  },
  FrechetStoreAlmostFull: {
    fires: { series: volume('1e11', '4e9x30'), at: '20m', labels: { severity: 'critical', namespace } },
    stays: { series: volume('1e11', '6e9x30'), at: '20m' },
  },
  FrechetRedisDown: {
    fires: {
      series: { 'redis_up{job="frechet-redis", namespace="n", pod="r"}': '1x5 0x20' },
      at: '10m',
      labels: { severity: 'critical', job: 'frechet-redis', namespace, pod: 'r' },
    },
    stays: { series: { 'redis_up{job="frechet-redis", namespace="n", pod="r"}': '1x5 0 1x20' }, at: '10m' },
  },
  FrechetRedisEvicts: {
    fires: {
      series: redisPolicy('allkeys-lru'),
      at: '10m',
      labels: {
        severity: 'critical',
        job: 'frechet-redis',
        namespace,
        pod: 'r',
        maxmemory_policy: 'allkeys-lru',
      },
    },
    stays: { series: redisPolicy('noeviction'), at: '10m' },
  },
  FrechetRedisMemoryHigh: {
    fires: {
      series: redisMemory('85x30', '100x30'),
      at: '25m',
      labels: { severity: 'warning', job: 'frechet-redis', namespace, pod: 'r' },
    },
    // No limit at all is written as 0.
    stays: { series: redisMemory('85x30', '0x30'), at: '25m' },
  },
};

/** A hundred jobs a minute, of which so many start within five minutes. */
function queueWait({ within }: { readonly within: number }): Record<string, string> {
  const bucket = (le: string) => `frechet_job_queue_seconds_bucket{le="${le}", operation="jvp", ${worker}}`;
  return { [bucket('300')]: `0+${within}x40`, [bucket('1800')]: '0+100x40', [bucket('+Inf')]: '0+100x40' };
}

/** So many requests a minute by status. */
function requests(perMinute: Readonly<Record<string, number>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(perMinute).map(([status, count]) => [
      `frechet_http_request_duration_seconds_count{method="POST", route="/v1/jobs", status="${status}", namespace="n", pod="g"}`,
      `0+${count}x30`,
    ]),
  );
}

/** A hundred requests a minute, of which five take longer than half a second. */
function readTimes(method: string, route: string): Record<string, string> {
  const bucket = (le: string) =>
    `frechet_http_request_duration_seconds_bucket{le="${le}", method="${method}", route="${route}", status="200", namespace="n", pod="g"}`;
  return { [bucket('0.5')]: '0+95x30', [bucket('1')]: '0+100x30', [bucket('+Inf')]: '0+100x30' };
}

function volume(capacity: string, available: string): Record<string, string> {
  const labels = 'namespace="n", persistentvolumeclaim="frechet-store", node="a"';
  return {
    [`kubelet_volume_stats_capacity_bytes{${labels}}`]: `${capacity}x320`,
    [`kubelet_volume_stats_available_bytes{${labels}}`]: available,
  };
}

function redisPolicy(policy: string): Record<string, string> {
  const labels = `job="frechet-redis", namespace="n", pod="r", maxmemory_policy="${policy}"`;
  return { [`redis_instance_info{${labels}}`]: '1x20' };
}

function redisMemory(used: string, max: string): Record<string, string> {
  const labels = 'job="frechet-redis", namespace="n", pod="r"';
  return { [`redis_memory_used_bytes{${labels}}`]: used, [`redis_memory_max_bytes{${labels}}`]: max };
}
