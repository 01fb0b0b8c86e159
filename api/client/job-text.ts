// A job as the JSON that is sent: made once, so that a retry sends the same bytes under its idempotency key. Small
// arrays stand inside the text, written so that every finite number and −0 is read back bit for bit; larger ones are
// uploaded, and referred to by id.

import { type ArraySource, type NdArray, stridesOf } from './array.ts';
import { type Arrays, inMemory } from './arrays.ts';
import type { ArrayInput, JobInput } from './documents.ts';
import type { CallOptions } from './transport.ts';

/** As data bytes: an upload of its own costs more than the digits do. */
const INLINE_BYTES_MAX = 16 * 1024;

/** Uploads made for one submission, by the object they came from: a batch may use one array in every line. */
export type Uploads = Map<object, Promise<string>>;

/** The text of a job, once every array that it needs is there. `extra` are fields beside the job's own. */
export async function jobText(
  job: JobInput,
  arrays: Pick<Arrays, 'upload'>,
  options: CallOptions,
  uploads: Uploads = new Map(),
  extra: object = {},
): Promise<string> {
  const { operands = {}, direction, cotangent, ...plain } = job;
  const text = (input: ArrayInput) => referenceText(input, arrays, options, uploads);
  const field = async (name: string, input: ArrayInput) => `${JSON.stringify(name)}:${await text(input)}`;
  const named = await Promise.all(Object.entries(operands).map(([name, input]) => field(name, input)));
  const fields = Object.entries({ ...plain, ...extra })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
  if (job.operands !== undefined) fields.push(`"operands":{${named.join(',')}}`);
  if (direction !== undefined) fields.push(await field('direction', direction));
  if (cotangent !== undefined) fields.push(await field('cotangent', cotangent));
  return `{${fields.join(',')}}`;
}

async function referenceText(
  input: ArrayInput,
  arrays: Pick<Arrays, 'upload'>,
  options: CallOptions,
  uploads: Uploads,
): Promise<string> {
  if (typeof input === 'string') return JSON.stringify(input);
  if (isMetadata(input)) return JSON.stringify(input.id);
  if (isShape(input)) return JSON.stringify({ shape: input.shape });
  const source = input as ArraySource; // what is left
  const array = inMemory(source);
  if (array !== undefined && fitsInline(array)) return inlineText(array);
  if (typeof source !== 'object') return inlineText(inMemory(source)!); // a number
  const upload = uploads.get(source) ?? arrays.upload(source, options).then(({ id }) => id);
  uploads.set(source, upload);
  return JSON.stringify(await upload);
}

function isMetadata(input: object | number): input is { readonly id: string } {
  return typeof input === 'object' && 'id' in input && !('stream' in input);
}

function isShape(input: object | number): input is { readonly shape: readonly number[] } {
  return typeof input === 'object' && 'shape' in input && !('data' in input);
}

/** Nested lists do not tell a 0×3 array from a 0×5 one. */
function fitsInline({ data }: NdArray): boolean {
  return data.length > 0 && data.byteLength <= INLINE_BYTES_MAX;
}

/** `{ "data": … }`, and the dtype where it is not the default. */
export function inlineText(array: NdArray): string {
  const { dtype } = array;
  return `{"data":${nestedText(array)}${dtype === 'float64' ? '' : `,"dtype":"${dtype}"`}}`;
}

/** Nested lists as JSON, from which every value but a NaN's payload is read back. */
export function nestedText(array: NdArray): string {
  const { shape, data } = array;
  const strides = stridesOf(array);
  const level = (axis: number, offset: number): string => {
    const side = shape[axis];
    if (side === undefined) return numberText(data[offset] ?? Number.NaN);
    const items = Array.from({ length: side }, (_, i) => level(axis + 1, offset + i * (strides[axis] ?? 0)));
    return `[${items.join(',')}]`;
  };
  return level(0, 0);
}

/** JSON.stringify would make null of what is not finite, and 0 of −0. */
function numberText(value: number): string {
  if (!Number.isFinite(value)) return `"${value}"`;
  return Object.is(value, -0) ? '-0' : String(value);
}
