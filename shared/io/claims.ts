// Idempotency keys. A claim says, durably and before anything else is stored, which id the work of a key will have;
// whether the work exists is asked of the work itself. So a claim whose owner died is finished by whoever comes next
// with the same key, under the same id, and however many try, there is one job. Deliberately absent: states.

import { createHash } from 'node:crypto';
import { decodeDocument, encodeDocument } from './store/document.ts';
import type { Store } from './store/store.ts';

export interface Claim {
  readonly version: 1;
  /** What the key stands for: one key cannot be a job and a batch. */
  readonly kind: 'job' | 'batch';
  /** The id that the job or batch has, or will have. */
  readonly id: string;
  /** SHA-256 of the request's body, hex. */
  readonly bodyDigest: string;
  readonly createdAt: string;
}

/** The name of a key's claim: the key itself, which is the client's, is not kept. */
export function claimName(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}

export type Claims = ReturnType<typeof createClaims>;

export function createClaims(store: Store) {
  return {
    /** False where the name is claimed already. */
    async put(tenant: string, name: string, claim: Claim): Promise<boolean> {
      return store.put(claimKey(tenant, name), [encodeDocument(claim)], { exclusive: true });
    },

    async read(tenant: string, name: string): Promise<Claim | undefined> {
      const bytes = await store.get(claimKey(tenant, name));
      return bytes && (decodeDocument(bytes) as Claim);
    },

    /**
     * Says that nobody works on it any more: whoever comes next with the key need not wait. It is not removed, since
     * somebody may be following it: removed, it would leave his work without a claim, and the key to a second one.
     */
    async abandon(tenant: string, name: string, claim: Claim): Promise<void> {
      const abandoned: Claim = { ...claim, createdAt: new Date(0).toISOString() };
      await store.put(claimKey(tenant, name), [encodeDocument(abandoned)], { exclusive: false });
    },

    /** To be called before the work goes: whoever finds a claim without work takes it for one to be finished. */
    async remove(tenant: string, name: string): Promise<void> {
      await store.delete(claimKey(tenant, name));
    },
  };
}

function claimKey(tenant: string, name: string): string {
  return `tenants/${tenant}/claims/${name.slice(0, 2)}/${name}`;
}
