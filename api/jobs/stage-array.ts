// Receiving an array, alone or with a job. What is staged fills the volume as what is stored does: it must have room, and
// is counted for its tenant, from its header on.

import { type ArrayHeader, dataBytes } from '../../shared/io/array-header.ts';
import type { StagedArray } from '../../shared/io/array-store.ts';
import type { GatewayDeps } from '../deps.ts';
import { type SpaceDeps, takeSpace } from './admit.ts';

export type StageDeps = SpaceDeps & Pick<GatewayDeps, 'arrays' | 'storedBytes'>;

/**
 * Refuses what the store or the tenant has no room for before its data are read. The bytes stay counted where a commit
 * makes the array; `discard`, which is due in any case, gives back those that were there already or are not needed.
 *
 * @throws store-full, too-many-requests, unavailable, and what is wrong with the data
 */
export async function stageArray(
  deps: StageDeps,
  tenant: string,
  header: ArrayHeader,
  data: AsyncIterable<Uint8Array>,
): Promise<StagedArray> {
  const bytes = dataBytes(header);
  const arrival = await takeSpace(deps, bytes);
  try {
    await deps.storedBytes.reserve(tenant, bytes);
    return await stageCounted(deps, tenant, header, arrival.passing(data));
  } finally {
    arrival.end();
  }
}

async function stageCounted(
  { arrays, storedBytes }: StageDeps,
  tenant: string,
  header: ArrayHeader,
  data: AsyncIterable<Uint8Array>,
): Promise<StagedArray> {
  let isSettled = false;
  const giveBack = async () => {
    if (isSettled) return;
    isSettled = true;
    await storedBytes.giveBack(tenant, dataBytes(header));
  };
  try {
    const staged = await arrays.stage(tenant, header, data);
    return {
      ...staged,
      async commit() {
        const stored = await staged.commit();
        if (stored.created) isSettled = true;
        return stored;
      },
      async discard() {
        await staged.discard().finally(giveBack);
      },
    };
  } catch (error) {
    await giveBack();
    throw error;
  }
}
