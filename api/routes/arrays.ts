// /v1/arrays: upload, list, look up, read, delete (contract §3).

import type { Request, Response } from 'express';
import { FrechetError } from '../../shared/errors.ts';
import type { ArrayMetadata, OpenArray } from '../../shared/io/array-store.ts';
import { JSON_BODY_BYTES_MAX } from '../../shared/job/limits.ts';
import type { GatewayDeps } from '../deps.ts';
import { decodeArray } from '../http/array-body.ts';
import { bodyChunks, contentLength, requireMediaType } from '../http/body.ts';
import { pageRequest } from '../http/paging.ts';
import { ARRAY_MEDIA_TYPES, type ArrayMediaType, answerArray } from '../http/representation.ts';
import { pathParameter, type Route } from '../http/route.ts';
import type { Place } from '../http/turnstile.ts';
import { inTurn } from '../http/uploads.ts';
import { arrayInUse } from '../jobs/array-use.ts';
import { type StageDeps, stageArray } from '../jobs/stage-array.ts';

type ArrayDeps = StageDeps & Pick<GatewayDeps, 'batchProgress' | 'jobs' | 'openJobs'>;

export function arrayRoutes(deps: ArrayDeps): readonly Route[] {
  const at = (handle: (deps: ArrayDeps, request: Request, response: Response) => Promise<void>) => {
    return (request: Request, response: Response) => handle(deps, request, response);
  };
  return [
    { method: 'POST', path: '/v1/arrays', handle: at(upload) },
    { method: 'GET', path: '/v1/arrays', handle: at(list) },
    { method: 'GET', path: '/v1/arrays/{arrayId}', handle: at(describe) },
    { method: 'DELETE', path: '/v1/arrays/{arrayId}', handle: at(remove) },
    { method: 'GET', path: '/v1/arrays/{arrayId}/data', handle: at(download) },
  ];
}

async function upload(deps: ArrayDeps, request: Request, response: Response): Promise<void> {
  const type = requireMediaType(request, ARRAY_MEDIA_TYPES);
  const line = type === 'application/x-npy' ? 'streamed' : 'parsed';
  await inTurn(request, line, place => receiveArray(deps, type, request, response, place));
}

async function receiveArray(
  deps: ArrayDeps,
  type: ArrayMediaType,
  request: Request,
  response: Response,
  place: Place | undefined,
): Promise<void> {
  // The header of a .npy says how long its body is; text has to be bounded.
  const body = bodyChunks(request, {
    ...(type !== 'application/x-npy' && { bytesMax: JSON_BODY_BYTES_MAX }),
    place,
  });
  const { header, data } = await decodeArray(type, body, contentLength(request));
  const staged = await stageArray(deps, request.tenant, header, data);
  const { array, created } = await staged.commit().finally(() => staged.discard());
  const document = arrayDocument(array);
  if (created) response.location(document.links.self);
  response.status(created ? 201 : 200).json(document);
}

async function list({ arrays }: ArrayDeps, request: Request, response: Response): Promise<void> {
  const { limit, cursor } = pageRequest(request);
  const { data, nextCursor } = await arrays.list(request.tenant, limit, cursor);
  response.json({ data: data.map(arrayDocument), nextCursor });
}

async function describe({ arrays }: ArrayDeps, request: Request, response: Response): Promise<void> {
  const array = await arrays.get(request.tenant, pathParameter(request, 'arrayId'));
  if (array === undefined) throw arrayNotFound();
  response.json(arrayDocument(array));
}

async function remove(deps: ArrayDeps, request: Request, response: Response): Promise<void> {
  const { tenant } = request;
  const id = pathParameter(request, 'arrayId');
  const array = await deps.arrays.get(tenant, id);
  if (array === undefined) throw arrayNotFound();
  // A job accepted between this look and the deletion fails with operand-lost, as any job does whose array expires.
  if (await arrayInUse(deps, tenant, id)) {
    throw new FrechetError('array-in-use', 'wait for the jobs that need this array, or cancel them');
  }
  if (await deps.arrays.delete(tenant, id)) await deps.storedBytes.giveBack(tenant, array.bytes);
  response.status(204).end();
}

async function download({ arrays }: ArrayDeps, request: Request, response: Response): Promise<void> {
  const array = await arrays.open(request.tenant, pathParameter(request, 'arrayId'));
  if (array === undefined) throw arrayNotFound();
  try {
    await answerArray(request, response, arrayData(array));
  } finally {
    await array.close();
  }
}

function arrayData(array: OpenArray) {
  const { id, shape, dtype, order, bytes } = array.footer;
  return {
    header: { shape, dtype, order },
    bytes,
    tag: id,
    read: (start: number, stop: number) => array.readVerified(start, stop),
  };
}

function arrayDocument({ id, shape, dtype, order, bytes, createdAt, expiresAt }: ArrayMetadata) {
  const self = `/v1/arrays/${id}`;
  return { id, shape, dtype, order, bytes, createdAt, expiresAt, links: { self, data: `${self}/data` } };
}

function arrayNotFound(): FrechetError {
  return new FrechetError('not-found', 'there is no such array');
}
