// The values a request refers to: arrays of the tenant, parts of the same body, inline data, or just shapes. Nothing
// is written here: whatever the request turns out to be worth, looking it up leaves no trace.

import { FrechetError } from '../../shared/errors.ts';
import { type ArrayHeader, startArrayHash } from '../../shared/io/array-header.ts';
import type { ArrayStore, StagedArray } from '../../shared/io/array-store.ts';
import { parseJsonArray } from '../../shared/io/json-array.ts';
import type { WholeArray } from '../../shared/io/whole-array.ts';
import { INLINE_BYTES_MAX } from '../../shared/job/limits.ts';
import type { ResolvedValue, ResolvedValues } from '../../shared/job/resolve.ts';
import { jsonPointer } from '../../shared/job/schema-faults.ts';
import type { ArrayReference, JobRequest } from '../../shared/job/spec.ts';

/** Where values come from besides the request itself. */
interface ValueOrigins {
  readonly arrays: ArrayStore;
  readonly tenant: string;
  readonly parts: ReadonlyMap<string, StagedArray>;
}

export interface RequestValues {
  readonly values: ResolvedValues;
  /** Inline data too large for the spec, which names them by id: to be stored before the spec is. */
  readonly inlineArrays: ReadonlyMap<string, WholeArray>;
}

/**
 * @throws operand-unknown (no such array or part), operand-unused (a part nobody refers to), array-syntax and schema
 * (inline data)
 */
export async function lookUpValues(
  origins: ValueOrigins,
  request: JobRequest,
  inlineBytesMax = INLINE_BYTES_MAX,
): Promise<RequestValues> {
  refuseUnusedParts(origins.parts, request);
  const inline = parseInlineData(request);
  const isEmbedded = totalBytes(inline.values()) <= inlineBytesMax;
  const inlineArrays = new Map<string, WholeArray>();
  const resolve = (reference: ArrayReference, ...path: string[]) => {
    const array = inline.get(reference);
    if (array === undefined) return lookUp(origins, reference, jsonPointer(path));
    if (isEmbedded) return embedded(array);
    const id = startArrayHash(array.header).update(array.data).digest('hex');
    inlineArrays.set(id, array);
    return stored({ id, ...array.header });
  };
  const operands = new Map<string, ResolvedValue>();
  for (const [name, reference] of Object.entries(request.operands)) {
    operands.set(name, await resolve(reference, 'operands', name));
  }
  const direction = request.direction && (await resolve(request.direction, 'direction'));
  const cotangent = request.cotangent && (await resolve(request.cotangent, 'cotangent'));
  return {
    values: { operands, ...(direction && { direction }), ...(cotangent && { cotangent }) },
    inlineArrays,
  };
}

/** Every place of a request that holds a reference. */
function references(request: JobRequest): { reference: ArrayReference; pointer: string }[] {
  const { operands, direction, cotangent } = request;
  const places = Object.entries(operands).map(([name, reference]) => ({
    reference,
    pointer: jsonPointer(['operands', name]),
  }));
  if (direction !== undefined) places.push({ reference: direction, pointer: '/direction' });
  if (cotangent !== undefined) places.push({ reference: cotangent, pointer: '/cotangent' });
  return places;
}

function parseInlineData(request: JobRequest): Map<ArrayReference, WholeArray> {
  const inline = new Map<ArrayReference, WholeArray>();
  for (const { reference, pointer } of references(request)) {
    if (typeof reference === 'string' || !('data' in reference)) continue;
    inline.set(reference, parseJsonArray(reference.data, reference.dtype ?? 'float64', `${pointer}/data`));
  }
  return inline;
}

function totalBytes(arrays: Iterable<WholeArray>): number {
  return [...arrays].reduce((sum, { data }) => sum + data.byteLength, 0);
}

function embedded({ header, data }: WholeArray): ResolvedValue {
  const { shape, dtype, order } = header;
  const inline = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64');
  return { dims: shape, source: { inline, dtype, order } };
}

function stored({ id, shape, dtype, order }: ArrayHeader & { readonly id: string }): ResolvedValue {
  return { dims: shape, source: { array: id, dtype, order } };
}

async function lookUp(
  { arrays, tenant, parts }: ValueOrigins,
  reference: ArrayReference,
  pointer: string,
): Promise<ResolvedValue> {
  if (typeof reference !== 'string' && 'shape' in reference) return { dims: reference.shape };
  const array =
    typeof reference === 'string'
      ? await arrays.get(tenant, reference)
      : parts.get(partName(reference) ?? '');
  if (array === undefined) throw unknownOperand(reference, pointer);
  return stored(array);
}

function partName(reference: ArrayReference): string | undefined {
  return typeof reference !== 'string' && 'part' in reference ? reference.part : undefined;
}

function unknownOperand(reference: ArrayReference, pointer: string): FrechetError {
  const part = partName(reference);
  const detail =
    part === undefined
      ? `${pointer} names an array that does not exist or has expired`
      : `${pointer} names a part that the body does not have`;
  return new FrechetError('operand-unknown', detail, {
    errors: [{ pointer, code: 'operand-unknown', detail }],
  });
}

function refuseUnusedParts(parts: ReadonlyMap<string, StagedArray>, request: JobRequest): void {
  const used = new Set(references(request).map(({ reference }) => partName(reference)));
  for (const name of parts.keys()) {
    if (!used.has(name)) throw new FrechetError('operand-unused', `the job refers to no part "${name}"`);
  }
}
