// Jobs as JSON on disk. Beside what the service takes, an array may be { "file": "A.npy" }, relative to the job's file:
// it is uploaded, and its id takes its place.

import { dirname, resolve } from 'node:path';
import type { Client } from '../client/index.ts';
import { openNpyFile } from './array-files.ts';

type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** Ids by path: a batch may name one file in every line. */
export type UploadedFiles = Map<string, Promise<string>>;

/**
 * The text to send. Without file references it is the text as given: reading and writing JSON is not the identity
 * (−0), and what is no JSON is the service's to judge.
 *
 * @param jobPath of the file that the text came from
 * @throws UsageError where a file that it names is not there
 */
export async function jobWithFiles(
  text: string,
  jobPath: string,
  client: Client,
  signal: AbortSignal,
  uploaded: UploadedFiles = new Map(),
): Promise<string> {
  const job = parse(text);
  if (job === undefined || !text.includes('"file"')) return text;
  const upload = (path: string) => {
    const absolute = resolve(jobPath === '-' ? '.' : dirname(jobPath), path);
    const known = uploaded.get(absolute) ?? uploadFile(absolute, client, signal);
    uploaded.set(absolute, known);
    return known;
  };
  const { operands, direction, cotangent, ...rest } = job;
  const replaced: Record<string, Json> = { ...rest };
  if (isObject(operands)) {
    const entries = Object.entries(operands).map(
      async ([name, value]) => [name, await replace(value, upload)] as const,
    );
    replaced.operands = Object.fromEntries(await Promise.all(entries));
  } else if (operands !== undefined) {
    replaced.operands = operands;
  }
  if (direction !== undefined) replaced.direction = await replace(direction, upload);
  if (cotangent !== undefined) replaced.cotangent = await replace(cotangent, upload);
  return JSON.stringify(replaced);
}

async function replace(value: Json, upload: (path: string) => Promise<string>): Promise<Json> {
  return isObject(value) && typeof value.file === 'string' ? upload(value.file) : value;
}

async function uploadFile(path: string, client: Client, signal: AbortSignal): Promise<string> {
  const input = await openNpyFile(path);
  const { id } = await client.arrays.upload(input as Parameters<Client['arrays']['upload']>[0], { signal }); // no id, no shape
  return id;
}

function parse(text: string): { readonly [name: string]: Json } | undefined {
  try {
    const value = JSON.parse(text) as Json;
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: Json | undefined): value is { readonly [name: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
