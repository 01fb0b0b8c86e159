// What Prometheus scrapes in tests besides real gateways and workers: the real Redis exporter, and a stand-in for the
// kubelet, of which there is none on a machine without a cluster.

import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
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
async function startMetricsServer(render: () => Promise<string>): Promise<Exporter> {
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

/** A volume in bytes. */
export interface Volume {
  readonly capacity: number;
  readonly available: number;
}

/** What a kubelet would tell of the store's volume. */
export function startKubelet(look: () => Promise<Volume>): Promise<Exporter> {
  return startMetricsServer(async () => {
    const { capacity, available } = await look();
    const series = (kind: string, value: number) =>
      `# TYPE kubelet_volume_stats_${kind}_bytes gauge\n` +
      `kubelet_volume_stats_${kind}_bytes{persistentvolumeclaim="frechet-store"} ${value}\n`;
    return series('capacity', capacity) + series('available', available);
  });
}
