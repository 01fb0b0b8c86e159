// Prometheus' own tools, from the distribution's package, without root.

import { join } from 'node:path';
import { ensurePackages } from '../../../deploy/local/packages.ts';
import { runCommand } from '../../../deploy/local/run-command.ts';

export const MONITORING_DIR = new URL('../../../../deploy/monitoring/', import.meta.url).pathname;
export const RULES_DIR = join(MONITORING_DIR, 'prometheus/rules');

/** The path of `prometheus`, `promtool` or `prometheus-redis-exporter`, fetched if need be. */
export async function prometheusProgram(
  name: 'prometheus' | 'promtool' | 'prometheus-redis-exporter',
): Promise<string> {
  const { root } = await ensurePackages('prometheus', ['prometheus', 'prometheus-redis-exporter']);
  return join(root, 'usr/bin', name);
}

/** Runs promtool to its end. */
export async function promtool(
  args: readonly string[],
): Promise<{ readonly code: number | null; readonly output: string }> {
  return runCommand(await prometheusProgram('promtool'), [...args]);
}
