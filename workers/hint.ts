// What Redis is told beside the store. It may be away: then nobody hears of it, and nothing is lost.

import type { Logger } from '../shared/io/logger.ts';

export async function hint({ log }: { readonly log: Logger }, tellRedis: () => Promise<void>): Promise<void> {
  try {
    await tellRedis();
  } catch (error) {
    log.debug({ err: error }, 'a hint did not reach Redis');
  }
}
