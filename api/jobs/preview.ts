// What a job would be, without accepting it (contract §4, /v1/plan).

import type { JobPlan } from '../../shared/job/job-plan.ts';
import type { GatewayDeps } from '../deps.ts';
import { currentBlockLimits } from './block-limits.ts';
import { type FlopsCount, flopsCount, type ResultShape, resultShapeDocument } from './job-document.ts';
import { prepareJob, type Submission } from './prepare.ts';

export interface PlanDocument extends Pick<JobPlan, 'shapes' | 'peakBytes' | 'derivative'> {
  readonly result: ResultShape;
  readonly flops: FlopsCount;
  readonly blocks: number;
}

/** @throws what submitting the job would throw because of the job itself */
export async function previewJob(
  deps: Pick<GatewayDeps, 'arrays' | 'clock' | 'live' | 'log'>,
  tenant: string,
  submission: Submission,
): Promise<PlanDocument> {
  // Nothing of a plan depends on the job's identity.
  const identity = { id: '', tenant, createdAt: new Date(deps.clock()).toISOString() };
  const { plan } = await prepareJob(deps.arrays, submission, identity, await currentBlockLimits(deps));
  return {
    shapes: plan.shapes,
    result: resultShapeDocument(plan.result),
    flops: flopsCount(plan.flops),
    blocks: plan.blocksTotal,
    peakBytes: plan.peakBytes,
    derivative: plan.derivative,
  };
}
