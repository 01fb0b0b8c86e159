// /v1/jobs: submit, list, read, cancel, delete (contract §4).

import type { Request, Response } from 'express';
import { FrechetError } from '../../shared/errors.ts';
import type { JobState } from '../../shared/job/outcome.ts';
import type { GatewayDeps } from '../deps.ts';
import { goneSignal } from '../http/gone-signal.ts';
import { idempotencyKey } from '../http/idempotency-key.ts';
import { pageRequest, queryValue } from '../http/paging.ts';
import { preferredWaitSeconds } from '../http/prefer.ts';
import { pathParameter, type Route } from '../http/route.ts';
import { requireQueue } from '../jobs/admit.ts';
import { cancelJob } from '../jobs/cancel.ts';
import { jobHref } from '../jobs/job-document.ts';
import { listJobs } from '../jobs/list.ts';
import { describeJob, readJob } from '../jobs/read.ts';
import { removeJob } from '../jobs/remove.ts';
import { submitJob } from '../jobs/submit.ts';
import { withSubmission } from './submission.ts';

const STATES = ['queued', 'running', 'succeeded', 'failed', 'cancelled'] as const satisfies JobState[];

export function jobRoutes(deps: GatewayDeps): readonly Route[] {
  const at = (handle: (deps: GatewayDeps, request: Request, response: Response) => Promise<void>) => {
    return (request: Request, response: Response) => handle(deps, request, response);
  };
  return [
    { method: 'POST', path: '/v1/jobs', handle: at(submit) },
    { method: 'GET', path: '/v1/jobs', handle: at(list) },
    { method: 'GET', path: '/v1/jobs/{jobId}', handle: at(read) },
    { method: 'DELETE', path: '/v1/jobs/{jobId}', handle: at(remove) },
    { method: 'POST', path: '/v1/jobs/{jobId}/cancel', handle: at(cancel) },
  ];
}

async function submit(deps: GatewayDeps, request: Request, response: Response): Promise<void> {
  const { tenant } = request;
  const key = idempotencyKey(request);
  await requireQueue(deps);
  const job = await withSubmission(request, deps, sent => submitJob(deps, tenant, sent, key));
  response.location(jobHref(job.spec.id));
  if (job.isReplay) {
    response.set('Idempotent-Replayed', 'true');
    response.status(202).json(await describeJob(deps, job));
    return;
  }
  const ended = await waitAsPreferred(deps, request, response, job.spec.id);
  response.status(ended ? 200 : 202).json(await describeJob(deps, job));
}

/** Whether the job was seen to end within the time that the client wants to wait; without one, nobody looks. */
async function waitAsPreferred(
  { events, draining }: GatewayDeps,
  request: Request,
  response: Response,
  jobId: string,
): Promise<boolean> {
  const seconds = preferredWaitSeconds(request.get('prefer'));
  if (seconds === undefined) return false;
  response.set('Preference-Applied', `wait=${seconds}`);
  return events.waitForFinal(request.tenant, jobId, seconds * 1000, goneSignal(response, draining));
}

async function list(deps: GatewayDeps, request: Request, response: Response): Promise<void> {
  const query = { ...pageRequest(request), state: stateFilter(request), label: labelFilter(request) };
  response.json(await listJobs(deps, request.tenant, query));
}

function stateFilter(request: Request): JobState | undefined {
  const text = queryValue(request, 'state');
  const state = STATES.find(known => known === text);
  if (text === undefined || state !== undefined) return state;
  throw new FrechetError('query-invalid', `state must be one of ${STATES.join(', ')}`);
}

function labelFilter(request: Request): string | undefined {
  const label = queryValue(request, 'label');
  if (label === undefined || label.includes(':')) return label;
  throw new FrechetError('query-invalid', 'label must be key:value');
}

async function read(deps: GatewayDeps, request: Request, response: Response): Promise<void> {
  response.json(await readJob(deps, request.tenant, pathParameter(request, 'jobId')));
}

async function cancel(deps: GatewayDeps, request: Request, response: Response): Promise<void> {
  response.json(await cancelJob(deps, request.tenant, pathParameter(request, 'jobId')));
}

async function remove(deps: GatewayDeps, request: Request, response: Response): Promise<void> {
  await removeJob(deps, request.tenant, pathParameter(request, 'jobId'));
  response.status(204).end();
}
