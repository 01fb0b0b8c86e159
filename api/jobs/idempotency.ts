// Idempotency keys (contract §4): the same key and body is the same work. Looked up before anything is checked, so that
// a replay is answered even where new work would be refused; claimed after everything was checked, so that a refusal
// leaves nothing behind.

import { FrechetError } from '../../shared/errors.ts';
import { type Claim, claimName } from '../../shared/io/claims.ts';
import type { GatewayDeps } from '../deps.ts';

/** A claim without work that is older than this was left by a crash, or abandoned. */
const IN_PROGRESS_SECONDS_MAX = 10;

type ClaimDeps = Pick<GatewayDeps, 'claims' | 'clock' | 'log'>;

/** A key as it came with one request. */
export interface IdempotentRequest {
  readonly key: string;
  readonly kind: Claim['kind'];
  readonly bodyDigest: string;
}

/** `replayed`: the work is there. Else it is to be made, under `id` where a claim that was left behind names one. */
export type LookUp<T> = { readonly replayed: T } | { readonly replayed?: never; readonly id?: string };

/**
 * @param findWork the job or batch of an id, where it exists
 * @throws idempotency-key-reused, idempotency-in-progress
 */
export async function lookUpKey<T>(
  { claims, clock }: ClaimDeps,
  tenant: string,
  request: IdempotentRequest,
  findWork: (id: string) => Promise<T | undefined>,
): Promise<LookUp<T>> {
  const name = claimName(request.key);
  for (;;) {
    const claim = await claims.read(tenant, name);
    if (claim === undefined) return {};
    if (claim.kind !== request.kind || claim.bodyDigest !== request.bodyDigest) {
      throw new FrechetError('idempotency-key-reused', 'use a new Idempotency-Key for a new request');
    }
    const replayed = await findWork(claim.id);
    if (replayed !== undefined) return { replayed };
    // Deleted work has lost its claim first. One that is still the same was never followed by its work.
    if ((await claims.read(tenant, name))?.id !== claim.id) continue;
    if (clock() - Date.parse(claim.createdAt) <= IN_PROGRESS_SECONDS_MAX * 1000) throw inProgress();
    return { id: claim.id };
  }
}

/** Claims the key for the work `id`; where a claim left behind names that id, it is there already. @throws idempotency-in-progress */
export async function claimKey(
  { claims, clock }: ClaimDeps,
  tenant: string,
  { key, kind, bodyDigest }: IdempotentRequest,
  id: string,
): Promise<void> {
  const claim: Claim = { version: 1, kind, id, bodyDigest, createdAt: new Date(clock()).toISOString() };
  if (await claims.put(tenant, claimName(key), claim)) return;
  if ((await claims.read(tenant, claimName(key)))?.id !== id) throw inProgress();
}

/**
 * After the work `id` could not be stored: the next request with the key makes it, under the same id, and at once. Where
 * it is there all the same, or the claim is somebody else's, that changes nothing. Never throws.
 */
export async function abandonKey(
  { claims, log }: ClaimDeps,
  tenant: string,
  { key }: IdempotentRequest,
  id: string,
  error: unknown,
): Promise<void> {
  // A bug is no answer: the process ends over it.
  if (!(error instanceof FrechetError)) return;
  try {
    const claim = await claims.read(tenant, claimName(key));
    if (claim?.id === id) await claims.abandon(tenant, claimName(key), claim);
  } catch (failure) {
    log.debug({ err: failure }, 'a claim is not abandoned; it is followed once it is old');
  }
}

function inProgress(): FrechetError {
  return new FrechetError(
    'idempotency-in-progress',
    'the first request with this key has not been answered yet',
  );
}
