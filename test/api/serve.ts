// A frame with some routes behind a real socket, for tests of what HTTP does before and after a route.

import { connect } from 'node:net';
import { anonymousTenants } from '../../api/auth/tenants.ts';
import { createFrame, type FrameDeps } from '../../api/http/frame.ts';
import type { Route } from '../../api/http/route.ts';
import { closeServer, createHttpServer, listen } from '../../api/http/server.ts';
import { createLogger, type Logger } from '../../shared/io/logger.ts';
import { createMetrics } from '../../shared/io/metrics.ts';

export interface Served {
  readonly url: string;
  readonly port: number;
  /** Log lines so far, parsed. */
  readonly lines: Record<string, unknown>[];
  /** The text of /metrics. */
  scrape(): Promise<string>;
  close(): Promise<void>;
}

export async function serve(
  routes: readonly Route[] | ((log: Logger) => readonly Route[]),
  draining: AbortSignal = new AbortController().signal,
  guards: Pick<FrameDeps, 'tenants' | 'redisCall'> = { tenants: anonymousTenants(), redisCall: noRedis },
): Promise<Served> {
  const lines: Record<string, unknown>[] = [];
  const log = createLogger({
    level: 'info',
    role: 'gateway',
    destination: { write: line => void lines.push(JSON.parse(line)) },
  });
  const { registry, metrics } = createMetrics('gateway');
  const table = typeof routes === 'function' ? routes(log) : routes;
  const server = createHttpServer(createFrame(table, { log, metrics, draining, ...guards }));
  const url = await listen(server, '127.0.0.1', 0);
  return {
    url,
    port: Number(new URL(url).port),
    lines,
    scrape: () => registry.metrics(),
    close: () => closeServer(server, 1),
  };
}

async function noRedis(): Promise<never> {
  throw new Error('there is no Redis here');
}

/** Sends the bytes as they are and answers everything that comes back until the server closes or falls silent. */
export function exchange(port: number, bytes: string | Buffer, silenceMs = 3_000): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    const received: Buffer[] = [];
    const settle = () => {
      socket.destroy();
      resolve(Buffer.concat(received).toString('latin1'));
    };
    socket.setTimeout(silenceMs, settle);
    socket.on('data', piece => received.push(piece));
    socket.on('end', settle);
    socket.on('error', reject);
    socket.write(bytes);
  });
}
