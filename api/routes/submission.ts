// What a client sends to /v1/jobs and /v1/plan: the job as JSON, alone or beside arrays in a multipart body.

import { createHash } from 'node:crypto';
import type { Request } from 'express';
import { FrechetError } from '../../shared/errors.ts';
import type { StagedArray } from '../../shared/io/array-store.ts';
import { parseJson } from '../../shared/io/json-text.ts';
import { JSON_BODY_BYTES_MAX, MULTIPART_PARTS_MAX } from '../../shared/job/limits.ts';
import { decodeArray } from '../http/array-body.ts';
import { bodyChunks, readWhole, requireMediaType } from '../http/body.ts';
import { type MultipartPart, multipartBoundary, readMultipart } from '../http/multipart.ts';
import { ARRAY_MEDIA_TYPES } from '../http/representation.ts';
import type { Place } from '../http/turnstile.ts';
import { inTurn } from '../http/uploads.ts';
import type { Submission } from '../jobs/prepare.ts';
import { type StageDeps, stageArray } from '../jobs/stage-array.ts';

type SentDocument = Pick<Submission, 'body' | 'digest'>;

const JOB_PART = 'job';
/** What form libraries write where nobody said anything; as an array it is .npy, the default. */
const UNTYPED = new Set([undefined, 'application/octet-stream', 'text/plain']);

/**
 * Reads the body and lets `use` have it. Arrays that `use` did not commit are gone afterwards.
 *
 * @throws what is wrong with the body, and what `use` throws
 */
export async function withSubmission<T>(
  request: Request,
  deps: StageDeps,
  use: (submission: Submission) => Promise<T>,
): Promise<T> {
  const type = requireMediaType(request, ['application/json', 'multipart/form-data']);
  if (type === 'application/json')
    return use({ ...parseDocument(await readWhole(request)), parts: new Map() });
  return inTurn(request, 'streamed', async place => {
    const parts = new Map<string, StagedArray>();
    try {
      return await use({ ...(await receiveParts(request, deps, parts, place)), parts });
    } finally {
      for (const part of parts.values()) await part.discard();
    }
  });
}

/** Stages every array into `parts` and answers the job. Parts come in any order. */
async function receiveParts(
  request: Request,
  deps: StageDeps,
  parts: Map<string, StagedArray>,
  place: Place | undefined,
): Promise<SentDocument> {
  const boundary = multipartBoundary(request.get('content-type') ?? '');
  let job: SentDocument | undefined;
  for await (const part of readMultipart(bodyChunks(request, { place }), boundary)) {
    if (parts.has(part.name) || (part.name === JOB_PART && job !== undefined)) {
      throw new FrechetError('multipart-syntax', `there are two parts "${part.name}"`);
    }
    if (part.name === JOB_PART) job = await readJob(part);
    else parts.set(part.name, await stagePart(request.tenant, deps, part, parts.size));
  }
  if (job === undefined) throw new FrechetError('multipart-syntax', `there is no part "${JOB_PART}"`);
  return job;
}

async function readJob({ mediaType, body }: MultipartPart): Promise<SentDocument> {
  if (!UNTYPED.has(mediaType) && mediaType !== 'application/json') {
    throw new FrechetError('media-type-unsupported', `the part "${JOB_PART}" must be application/json`);
  }
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of body) {
    bytes += piece.byteLength;
    if (bytes > JSON_BODY_BYTES_MAX) throw jobTooLong();
    pieces.push(piece);
  }
  return parseDocument(Buffer.concat(pieces));
}

function parseDocument(bytes: Uint8Array): SentDocument {
  return { body: parseJson(bytes), digest: createHash('sha256').update(bytes).digest('hex') };
}

function jobTooLong(): FrechetError {
  return new FrechetError(
    'body-too-large',
    `the part "${JOB_PART}" may have at most ${JSON_BODY_BYTES_MAX} bytes`,
    {
      limit: JSON_BODY_BYTES_MAX,
    },
  );
}

async function stagePart(
  tenant: string,
  deps: StageDeps,
  { name, mediaType, body }: MultipartPart,
  staged: number,
): Promise<StagedArray> {
  if (staged === MULTIPART_PARTS_MAX) {
    throw new FrechetError('multipart-syntax', `a body may have at most ${MULTIPART_PARTS_MAX} arrays`, {
      limit: MULTIPART_PARTS_MAX,
    });
  }
  const type = UNTYPED.has(mediaType)
    ? 'application/x-npy'
    : ARRAY_MEDIA_TYPES.find(accepted => accepted === mediaType);
  if (type === undefined) {
    throw new FrechetError(
      'media-type-unsupported',
      `the part "${name}" must be one of ${ARRAY_MEDIA_TYPES.join(', ')}`,
    );
  }
  const { header, data } = await decodeArray(type, body);
  return stageArray(deps, tenant, header, data);
}
