// Arrays as JSON: nested lists, outermost side first. A scalar is a bare number. What JSON numbers cannot say is the
// string "NaN", "Infinity" or "-Infinity". Numbers are written as the shortest text that reads back as the same
// float64, also for float32 data: the value is exact, and a reader need not know the dtype.

import { type Fault, FrechetError } from '../errors.ts';
import { ARRAY_RANK_MAX } from '../job/limits.ts';
import { DTYPES, type Dtype, type FloatArray, floatArray } from '../math/dtype.ts';
import type { ArrayHeader, ArrayStream } from './array-header.ts';
import { jsonSyntax, parseJsonText } from './json-text.ts';
import { type ReadBytes, valuesInRowOrder } from './row-order.ts';
import { boundedBody, streamOf, type WholeArray } from './whole-array.ts';

const SPECIALS: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  '-Infinity': Number.NEGATIVE_INFINITY,
};
/** Text leaves in pieces of about this size: few enough writes, short enough passes. */
const TEXT_PIECE_LENGTH = 64 * 1024;

/**
 * Reads an upload: nested lists, or `{ "data", "dtype" }`. The body is parsed whole, so it is bounded.
 *
 * @throws body-too-large, and what parseJson and parseJsonArray throw
 */
export async function decodeJsonArray(source: AsyncIterable<Uint8Array>): Promise<ArrayStream> {
  return streamOf(parseDocument(parseJsonText(await decodedText(boundedBody(source)))));
}

/** Decoded in passing, so that bytes and text are not both held whole. @throws json-syntax */
async function decodedText(source: AsyncIterable<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let text = '';
  for await (const piece of source) text += decoded(decoder, piece, true);
  return text + decoded(decoder, new Uint8Array(), false);
}

function decoded(decoder: InstanceType<typeof TextDecoder>, piece: Uint8Array, stream: boolean): string {
  try {
    return decoder.decode(piece, { stream });
  } catch (error) {
    throw jsonSyntax(error);
  }
}

function parseDocument(document: unknown): WholeArray {
  if (typeof document !== 'object' || document === null || Array.isArray(document)) {
    return parseJsonArray(document, 'float64');
  }
  const { data, dtype = 'float64', ...others } = document as Record<string, unknown>;
  const unknown = Object.keys(others)[0];
  if (unknown !== undefined) throw schemaError(`/${unknown}`, 'The only properties are data and dtype.');
  if (data === undefined) throw schemaError('/data', 'The property data is missing.');
  if (dtype !== 'float64' && dtype !== 'float32') {
    throw schemaError('/dtype', 'The dtype must be float64 or float32.');
  }
  return parseJsonArray(data, dtype, '/data');
}

/**
 * Nested lists to an array; `pointer` is where the value stands in its document, for faults. float32 rounds to nearest.
 *
 * @throws schema for what is no number, or one outside the dtype; array-syntax where lists do not form a rectangle
 */
export function parseJsonArray(value: unknown, dtype: Dtype, pointer = ''): WholeArray {
  const shape = outline(value, pointer);
  // The rectangle is checked before memory is taken for it: one long list before short ones could promise any size.
  checkRectangle(value, shape, [], pointer);
  const length = shape.reduce((product, side) => product * side, 1);
  const values = floatArray(dtype, new ArrayBuffer(length * DTYPES[dtype].bytes), 0, length);
  let next = 0;
  const fill = (node: unknown, path: number[]) => {
    if (path.length < shape.length) {
      forEachIndexed(node as unknown[], path, fill); // checkRectangle found a list here
      return;
    }
    values[next] = element(node, dtype, path, pointer);
    next += 1;
  };
  fill(value, []);
  return { header: { shape, dtype, order: 'C' }, data: new Uint8Array(values.buffer) };
}

/**
 * The array as text, in pieces, from a reader of its data (C or F order). Memory stays bounded whatever the size.
 */
export async function* encodeJsonArray(header: ArrayHeader, read: ReadBytes): AsyncGenerator<Uint8Array> {
  const zero = header.shape.indexOf(0);
  // Below a side of zero there is nothing: the innermost lists that exist are empty.
  const sides = zero === -1 ? header.shape : header.shape.slice(0, zero);
  // Elements in one list of each axis; every span is a multiple of the next.
  const spans = sides.map((_, axis) => sides.slice(axis).reduce((product, side) => product * side, 1));
  let index = 0;
  let text = '';
  const append = (item: string) => {
    if (index > 0) text += ',';
    text += '['.repeat(boundaries(index, spans));
    index += 1;
    text += item + ']'.repeat(boundaries(index, spans));
  };
  for await (const items of zero === -1 ? valuesInRowOrder(header, read) : emptyLists(spans[0] ?? 1)) {
    for (const item of items) {
      append(typeof item === 'number' ? jsonNumber(item) : item);
      if (text.length < TEXT_PIECE_LENGTH) continue;
      yield Buffer.from(text);
      text = '';
    }
  }
  if (text !== '') yield Buffer.from(text);
}

/** How many lists begin, or end, between element `index` and the one before it. */
function boundaries(index: number, spans: readonly number[]): number {
  let count = 0;
  while (count < spans.length && index % spans[spans.length - 1 - count]! === 0) count += 1;
  return count;
}

function* emptyLists(count: number): Generator<FloatArray | string[]> {
  for (let i = 0; i < count; i += 1) yield ['[]'];
}

function jsonNumber(value: number): string {
  if (Number.isFinite(value)) return formatNumber(value);
  return `"${value}"`;
}

/** The shortest text that reads back as the same float64; `String` alone forgets the sign of zero. */
export function formatNumber(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

/** The shape that the first elements promise. */
function outline(value: unknown, pointer: string): number[] {
  const shape: number[] = [];
  for (let node = value; Array.isArray(node); node = node[0]) {
    if (shape.length === ARRAY_RANK_MAX) {
      const detail = `An array has at most ${ARRAY_RANK_MAX} dimensions.`;
      throw arrayError(pointer + '/0'.repeat(ARRAY_RANK_MAX), detail);
    }
    shape.push(node.length);
  }
  return shape;
}

function element(node: unknown, dtype: Dtype, path: readonly number[], pointer: string): number {
  if (typeof node === 'number') {
    // JSON.parse turns 1e999 into Infinity, which JSON itself cannot hold: so infinite means out of range.
    const rounded = dtype === 'float32' ? Math.fround(node) : node;
    if (Number.isFinite(rounded)) return rounded;
    throw schemaError(pointerOf(pointer, path), `The number lies outside ${dtype}.`);
  }
  const special = typeof node === 'string' && Object.hasOwn(SPECIALS, node) ? SPECIALS[node] : undefined;
  if (special !== undefined) return special;
  throw schemaError(
    pointerOf(pointer, path),
    'An element must be a number, "NaN", "Infinity" or "-Infinity".',
  );
}

function checkRectangle(node: unknown, shape: readonly number[], path: number[], pointer: string): void {
  if (path.length === shape.length) {
    if (Array.isArray(node))
      throw arrayError(pointerOf(pointer, path), 'A list stands where a number should.');
    return;
  }
  if (!Array.isArray(node) || node.length !== shape[path.length]) throw raggedError(pointer, path, shape);
  forEachIndexed(node, path, child => checkRectangle(child, shape, path, pointer));
}

/** Calls `visit` with every item; `path`, one index longer meanwhile, says where it stands. */
function forEachIndexed(
  items: readonly unknown[],
  path: number[],
  visit: (item: unknown, path: number[]) => void,
): void {
  for (let i = 0; i < items.length; i += 1) {
    path.push(i);
    visit(items[i], path);
    path.pop();
  }
}

function raggedError(pointer: string, path: readonly number[], shape: readonly number[]): FrechetError {
  const detail = `A list of ${shape[path.length]} is needed here, as in the first of its siblings.`;
  return arrayError(pointerOf(pointer, path), detail);
}

function pointerOf(pointer: string, path: readonly number[]): string {
  return pointer + path.map(index => `/${index}`).join('');
}

function arrayError(pointer: string, detail: string): FrechetError {
  const faults: Fault[] = [{ pointer, code: 'array-syntax', detail }];
  return new FrechetError('array-syntax', detail, { errors: faults });
}

function schemaError(pointer: string, detail: string): FrechetError {
  return new FrechetError('schema', detail, { errors: [{ pointer, code: 'schema', detail }] });
}
