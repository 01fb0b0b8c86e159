// .npy files, whole and damaged, through our reader and numpy-ts'. A file made by the rules must be read, exactly as it
// was meant; what both read must be the same array; what numpy-ts reads and we refuse must be something that we mean
// to refuse. (numpy-ts finds the three keys by pattern and ignores the rest of the header.)

import { deepEqual, equal, ok } from 'node:assert/strict';
import * as np from 'numpy-ts';
import { type ErrorCode, FrechetError } from '../../shared/errors.ts';
import { decodeNpy } from '../../shared/io/npy.ts';
import { DTYPES, type Dtype, floatArray } from '../../shared/math/dtype.ts';
import type { Order } from '../../shared/math/view.ts';
import type { Random } from '../support/random.ts';
import type { Campaign } from './campaign.ts';
import { mutated } from './mutate.ts';

/** Strictness on purpose: NumPy's readers let these pass. */
const STRICTER: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'npy-version',
  'npy-header-too-large',
  'npy-header-syntax',
  'npy-shape',
  'npy-rank',
  'npy-dtype-unsupported',
  'npy-lossy-cast',
  'npy-trailing-data',
  'array-too-large',
]);
const DESCRIPTORS = ['f8', 'f4', 'f2', 'i8', 'u8', 'i4', 'u4', 'i2', 'u2', 'i1', 'u1', 'b1'];
const SIDES = [0, 1, 2, 3, 5];
const ODD_DESCRIPTORS = [
  '<f16',
  '|O',
  '|S5',
  '<U3',
  '<c16',
  '<M8[s]',
  'f8',
  '=f8',
  '!f8',
  '<f',
  '<i3',
  '|f8',
  '<b1',
  '|V8',
  '',
];
const ODD_SIDES = [
  '-1',
  '1.0',
  'True',
  'None',
  '2**3',
  '0x2',
  '007',
  '1_0',
  '1e3',
  '4294967297',
  '9007199254740993',
  '3 3',
  '(2,)',
];
const WORDS = [
  ...[
    'True',
    'False',
    'None',
    '(',
    ')',
    '[',
    ']',
    '{',
    '}',
    ',',
    ':',
    "'",
    '"',
    '\\',
    '\n',
    '\0',
    ' ',
    '\x93NUMPY',
  ],
  ...[
    "'shape': ",
    "'descr': ",
    "'fortran_order': ",
    '(2,)',
    '(0,)',
    '(,)',
    '((1))',
    '(-1,)',
    '(1.0,)',
    '(1e3,)',
  ],
  ...[
    '99999999999999999999',
    '4294967296',
    '0x10',
    '1L',
    '00',
    '1_0',
    "'|O'",
    "'<c16'",
    "'|S5'",
    "'>f8'",
    "'<f16'",
  ],
  ...["[('a', '<f8')]", 'lambda: 0', '__import__("os")', '\xff\xff\xff\xff', '\u00e9', '#', '('.repeat(64)],
];

interface NpyCase {
  readonly bytes: Uint8Array;
  readonly shape: readonly number[];
  readonly order: Order;
  readonly dtype: Dtype;
}

interface Read {
  readonly shape: readonly number[];
  /** In row-major order. */
  readonly values: readonly number[];
}

export const npyCampaign: Campaign = {
  name: 'npy',
  cases: 1_000_000,
  lanes: 1,
  async run(random) {
    const made = makeNpy(random);
    if (random.below(4) === 0) {
      const ours = await readOurs(made.bytes);
      ok('header' in ours, 'a file made by the rules is read');
      deepEqual([ours.header.shape, ours.header.dtype], [made.shape, made.dtype]);
      if (made.shape.length > 1) equal(ours.header.order, made.order);
      compare(made.bytes, ours.read, readTheirs(made.bytes));
      return 'read';
    }
    const odd = random.below(2) === 0 ? makeNpy(random, true).bytes : made.bytes;
    const bytes = odd === made.bytes || random.below(2) === 0 ? mutated(random, odd, WORDS) : odd;
    const ours = await readOurs(bytes);
    const theirs = readTheirs(bytes);
    if ('header' in ours) {
      compare(bytes, ours.read, theirs);
      return 'read though damaged';
    }
    ok(theirs === undefined || STRICTER.has(ours.code), `${ours.code}, but numpy-ts reads ${show(bytes)}`);
    return ours.code;
  },
};

function compare(bytes: Uint8Array, ours: Read, theirs: Read | undefined): void {
  // The pattern that numpy-ts looks for has single quotes, and no parentheses within parentheses.
  if (theirs === undefined && /"|\(\s*\(/.test(Buffer.from(bytes).toString('latin1'))) return;
  deepEqual(ours, theirs, show(bytes));
}

/** By the rules of the format, in every spelling that they allow; an odd one breaks a rule for values, but not the syntax. */
function makeNpy(random: Random, isOdd = false): NpyCase {
  const kind = random.pick(DESCRIPTORS);
  const itemBytes = Number(kind[1]) || 1;
  const shape = Array.from({ length: random.below(4) }, () => random.pick(SIDES));
  const order: Order = random.below(2) === 0 ? 'C' : 'F';
  const descr = (itemBytes === 1 ? '|' : random.pick(['<', '>'])) + kind;
  const text = spell(
    random,
    isOdd && random.below(3) === 0 ? random.pick(ODD_DESCRIPTORS) : descr,
    order,
    shape,
    isOdd,
  );
  const data = Buffer.from(
    Array.from({ length: shape.reduce((product, side) => product * side, itemBytes) }, () =>
      random.below(256),
    ),
  );
  if (kind === 'i8' || kind === 'u8') makeExact(data, descr.startsWith('<'));
  const isHalf = kind === 'f4' || kind === 'f2';
  return { bytes: frame(random, text, data), shape, order, dtype: isHalf ? 'float32' : 'float64' };
}

/** Whole numbers below 2^48. */
function makeExact(data: Buffer, isLittle: boolean): void {
  for (let at = 0; at < data.length; at += 8) data.writeUInt16LE(0, isLittle ? at + 6 : at);
}

function spell(
  random: Random,
  descr: string,
  order: Order,
  shape: readonly number[],
  isOdd: boolean,
): string {
  const quote = random.below(8) === 0 ? '"' : "'";
  const space = () => ' '.repeat(random.below(3));
  const spellSide = (side: number) => (isOdd && random.below(3) === 0 ? random.pick(ODD_SIDES) : side);
  const sides = shape.map(
    side => `${space()}${spellSide(side)}${random.below(16) === 0 ? 'L' : ''}${space()}`,
  );
  const comma = shape.length === 1 || (shape.length > 1 && random.below(2) === 0) ? ',' : '';
  const values = {
    descr: `${quote}${descr}${quote}`,
    fortran_order: order === 'F' ? 'True' : 'False',
    shape: `(${sides.join(',')}${comma})`,
  };
  const entries = Object.entries(values).map(
    ([key, value]) => `${quote}${key}${quote}${space()}:${space()}${value}${space()}`,
  );
  for (let i = entries.length - 1; i > 0; i -= 1) {
    const j = random.below(i + 1);
    [entries[i], entries[j]] = [entries[j]!, entries[i]!];
  }
  return `${space()}{${space()}${entries.join(`,${space()}`)}${random.pick(['', ',', ', '])}}${space()}`;
}

function frame(random: Random, text: string, data: Uint8Array): Buffer {
  const version = 1 + random.below(3);
  const padded = `${text.padEnd(text.length + random.below(64))}\n`;
  const length = Buffer.alloc(version === 1 ? 2 : 4);
  length.writeUIntLE(padded.length, 0, length.length);
  return Buffer.concat([
    Buffer.from(`\x93NUMPY${String.fromCharCode(version)}\0`, 'latin1'),
    length,
    Buffer.from(padded),
    data,
  ]);
}

async function readOurs(
  bytes: Uint8Array,
): Promise<{ header: { shape: readonly number[]; dtype: Dtype; order: Order }; read: Read } | FrechetError> {
  try {
    const { header, data } = await decodeNpy(onePiece(bytes));
    const pieces: Uint8Array[] = [];
    for await (const piece of data) pieces.push(piece);
    const whole = Uint8Array.from(Buffer.concat(pieces));
    const stored = floatArray(header.dtype, whole.buffer, 0, whole.length / DTYPES[header.dtype].bytes);
    const values = header.order === 'C' ? [...stored] : rowMajor(stored, header.shape);
    return { header, read: { shape: header.shape, values } };
  } catch (error) {
    if (error instanceof FrechetError) return error;
    throw error;
  }
}

async function* onePiece(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** The values of a column-major array row by row. */
function rowMajor(stored: ArrayLike<number>, shape: readonly number[]): number[] {
  return Array.from({ length: stored.length }, (_, index) => {
    const path: number[] = [];
    for (const side of [...shape].reverse()) {
      path.push(index % side);
      index = Math.floor(index / side);
    }
    // path holds the last axis first; the first axis varies fastest in storage.
    return stored[path.reduce((at, step, axis) => at * shape[shape.length - 1 - axis]! + step, 0)]!;
  });
}

function readTheirs(bytes: Uint8Array): Read | undefined {
  let array: ReturnType<typeof np.parseNpy>;
  try {
    array = np.parseNpy(bytes);
  } catch {
    return undefined;
  }
  const { shape, dtype } = array;
  // Four milliards of empty rows are no value, but lists.
  const values = array.size === 0 ? [] : [array.toArray()].flat(Number.POSITIVE_INFINITY).map(Number);
  array.dispose();
  return { shape, values: dtype === 'bool' ? values.map(value => (value === 0 ? 0 : 1)) : values };
}

function show(bytes: Uint8Array): string {
  return JSON.stringify(Buffer.from(bytes).toString('latin1'));
}
