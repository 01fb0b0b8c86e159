// /v1/batches: many jobs in one body, their state, their cancellation (contract §7).

import type { Request, Response } from 'express';
import { FrechetError } from '../../shared/errors.ts';
import { parseJson } from '../../shared/io/json-text.ts';
import { BATCH_BYTES_MAX, BATCH_LINE_BYTES_MAX } from '../../shared/job/limits.ts';
import { acceptBatch, digestPassing, type SentLine } from '../batches/accept.ts';
import { cancelBatch } from '../batches/cancel.ts';
import { batchHref, batchLines, describeBatch, findBatch, readBatch } from '../batches/read.ts';
import type { GatewayDeps } from '../deps.ts';
import { bodyChunks, contentLength, requireMediaType } from '../http/body.ts';
import { idempotencyKey } from '../http/idempotency-key.ts';
import { readLines } from '../http/lines.ts';
import { negotiate } from '../http/negotiate.ts';
import { pathParameter, type Route } from '../http/route.ts';
import { sendPieces } from '../http/send.ts';
import { requireQueue, requireSpace } from '../jobs/admit.ts';

const NDJSON = 'application/x-ndjson';
/** A batch is streamed: its limit is one of the disk. */
const NOTHING_HELD = { hold: () => undefined };

export function batchRoutes(deps: GatewayDeps): readonly Route[] {
  const at = (handle: (deps: GatewayDeps, request: Request, response: Response) => Promise<void>) => {
    return (request: Request, response: Response) => handle(deps, request, response);
  };
  return [
    { method: 'POST', path: '/v1/batches', handle: at(submit) },
    { method: 'GET', path: '/v1/batches/{batchId}', handle: at(read) },
    { method: 'GET', path: '/v1/batches/{batchId}/jobs', handle: at(readLinesOf) },
    { method: 'POST', path: '/v1/batches/{batchId}/cancel', handle: at(cancel) },
  ];
}

async function submit(deps: GatewayDeps, request: Request, response: Response): Promise<void> {
  const { tenant } = request;
  const key = idempotencyKey(request);
  requireMediaType(request, [NDJSON]);
  await requireQueue(deps);
  // One that is too long is told so, whatever room there is.
  await requireSpace(deps, Math.min(contentLength(request) ?? 0, BATCH_BYTES_MAX));
  const body = digestPassing(bodyChunks(request, { bytesMax: BATCH_BYTES_MAX, held: NOTHING_HELD }));
  const lines = parseLines(readLines(body.chunks, BATCH_LINE_BYTES_MAX));
  const { footer, isReplay } = await acceptBatch(deps, tenant, lines, key, body.digest);
  if (isReplay) response.set('Idempotent-Replayed', 'true');
  response
    .location(batchHref(footer.id))
    .status(202)
    .json(await describeBatch(deps, footer));
}

async function* parseLines(lines: ReturnType<typeof readLines>): AsyncGenerator<SentLine> {
  for await (const { number, bytes } of lines) yield { number, document: parseLine(bytes) };
}

function parseLine(bytes: Uint8Array | undefined): SentLine['document'] {
  if (bytes === undefined) {
    const detail = `a line may have at most ${BATCH_LINE_BYTES_MAX} bytes`;
    return { fault: new FrechetError('body-too-large', detail, { limit: BATCH_LINE_BYTES_MAX }) };
  }
  try {
    return { body: parseJson(bytes) };
  } catch (error) {
    if (error instanceof FrechetError) return { fault: error };
    throw error;
  }
}

async function read(deps: GatewayDeps, request: Request, response: Response): Promise<void> {
  response.json(await readBatch(deps, request.tenant, pathParameter(request, 'batchId')));
}

async function readLinesOf(deps: GatewayDeps, request: Request, response: Response): Promise<void> {
  const batchId = pathParameter(request, 'batchId');
  await findBatch(deps, request.tenant, batchId);
  response.setHeader('Content-Type', negotiate(request, response, [NDJSON]));
  if (request.method === 'HEAD') return void response.end();
  await sendPieces(response, asLines(batchLines(deps, request.tenant, batchId)));
}

async function* asLines(documents: AsyncIterable<object>): AsyncGenerator<string> {
  for await (const document of documents) yield `${JSON.stringify(document)}\n`;
}

async function cancel(deps: GatewayDeps, request: Request, response: Response): Promise<void> {
  response.json(await cancelBatch(deps, request.tenant, pathParameter(request, 'batchId')));
}
