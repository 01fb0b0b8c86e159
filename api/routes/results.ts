// What a job computed: the whole as one array, and its blocks (contract §5).

import type { Request, Response } from 'express';
import { answerNotModified } from '../http/negotiate.ts';
import { type ArrayData, answerArray } from '../http/representation.ts';
import { pathParameter, type Route } from '../http/route.ts';
import { sendPieces } from '../http/send.ts';
import { listFinishedBlocks, openFinishedBlock } from '../results/blocks.ts';
import { findResult, type ResultDeps } from '../results/result.ts';

export function resultRoutes(deps: ResultDeps): readonly Route[] {
  const path = '/v1/jobs/{jobId}/result';
  return [
    { method: 'GET', path, handle: (request, response) => whole(deps, request, response) },
    {
      method: 'GET',
      path: `${path}/blocks`,
      handle: async (request, response) => {
        const jobId = pathParameter(request, 'jobId');
        response.json(await listFinishedBlocks(deps, request.tenant, jobId));
      },
    },
    {
      method: 'GET',
      path: `${path}/blocks/{index}`,
      handle: (request, response) => block(deps, request, response),
    },
  ];
}

async function whole(deps: ResultDeps, request: Request, response: Response): Promise<void> {
  const result = await findResult(deps, request.tenant, pathParameter(request, 'jobId'));
  await answer(request, response, { ...result, tag: result.digest });
}

async function block(deps: ResultDeps, request: Request, response: Response): Promise<void> {
  const jobId = pathParameter(request, 'jobId');
  const index = pathParameter(request, 'index');
  const { header, block } = await openFinishedBlock(deps, request.tenant, jobId, index);
  try {
    const { bytes, sha256 } = block.footer;
    await answer(request, response, {
      header,
      bytes,
      tag: sha256,
      read: (start, stop) => block.readVerified(start, stop),
    });
  } finally {
    await block.close();
  }
}

type MaybeArray = Omit<ArrayData, 'header'> & { readonly header: ArrayData['header'] | undefined };

async function answer(request: Request, response: Response, data: MaybeArray): Promise<void> {
  const { header } = data;
  if (header === undefined) await answerDocument(request, response, data);
  else await answerArray(request, response, { ...data, header });
}

/** The result of a check is JSON, whatever is asked for. */
async function answerDocument(
  request: Request,
  response: Response,
  { bytes, tag, read }: Omit<ArrayData, 'header'>,
): Promise<void> {
  if (answerNotModified(request, response, `${tag}.json`)) return;
  response.setHeader('Content-Type', 'application/json');
  response.setHeader('Content-Length', bytes);
  if (request.method === 'HEAD') response.end();
  else await sendPieces(response, read(0, bytes));
}
