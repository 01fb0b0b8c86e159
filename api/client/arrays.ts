// Arrays of the service: upload what is not there yet, look up, list, read, delete.

import {
  type ArraySource,
  fromNested,
  isNdArray,
  type NdArray,
  type NestedList,
  type NpyStream,
  ndArray,
} from './array.ts';
import { arrayId } from './digest.ts';
import type { ArrayMetadata, Page } from './documents.ts';
import { collect, download, streamOf } from './download.ts';
import { decodeNpy, encodeNpy, readNpyHeader } from './npy.ts';
import { FrechetProblem } from './problem.ts';
import type { CallOptions, Outgoing, Transport } from './transport.ts';

/** An array that would be gone this soon is uploaded again, which renews it. */
const EXPIRY_MARGIN_MS = 24 * 3600 * 1000;
const NPY = 'application/x-npy';

export interface ListOptions extends CallOptions {
  /** Items asked for at a time; the service has its own limit. */
  readonly pageSize?: number;
}

export type Arrays = ReturnType<typeof createArrays>;

export function createArrays(transport: Transport) {
  async function find(id: string, { signal }: CallOptions): Promise<ArrayMetadata | undefined> {
    try {
      return await transport.json<ArrayMetadata>({ path: `/v1/arrays/${id}`, signal });
    } catch (error) {
      if (error instanceof FrechetProblem && error.slug === 'not-found') return undefined;
      throw error;
    }
  }

  return {
    /**
     * Stores an array. Where its id is known and the service has it, nothing is sent.
     *
     * @throws FrechetProblem (npy-…, array-…, store-full)
     */
    async upload(source: ArraySource, options: CallOptions = {}): Promise<ArrayMetadata> {
      const { id, ...body } = await prepareUpload(source);
      const known = id === undefined ? undefined : await find(id, options);
      if (known !== undefined && isFresh(known)) return known;
      const headers = { 'Content-Type': NPY };
      return transport.json({ ...options, ...body, method: 'POST', path: '/v1/arrays', headers });
    },

    /** @throws FrechetProblem not-found */
    get: (id: string, { signal }: CallOptions = {}): Promise<ArrayMetadata> =>
      transport.json({ path: `/v1/arrays/${id}`, signal }),

    /** Every array of this key, newest first. */
    list: ({ pageSize, signal }: ListOptions = {}): AsyncGenerator<ArrayMetadata> =>
      listPages(transport, '/v1/arrays', { limit: pageSize }, signal),

    /** The array itself. */
    async data(id: string, { signal }: CallOptions = {}): Promise<NdArray> {
      const path = `/v1/arrays/${id}/data`;
      return decodeNpy(await collect(await download(transport, { path, headers: { Accept: NPY }, signal })));
    },

    /** Its `.npy` file, as it arrives. */
    async stream(id: string, { signal }: CallOptions = {}): Promise<ReadableStream<Uint8Array>> {
      const path = `/v1/arrays/${id}/data`;
      const { chunks } = await download(transport, { path, headers: { Accept: NPY }, signal });
      return streamOf(chunks);
    },

    /** @throws FrechetProblem array-in-use while an unfinished job needs it */
    async delete(id: string, { signal }: CallOptions = {}): Promise<void> {
      await transport.send({ method: 'DELETE', path: `/v1/arrays/${id}`, signal }, async () => undefined);
    },
  };
}

function isFresh({ expiresAt }: ArrayMetadata): boolean {
  return Date.parse(expiresAt) - Date.now() > EXPIRY_MARGIN_MS;
}

/** The array a source holds in memory; undefined for a file. */
export function inMemory(source: ArraySource): NdArray | undefined {
  if (typeof source === 'number' || Array.isArray(source)) return fromNested(source as NestedList);
  if (source instanceof Float64Array || source instanceof Float32Array)
    return ndArray(source, [source.length]);
  return isNdArray(source as object) ? (source as NdArray) : undefined; // no number is left
}

type Upload = Required<Pick<Outgoing, 'body' | 'repeatable'>> & { readonly id: string | undefined };

async function prepareUpload(source: ArraySource): Promise<Upload> {
  const array = inMemory(source);
  if (array !== undefined) {
    return { id: await arrayId(array), body: () => encodeNpy(array), repeatable: true };
  }
  if (source instanceof Uint8Array)
    return { id: await fileId(source), body: () => source as Uint8Array<ArrayBuffer>, repeatable: true }; // fetch takes any
  if (source instanceof Blob) return { id: undefined, body: () => source, repeatable: true };
  if (source instanceof ReadableStream) return { id: undefined, body: () => source, repeatable: false };
  const { stream, id } = source as NpyStream; // what is left
  return { id, body: stream, repeatable: true };
}

/** The id of the array in a file whose bytes are kept as they are; of others only the service can tell. */
async function fileId(file: Uint8Array): Promise<string | undefined> {
  return readNpyHeader(file) === undefined ? undefined : arrayId(decodeNpy(file));
}

/** Follows the cursors of a listing. */
export async function* listPages<Item>(
  transport: Transport,
  path: string,
  query: Readonly<Record<string, string | number | undefined>>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Item> {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) search.set(name, String(value));
  }
  let cursor: string | null = null;
  do {
    if (cursor !== null) search.set('cursor', cursor);
    const page: Page<Item> = await transport.json({ path: `${path}?${search}`, signal });
    yield* page.data;
    cursor = page.nextCursor;
  } while (cursor !== null);
}
