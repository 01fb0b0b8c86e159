// From the store's address in the configuration to the store.

import type { StoreLocation } from '../config.ts';
import { openFileStore } from './file-store.ts';
import type { Store } from './store.ts';

export interface StoreOptions {
  /** Hears of every byte written to or read from the store. */
  readonly onBytes?: (direction: 'read' | 'write', bytes: number) => void;
  /** Hears that the volume is full, away or failing when the store is opened. Without it that is thrown. */
  readonly onOutage?: (error: Error) => void;
}

export async function openStore(location: StoreLocation, options: StoreOptions = {}): Promise<Store> {
  return openFileStore(location.path, options);
}
