// Is the process alive, is it ready, what does it count: for load balancers, Kubernetes and Prometheus. The admin
// listener of both roles; it has no access to jobs or arrays.

import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ERRORS, type ErrorCode, errorCode } from '../errors.ts';
import type { Store } from './store/store.ts';

/** Says in a sentence why the process is not ready; undefined where this check finds nothing. */
export type ReadinessCheck = () => Promise<string | undefined>;

/** A probe answers within this time whatever hangs. */
const CHECK_SECONDS_MAX = 5;
/** Probes that come faster share one look, so that probing costs nothing much. */
const LOOK_AGAIN_MS = 500;

/** Runs the checks side by side; answers the first fault in their order. Never throws. */
export function createReadiness(checks: Readonly<Record<string, ReadinessCheck>>): ReadinessCheck {
  let latest: { readonly at: number; readonly fault: Promise<string | undefined> } | undefined;
  const look = async () => {
    const faults = await Promise.all(Object.entries(checks).map(([name, check]) => runCheck(name, check)));
    return faults.find(fault => fault !== undefined);
  };
  return () => {
    const now = performance.now();
    if (latest === undefined || now - latest.at > LOOK_AGAIN_MS) latest = { at: now, fault: look() };
    return latest.fault;
  };
}

async function runCheck(name: string, check: ReadinessCheck): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>(resolve => {
    timer = setTimeout(resolve, CHECK_SECONDS_MAX * 1000, `${name} did not answer in ${CHECK_SECONDS_MAX} s`);
  });
  try {
    return await Promise.race([check(), late]);
  } catch (error) {
    // Our own errors are written for clients; others may name a path.
    return errorCode(error) === undefined ? `${name} is not usable` : `${name}: ${(error as Error).message}`;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * A store is ready when it takes a small object and gives it back, or is full: what it holds is still served, and
 * somebody must be able to delete some of it. `name` tells writers apart.
 */
export function storeCheck(store: Store, name: string): ReadinessCheck {
  const key = `probes/${name}`;
  return async () => {
    const written = Buffer.from(randomUUID());
    try {
      await store.put(key, [written], { exclusive: false });
    } catch (error) {
      if (errorCode(error) === 'store-full') return undefined;
      throw error;
    }
    const read = await store.get(key);
    return read === undefined ? 'the store lost an object just written' : undefined;
  };
}

export interface AdminOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly readiness: ReadinessCheck;
  /** Says in a sentence what a process that is ready cannot do all the same. */
  readonly limitation?: ReadinessCheck;
  /** The text of `/metrics` and its media type. A failure is answered as 503. */
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>;
}

export interface AdminListener {
  readonly url: string;
  close(): Promise<void>;
}

/** Answers `/livez`, `/readyz` and `/metrics` until closed. */
export async function startAdminListener(options: AdminOptions): Promise<AdminListener> {
  const server = createServer((request, response) => {
    answerAdmin(request, response, options).catch(() => response.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  });
  const { address, family, port } = server.address() as AddressInfo;
  return {
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answerAdmin(
  request: IncomingMessage,
  response: ServerResponse,
  { readiness, limitation, metrics }: AdminOptions,
): Promise<void> {
  const path = request.url?.split('?', 1)[0];
  if (path !== '/livez' && path !== '/readyz' && path !== '/metrics') {
    return refuse(response, 'not-found', 'here are only /livez, /readyz and /metrics');
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD');
    return refuse(response, 'method-not-allowed', 'this resource supports GET, HEAD');
  }
  if (path === '/livez') return answerText(response, 'text/plain; charset=utf-8', 'live\n');
  if (path === '/readyz') {
    const fault = await readiness();
    if (fault !== undefined) return refuse(response, 'unavailable', fault);
    return answerText(response, 'text/plain; charset=utf-8', readyText(await limitation?.()));
  }
  try {
    const { contentType, text } = await metrics();
    return answerText(response, contentType, text);
  } catch {
    return refuse(response, 'unavailable', 'the metrics could not be collected');
  }
}

/** What `/readyz` answers with 200. */
export function readyText(limitation: string | undefined): string {
  return limitation === undefined ? 'ready\n' : `ready, but ${limitation}\n`;
}

function answerText(response: ServerResponse, contentType: string, text: string): void {
  response.writeHead(200, { 'Content-Type': contentType, 'Content-Length': Buffer.byteLength(text) });
  response.end(text);
}

function refuse(response: ServerResponse, code: ErrorCode, detail: string): void {
  const { status, title } = ERRORS[code];
  const instance = randomUUID();
  const problem = { type: `urn:frechet:problem:${code}`, title, status, detail, instance };
  response.writeHead(status, {
    'Content-Type': 'application/problem+json',
    'X-Request-Id': instance,
    ...(status === 503 ? { 'Retry-After': '2' } : {}),
  });
  response.end(JSON.stringify(problem));
}
