// From a request to a spec and its plan: everything that can be refused is refused here, and nothing is written.

import type { ArrayStore, StagedArray } from '../../shared/io/array-store.ts';
import { planJob } from '../../shared/job/job-plan.ts';
import { resolveSpec } from '../../shared/job/resolve.ts';
import { parseDocument } from '../../shared/job/schema-faults.ts';
import { type BlockLimits, jobRequest } from '../../shared/job/spec.ts';
import type { KnownJob } from './known-job.ts';
import { lookUpValues, type RequestValues } from './request-values.ts';

/** What a client sent. */
export interface Submission {
  /** Parsed JSON, otherwise unchecked. */
  readonly body: unknown;
  /** SHA-256 of the body as it came, hex. */
  readonly digest: string;
  /** Arrays sent along, by the name of their part; whoever received them discards what is not committed. */
  readonly parts: ReadonlyMap<string, StagedArray>;
}

export interface PreparedJob extends KnownJob {
  readonly inlineArrays: RequestValues['inlineArrays'];
}

/** @throws any code of contract §4 that says what is wrong with a job */
export async function prepareJob(
  arrays: ArrayStore,
  { body, parts }: Pick<Submission, 'body' | 'parts'>,
  identity: { readonly id: string; readonly tenant: string; readonly createdAt: string },
  blockLimits: BlockLimits,
  inlineBytesMax?: number,
): Promise<PreparedJob> {
  const request = parseDocument(jobRequest, body);
  const { values, inlineArrays } = await lookUpValues(
    { arrays, tenant: identity.tenant, parts },
    request,
    inlineBytesMax,
  );
  const spec = resolveSpec(request, values, identity, blockLimits);
  return { spec, plan: planJob(spec), inlineArrays };
}
