// The version of what runs, as package.json beside the build says it.

import { readFileSync } from 'node:fs';

export function readVersion(): string {
  const manifest = new URL('../../../package.json', import.meta.url);
  const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };
  return version;
}
