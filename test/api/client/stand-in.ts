// An HTTP server that answers as a test wants it: for faults that a real service does not make on demand.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

type Answer = (request: Asked, response: ServerResponse, count: number) => void | Promise<void>;

export interface StandIn {
  readonly url: string;
  readonly asked: readonly Asked[];
}

/** Listens until the test ends. `answer` is told how many requests came before. */
export async function startStandIn(context: TestContext, answer: Answer): Promise<StandIn> {
  const asked: Asked[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const { method = '', url = '', headers } = request;
    asked.push({ method, path: url, headers, body });
    await answer(asked.at(-1)!, response, asked.length - 1); // just pushed
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

export function sendJson(response: ServerResponse, document: unknown, status = 200): void {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(document));
}

export function sendProblem(
  response: ServerResponse,
  slug: string,
  status: number,
  headers: Record<string, string> = {},
): void {
  const problem = { type: `urn:frechet:problem:${slug}`, title: slug, status, detail: `because of ${slug}` };
  response.writeHead(status, { 'Content-Type': 'application/problem+json', ...headers });
  response.end(JSON.stringify(problem));
}
