// What Prometheus scrapes in tests besides real gateways and workers: the real Redis exporter, and stand-ins for the
// kubelet and for an installation in trouble. A stand-in uses the real table of metrics, so names and labels are real;
// its values are driven to where no healthy process would take them.

import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createMetrics } from '../../../shared/io/metrics.ts';
import { prometheusProgram } from './promtool.ts';

export interface Exporter {
  /** `host:port`. */
  readonly address: string;
  stop(): Promise<void>;
}

/** A port that nobody listens on, for programs that cannot say which one they took. */
export async function freePort(): Promise<number> {
  const server = createTcpServer();
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise(resolve => server.close(resolve));
  return port;
}

/** Runs a program until stopped; resolves when it listens. */
export async function startProgram(
  name: Parameters<typeof prometheusProgram>[0],
  args: readonly string[],
  port: number,
): Promise<Exporter> {
  const child = spawn(await prometheusProgram(name), [...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  let complaints = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaints += text;
  });
  const ended = new Promise<void>(resolve => child.once('close', () => resolve()));
  for (let attempt = 0; !(await isListening(port)); attempt += 1) {
    if (child.exitCode !== null || attempt > 200) throw new Error(`${name} does not listen: ${complaints}`);
    await sleep(50);
  }
  return {
    address: `127.0.0.1:${port}`,
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

function isListening(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

/** @param redis `unix:PATH` as our settings have it, or `redis://…` */
export async function startRedisExporter(redis: string): Promise<Exporter> {
  const port = await freePort();
  const address = redis.startsWith('unix:') ? `unix://${redis.slice('unix:'.length)}` : redis;
  return startProgram(
    'prometheus-redis-exporter',
    [`-redis.addr=${address}`, `-web.listen-address=127.0.0.1:${port}`],
    port,
  );
}

/** Serves `/metrics` as `render` writes it. */
async function startMetricsServer(render: () => Promise<string> | string): Promise<Exporter> {
  const server = createServer(async (_request, response) => {
    response.setHeader('Content-Type', 'text/plain; version=0.0.4').end(await render());
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    address: `127.0.0.1:${port}`,
    async stop() {
      server.closeAllConnections();
      await new Promise(resolve => server.close(resolve));
    },
  };
}

/** The kubelet's view of the store's volume, in bytes; the available ones fall by `goneEachScrape`. */
export function startKubelet(capacity: number, available: number, goneEachScrape: number): Promise<Exporter> {
  let left = available;
  return startMetricsServer(() => {
    left -= goneEachScrape;
    const series = (kind: string, value: number) =>
      `# TYPE kubelet_volume_stats_${kind}_bytes gauge\n` +
      `kubelet_volume_stats_${kind}_bytes{persistentvolumeclaim="frechet-store"} ${value}\n`;
    return series('capacity', capacity) + series('available', left);
  });
}

/** A worker on whose every scrape something has gone wrong again. */
export function startWorkerInTrouble(): Promise<Exporter> {
  const { registry, metrics } = createMetrics('worker');
  metrics.frechet_build_info.set({ version: '0.0.1', kernel: 'wasm' }, 1);
  return startMetricsServer(() => {
    const operation = 'jvp';
    metrics.frechet_jobs_finished_total.inc({ operation, outcome: 'failed' });
    metrics.frechet_jobs_finished_total.inc({ operation, outcome: 'succeeded' }, 0);
    metrics.frechet_job_queue_seconds.observe({ operation }, 4000);
    metrics.frechet_blocks_finished_total.inc({ outcome: 'retried' });
    metrics.frechet_verification_failures_total.inc();
    metrics.frechet_stalled_blocks_total.inc();
    return registry.metrics();
  });
}

/** A gateway whose backlog grows, and which answers late and with errors. */
export function startGatewayInTrouble(): Promise<Exporter> {
  const { registry, metrics } = createMetrics('gateway');
  metrics.frechet_build_info.set({ version: '0.0.2', kernel: 'none' }, 1);
  let backlog = 1e15;
  return startMetricsServer(() => {
    backlog += 1e12;
    metrics.frechet_backlog_flops.set(backlog);
    const request = { method: 'GET', route: '/v1/jobs/{jobId}' };
    metrics.frechet_http_request_duration_seconds.observe({ ...request, status: '200' }, 3);
    return registry.metrics();
  });
}
