// One request, answered: key, retries, problems as errors. Everything the client says goes through here.

import { ConnectionError, FrechetProblem, problemIn } from './problem.ts';
import { pause, type RetryPolicy, retryDelayMs } from './retry.ts';

export type Fetch = typeof globalThis.fetch;

export interface CallOptions {
  /** Breaks off requests, waits and streams. */
  readonly signal?: AbortSignal | undefined;
}

export interface Outgoing extends CallOptions {
  readonly method?: 'GET' | 'POST' | 'DELETE';
  /** From the root of the service. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Called for every attempt. */
  readonly body?: () => NonNullable<RequestInit['body']>;
  /** False where the body can be sent only once. */
  readonly repeatable?: boolean;
}

export interface TransportOptions {
  /** Without a slash at the end. */
  readonly url: string;
  readonly key: string | undefined;
  readonly fetch: Fetch;
  readonly retry: RetryPolicy;
  readonly random: () => number;
}

export interface Transport {
  /**
   * Sends a request, again where that may help, until an answer is 2xx and `read` has read it.
   *
   * @throws FrechetProblem, ConnectionError, the signal's reason
   */
  send<Answer>(request: Outgoing, read: (response: Response) => Promise<Answer>): Promise<Answer>;
  /** For a JSON answer. */
  json<Document>(request: Outgoing): Promise<Document>;
}

export function createTransport(options: TransportOptions): Transport {
  async function send<Answer>(
    request: Outgoing,
    read: (response: Response) => Promise<Answer>,
  ): Promise<Answer> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await sendOnce(options, request, read);
      } catch (error) {
        request.signal?.throwIfAborted();
        const isRepeatable = request.repeatable ?? true;
        const delayMs = isRepeatable
          ? retryDelayMs(error, attempt, options.retry, options.random)
          : undefined;
        if (delayMs === undefined) throw error;
        await pause(delayMs, request.signal);
      }
    }
  }
  return { send, json: request => send(request, readJson) as Promise<never> };
}

async function sendOnce<Answer>(
  { url, key, fetch }: TransportOptions,
  { method = 'GET', path, headers, body, signal }: Outgoing,
  read: (response: Response) => Promise<Answer>,
): Promise<Answer> {
  const init: RequestInit & { duplex?: 'half' } = {
    method,
    headers: { ...headers, ...(key === undefined ? {} : { Authorization: `Bearer ${key}` }) },
    ...(signal ? { signal } : {}),
    // Node wants it for streams; elsewhere it does no harm.
    ...(body ? { body: body(), duplex: 'half' } : {}),
  };
  const response = await fetch(url + path, init).catch(connectionFault(`${url} cannot be reached`));
  if (response.ok) return read(response);
  throw problemIn(response, await response.text().catch(() => ''));
}

async function readJson(response: Response): Promise<unknown> {
  const text = await response.text().catch(connectionFault('the answer broke off'));
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // Somebody else's page: asking again would not make it ours, so this is no ConnectionError.
    const { status, url } = response;
    const detail = `the answer of ${url} is not JSON; is that the address of a Frechet service?`;
    throw new FrechetProblem({ type: 'about:blank', title: 'The answer is not JSON', status, detail });
  }
}

/** Makes a failure of `fetch` or of reading a body one that says what happened. */
export function connectionFault(what: string): (cause: unknown) => never {
  return cause => {
    throw new ConnectionError(`${what}${reasonOf(cause)}`, { cause });
  };
}

/** `fetch failed` says nothing; what caused it does. */
function reasonOf(error: unknown): string {
  const cause = (error as { cause?: { code?: unknown; message?: unknown } } | null)?.cause;
  const reason = cause?.code ?? cause?.message;
  return typeof reason === 'string' && reason !== '' ? ` (${reason})` : '';
}
