// Where this checkout lies. Compiled files sit three folders below its root, in dist/deploy/local.

import { fileURLToPath } from 'node:url';

export const REPOSITORY_ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** Things that may be deleted at any time and are fetched again when needed. Not in version control. */
export const CACHE_DIR = `${REPOSITORY_ROOT}.cache`;
