// The HTTP server around an app: its timeouts and limits, and the answers to what never becomes a request.

import { randomUUID } from 'node:crypto';
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { ErrorCode } from '../../shared/errors.ts';
import { PROBLEM_MEDIA_TYPE, problemDocument } from './problem.ts';

/** Request line and headers together. A client that needs more is mistaken. */
const HEADER_BYTES_MAX = 32 * 1024;
export const URL_LENGTH_MAX = 8 * 1024;
const HEADERS_SECONDS_MAX = 30;
/** Longer than the idle timeout of common load balancers (60 s), so that it is never we who close under a request. */
const KEEP_ALIVE_SECONDS = 65;
const CHECKING_SECONDS = 5;
/** Each holds a descriptor and some kilobytes; beyond this a connection is refused rather than all of them slowed. */
const CONNECTIONS_MAX = 10_000;
/** The rest of a body that an answer did not wait for is read this long, for the sake of the connection. */
const REST_SECONDS_MAX = 30;
/** How long a client may take to read why its bytes were not HTTP. */
const FAREWELL_SECONDS = 2;

/** A server that is not listening yet. */
export function createHttpServer(app: RequestListener, restSeconds = REST_SECONDS_MAX): Server {
  const inFlight = new WeakMap<Duplex, ServerResponse>();
  const unclosed = new WeakMap<Duplex, Set<ServerResponse>>();
  const handle = (request: IncomingMessage, response: ServerResponse) => {
    inFlight.set(request.socket, response);
    const responses = unclosed.get(request.socket);
    responses?.add(response);
    response.once('close', () => responses?.delete(response));
    response.once('finish', () => limitRest(request, restSeconds));
    app(request, response);
  };
  const server = createServer({
    maxHeaderSize: HEADER_BYTES_MAX,
    headersTimeout: HEADERS_SECONDS_MAX * 1000,
    // Uploads take as long as they take; http/body.ts watches that they move.
    requestTimeout: 0,
    keepAliveTimeout: KEEP_ALIVE_SECONDS * 1000,
    connectionsCheckingInterval: CHECKING_SECONDS * 1000,
    // Node would answer a missing Host with an empty 400; the app answers with a problem.
    requireHostHeader: false,
    // Nagle's algorithm would hold back the last piece of every answer.
    noDelay: true,
  });
  server.maxConnections = CONNECTIONS_MAX;
  server.on('request', handle);
  // The body is asked for when it is read (http/body.ts), so that a refused upload is never sent.
  server.on('checkContinue', handle);
  server.on('checkExpectation', handle);
  server.on('connection', socket => {
    const responses = new Set<ServerResponse>();
    unclosed.set(socket, responses);
    // Node takes its own listeners off a socket that it gives away (CONNECT), and an error without one ends the process.
    socket.on('error', () => socket.destroy()).once('close', () => closeQueued(responses));
  });
  const refused = new WeakSet<Duplex>();
  server.on('clientError', (error: ParserError, socket: Duplex) => {
    // A parser that failed fails again on every further packet; those are read and dropped.
    if (refused.has(socket)) return;
    refused.add(socket);
    answerClientError(error, socket, inFlight.get(socket));
  });
  // Node would close without a word on the method of proxies.
  server.on('connect', (_request, socket) => answerClientError(new Error('CONNECT'), socket, undefined));
  return server;
}

/**
 * Of a connection that dropped, Node closes the answer under way. Those of pipelined requests still in line behind it
 * would never hear of it, and whatever waits for their 'close' would stay for ever.
 */
function closeQueued(responses: ReadonlySet<ServerResponse>): void {
  for (const response of responses) {
    // One with a socket is under way, one that is finished has its 'close' on the way.
    if (response.socket !== null || response.writableFinished) continue;
    response.destroy();
    response.emit('close');
  }
}

/** Node reads what is left of an answered request to its end, and a body need not have one. */
function limitRest(request: IncomingMessage, seconds: number): void {
  if (request.complete) return;
  const timer = setTimeout(() => request.socket.destroy(), seconds * 1000).unref();
  request.once('end', () => clearTimeout(timer)).once('close', () => clearTimeout(timer));
}

interface ParserError extends Error {
  readonly code?: string;
  readonly rawPacket?: Buffer;
}

function answerClientError(error: ParserError, socket: Duplex, response: ServerResponse | undefined): void {
  const answering = response?.headersSent === true && !response.writableFinished;
  if (error.code === 'ECONNRESET' || !socket.writable || answering) {
    socket.destroy();
    return;
  }
  socket.end(rawProblem(error));
  setTimeout(() => socket.destroy(), FAREWELL_SECONDS * 1000).unref();
}

function rawProblem(error: ParserError): string {
  const [code, detail] = parserFault(error);
  const requestId = randomUUID();
  const problem = problemDocument({ code, detail, context: {} }, requestId);
  const body = JSON.stringify(problem);
  return [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}`,
    `Content-Type: ${PROBLEM_MEDIA_TYPE}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    `X-Request-Id: ${requestId}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n');
}

function parserFault(error: ParserError): [ErrorCode, string] {
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return ['request-timeout', `the headers were not complete after ${HEADERS_SECONDS_MAX} s`];
  }
  if (error.code !== 'HPE_HEADER_OVERFLOW') return ['http-syntax', 'the bytes received are not HTTP/1.1'];
  const packet = error.rawPacket?.subarray(0, HEADER_BYTES_MAX).toString('latin1') ?? '';
  if (/^[A-Z]+ \S*$/.test(packet) || packet.indexOf('\n') > URL_LENGTH_MAX) {
    return ['uri-too-long', `a URL may have at most ${URL_LENGTH_MAX} characters`];
  }
  return ['http-syntax', `the request line and headers may have at most ${HEADER_BYTES_MAX} bytes`];
}

/** @returns the server's URL, with the port it got where 0 was asked for. */
export async function listen(server: Server, host: string, port: number): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  const address = server.address() as AddressInfo;
  return `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`;
}

/**
 * Waits until clients have left their idle connections, at most `seconds`. A request may be on its way on any of them,
 * and closing a connection under it looks like a fault. Whoever is answered meanwhile is told to come back elsewhere.
 */
export async function awaitDepartures(server: Server, seconds: number): Promise<void> {
  const connections = promisify(server.getConnections.bind(server));
  const deadline = performance.now() + seconds * 1000;
  while ((await connections()) > 0 && performance.now() < deadline) await sleep(DEPARTURE_POLL_MS);
}

const DEPARTURE_POLL_MS = 20;

/** Stops accepting, lets answers finish, and breaks those still unfinished after `seconds`. */
export async function closeServer(server: Server, seconds: number): Promise<void> {
  const closed = new Promise<void>(resolve => server.close(() => resolve()));
  // Connections that fall idle later are closed too; Node's close() looks only once.
  const sweeper = setInterval(() => server.closeIdleConnections(), 50);
  const deadline = setTimeout(() => server.closeAllConnections(), seconds * 1000);
  await closed;
  clearInterval(sweeper);
  clearTimeout(deadline);
}
