// Accepting a batch: every line is prepared as a job is, and what is wrong with one is kept with it. All of them become
// durable in one object, and are admitted together or not at all.

import { createHash } from 'node:crypto';
import { setImmediate as breathe } from 'node:timers/promises';
import { z } from 'zod';
import { assert } from '../../shared/assert.ts';
import { FrechetError } from '../../shared/errors.ts';
import { batchId } from '../../shared/io/batch-ids.ts';
import { enqueueBatch } from '../../shared/io/batch-reconciler.ts';
import type { BatchFooter, BatchRecord, BatchWriter } from '../../shared/io/batch-store.ts';
import { claimName } from '../../shared/io/claims.ts';
import { arraysOf } from '../../shared/job/arrays-of.ts';
import { BATCH_LINE_BYTES_MAX, BATCH_LINES_MAX, CUSTOM_ID_LENGTH_MAX } from '../../shared/job/limits.ts';
import { parseDocument } from '../../shared/job/schema-faults.ts';
import type { BlockLimits, Operation } from '../../shared/job/spec.ts';
import type { GatewayDeps } from '../deps.ts';
import { type AdmitDeps, admit, withdraw } from '../jobs/admit.ts';
import { currentBlockLimits } from '../jobs/block-limits.ts';
import { abandonKey, claimKey, lookUpKey } from '../jobs/idempotency.ts';
import { lineSpec } from '../jobs/line-spec.ts';
import { mayLoseMarker, randomId } from '../jobs/next-id.ts';
import { prepareJob } from '../jobs/prepare.ts';

type AcceptDeps = AdmitDeps &
  Pick<GatewayDeps, 'arrays' | 'claims' | 'jobs' | 'metrics' | 'openJobs' | 'queue'>;

/** A line as it came: its document, or why it has none. */
export interface SentLine {
  readonly number: number;
  readonly document: { readonly body: unknown } | { readonly fault: FrechetError };
}

export interface AcceptedBatch {
  readonly footer: BatchFooter;
  readonly isReplay: boolean;
}

/** Preparing goes on without a pause otherwise; other requests get their turn this often. */
const TURN_MS_MAX = 10;
/** So many jobs are enqueued before the answer, as a single one is; more of them after it. */
const ENQUEUED_FIRST = 500;
const NO_PARTS = new Map();

/** What a line has beyond a job. */
const lineFields = z.object({ customId: z.string().max(CUSTOM_ID_LENGTH_MAX).nullable().default(null) });

/** What is counted over the lines. */
class Totals {
  readonly operations = new Map<Operation, number>();
  rejected = 0;
  flops = 0n;
  resultBytes = 0;
  expiresIn = 0;

  get jobs(): number {
    return [...this.operations.values()].reduce((sum, count) => sum + count, 0);
  }
}

/**
 * @param bodyDigest SHA-256 of the body; asked for once all lines have been read
 * @throws body-too-large, schema (no lines), and what admitting and storing throws; then nothing is left behind
 */
export async function acceptBatch(
  deps: AcceptDeps,
  tenant: string,
  lines: AsyncIterable<SentLine>,
  key: string | undefined,
  bodyDigest: () => string,
): Promise<AcceptedBatch> {
  const writer = deps.jobs.batches.write();
  try {
    const createdAt = new Date(deps.clock()).toISOString();
    const totals = await writeRecords(deps, { tenant, createdAt }, lines, writer);
    const about = { tenant, createdAt, rejected: totals.rejected, expiresIn: totals.expiresIn };
    if (key === undefined) {
      return await store(deps, writer, totals, {
        ...about,
        id: batchId(randomId(deps.clock())),
        claim: null,
      });
    }
    const request = { key, kind: 'batch', bodyDigest: bodyDigest() } as const;
    const known = await lookUpKey(deps, tenant, request, id => deps.jobs.batches.footer(tenant, id));
    if (known.replayed !== undefined) return { footer: known.replayed, isReplay: true };
    const id = known.id ?? batchId(randomId(deps.clock()));
    const claim = () => claimKey(deps, tenant, request, id);
    try {
      return await store(deps, writer, totals, { ...about, id, claim: claimName(key) }, claim);
    } catch (error) {
      await abandonKey(deps, tenant, request, id, error);
      throw error;
    }
  } finally {
    await writer.discard();
  }
}

async function writeRecords(
  deps: AcceptDeps,
  identity: { readonly tenant: string; readonly createdAt: string },
  lines: AsyncIterable<SentLine>,
  writer: BatchWriter,
): Promise<Totals> {
  const totals = new Totals();
  const blockLimits = await currentBlockLimits(deps);
  let turnStartedAt = performance.now();
  let total = 0;
  for await (const line of lines) {
    total += 1;
    if (total > BATCH_LINES_MAX) {
      throw new FrechetError('body-too-large', `a batch may have at most ${BATCH_LINES_MAX} lines`, {
        limit: BATCH_LINES_MAX,
      });
    }
    const { record, arrays } = await prepareLine(deps, { identity, blockLimits }, line, totals);
    await writer.add(record, arrays);
    if (performance.now() - turnStartedAt > TURN_MS_MAX) {
      await breathe();
      turnStartedAt = performance.now();
    }
  }
  if (total === 0) throw new FrechetError('schema', 'a batch has at least one line');
  return totals;
}

/** What all lines of a batch have in common. */
interface LineContext {
  readonly identity: { readonly tenant: string; readonly createdAt: string };
  readonly blockLimits: BlockLimits;
}

async function prepareLine(
  { arrays }: AcceptDeps,
  { identity, blockLimits }: LineContext,
  { number: line, document }: SentLine,
  totals: Totals,
): Promise<{ record: BatchRecord; arrays: Iterable<string> }> {
  let ownId: string | null = null;
  try {
    if ('fault' in document) throw document.fault;
    const { customId: givenId, ...body } = asObject(document.body);
    ownId = parseDocument(lineFields, { customId: givenId }).customId;
    const sent = { body, parts: NO_PARTS };
    const job = await prepareJob(arrays, sent, { id: '', ...identity }, blockLimits, BATCH_LINE_BYTES_MAX);
    const spec = lineSpec(job);
    const { flops, blocksTotal, result } = job.plan;
    totals.operations.set(spec.operation, (totals.operations.get(spec.operation) ?? 0) + 1);
    totals.flops += flops;
    const resultBytes = result.dataBytes ?? 0;
    totals.resultBytes += resultBytes;
    totals.expiresIn = Math.max(totals.expiresIn, spec.expiresIn);
    return {
      record: { line, customId: ownId, spec, flops: String(flops), blocksTotal, resultBytes },
      arrays: arraysOf(spec),
    };
  } catch (error) {
    if (!(error instanceof FrechetError) || error.kind === 'busy' || error.kind === 'outage') throw error;
    totals.rejected += 1;
    const { code, message: detail, context } = error;
    return { record: { line, customId: ownId, problem: { code, detail, context } }, arrays: [] };
  }
}

/** Anything but an object is left for the schema to refuse. */
function asObject(body: unknown): Record<string, unknown> {
  if (typeof body === 'object' && body !== null && !Array.isArray(body))
    return body as Record<string, unknown>;
  throw new FrechetError('schema', 'a line of a batch is a JSON object', {
    errors: [{ pointer: '', code: 'invalid_type', detail: 'expected an object' }],
  });
}

async function store(
  deps: AcceptDeps,
  writer: BatchWriter,
  totals: Totals,
  about: Parameters<BatchWriter['commit']>[0],
  claim?: () => Promise<void>,
): Promise<AcceptedBatch> {
  const { tenant, id } = about;
  const bytes = writer.bytes + totals.resultBytes;
  const work = { tenant, id, jobs: totals.jobs, flops: totals.flops, bytes };
  await admit(deps, work);
  let isNew: boolean;
  try {
    await claim?.();
    // The marker first, as for a job.
    await deps.openJobs.addBatch(tenant, id);
    isNew = await writer.commit(about);
    if (mayLoseMarker(id, deps.clock())) await deps.openJobs.addBatch(tenant, id);
  } catch (error) {
    await withdraw(deps, work);
    throw error;
  }
  const footer = await deps.jobs.batches.footer(tenant, id);
  assert(footer !== undefined, 'a batch that was stored is there');
  if (!isNew) {
    // Its place is that of the other, which has the same id; its bytes came once.
    await deps.storedBytes.giveBack(tenant, bytes);
    return { footer, isReplay: true };
  }
  for (const [operation, count] of totals.operations) {
    deps.metrics.frechet_jobs_submitted_total.inc({ operation }, count);
  }
  const enqueued = enqueueBatch(deps, tenant, id).catch((error: unknown) =>
    deps.log.warn({ err: error, batchId: id }, 'not all jobs of a batch are enqueued yet'),
  );
  if (footer.total <= ENQUEUED_FIRST) await enqueued;
  return { footer, isReplay: false };
}

/** SHA-256 of bytes that pass, hex. */
export function digestPassing(chunks: AsyncIterable<Uint8Array>): {
  readonly chunks: AsyncIterable<Uint8Array>;
  readonly digest: () => string;
} {
  const hash = createHash('sha256');
  async function* pass(): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      hash.update(chunk);
      yield chunk;
    }
  }
  return { chunks: pass(), digest: () => hash.digest('hex') };
}
