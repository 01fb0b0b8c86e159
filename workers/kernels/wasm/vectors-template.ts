// The WebAssembly text of y ← A·x and z ← |A|·w, where the vectors are float64 and A is either dtype: rows are dotted
// with x where they are contiguous, columns are added to y where those are, and else elements are taken one by one.
// Every element of A is read once and widened to float64, two to a vector; single ones travel in lane 0, with 0 in lane 1.

import { LANES, type Lanes } from './lanes.ts';
import { add, countdown, number, repeat } from './text.ts';

/** Rows at a time, so that x and w, which seldom fit into L1 beside what streams past, are read once for all of them. */
const ROWS = 4;
/** Elements of a row before the next row has its turn: long enough for a prefetcher, short enough for x and w to stay. */
const RUN = 16;
/** Vectors of a run in one turn of its loop, which divide it: a cache line of float64. */
const STEP = 4;
/** Sums of the row loop, and as many of magnitudes: independent, so that no addition waits for the one before. */
const SUMS = 4;
/** Columns added to y and z at a time, so that those are read and written once for all of them. */
const COLUMNS = 4;

export function vectorFunctions(): string {
  return [...Object.values(LANES).map(matvec), FINGERPRINT].join('');
}

/** Sums and sums of sums of 16 bytes at a time. */
const FINGERPRINT = `
(func (export "fingerprint") (param $at i32) (param $count i32) (param $to i32)
  (local $sum v128) (local $sums v128)
  ${countdown('four', '$count', 4, `${repeat(4, v => fingerprintStep(16 * v))} ${add('$at', number(64))}`)}
  ${countdown('one', '$count', 1, `${fingerprintStep(0)} ${add('$at', number(16))}`)}
  (v128.store (local.get $to) (local.get $sum))
  (v128.store offset=16 (local.get $to) (local.get $sums)))
`;

function fingerprintStep(offset: number): string {
  return `
    (local.set $sum (i64x2.add (local.get $sum) (v128.load offset=${offset} (local.get $at))))
    (local.set $sums (i64x2.add (local.get $sums) (local.get $sum)))`;
}

/** Two elements or one at `address`, widened. */
function load({ scalar, bytes }: Lanes, count: 1 | 2, address: string, offset = 0): string {
  const text = `(v128.load${8 * bytes * count}_zero offset=${offset} ${address})`;
  const whole = `(v128.load offset=${offset} ${address})`;
  const raw = 8 * bytes * count === 128 ? whole : text;
  return scalar === 'f64' ? raw : `(f64x2.promote_low_f32x4 ${raw})`;
}

/** Two elements of a vector or one. */
function loadDouble(count: 1 | 2, address: string, offset = 0): string {
  return count === 2 ? `(v128.load offset=${offset} ${address})` : `(v128.load64_zero ${address})`;
}

/** sum ← sum + element·x and size ← size + |element|·w, from the local $element. */
function accumulate(sum: string, size: string, element: string, x: string, w: string): string {
  return `
    (local.set $element ${element})
    (local.set ${sum} (f64x2.add (local.get ${sum}) (f64x2.mul (local.get $element) ${x})))
    (local.set ${size} (f64x2.add (local.get ${size}) (f64x2.mul (v128.and (local.get $mask) (local.get $element)) ${w})))`;
}

function matvec(lanes: Lanes): string {
  const { scalar, bytes } = lanes;
  return `
(func (export "matvec_${scalar}")
  (param $a i32) (param $rowA i32) (param $colA i32) (param $m i32) (param $n i32)
  (param $x i32) (param $y i32) (param $w i32) (param $z i32)
  (local $element v128) (local $mask v128) (local $i i32) (local $j i32) (local $to i32) (local $size i32)
  (local $toRun i32) (local $sizeRun i32)
  ${repeat(SUMS, s => `(local $sum${s} v128) (local $size${s} v128)`)}
  ${repeat(COLUMNS, c => `(local $column${c} i32) (local $x${c} v128) (local $w${c} v128)`)}
  (local.set $mask (i64x2.splat (i64.const 0x7fffffffffffffff)))
  (if (i32.and (i32.eq (local.get $rowA) ${number(bytes)}) (i32.ne (local.get $colA) ${number(bytes)}))
    (then ${byColumns(lanes)})
    (else ${byRows(lanes)})))
`;
}

function byRows(lanes: Lanes): string {
  return `${rows(lanes, ROWS)} ${rows(lanes, 1)}`;
}

/** `width` rows of y and z at a time; row r has the sums from r·SUMS/width on. */
function rows(lanes: Lanes, width: number): string {
  const { bytes } = lanes;
  const sums = SUMS / width;
  const step = (r: number, count: 1 | 2, x: string, w: string, v = 0) =>
    accumulate(
      `$sum${r * sums + (v % sums)}`,
      `$size${r * sums + (v % sums)}`,
      load(lanes, count, `(local.get $column${r})`, v * 2 * bytes),
      loadDouble(count, `(local.get ${x})`, v * 16),
      loadDouble(count, `(local.get ${w})`, v * 16),
    );
  // A branch ends every step, as in the micro-kernel: without it V8 loads for all of them first, at half the speed.
  const run = (r: number) => {
    const label = `run${r}_of${width}`;
    const left = '(local.tee $i (i32.sub (local.get $i) (i32.const 1)))';
    const leave = `(br_if $end_${label} (i32.eqz ${left}))`;
    return `
    (local.set $toRun (local.get $to))
    (local.set $sizeRun (local.get $size))
    (local.set $i ${number(RUN / 2)})
    (block $end_${label} (loop $${label}
      ${repeat(STEP, v => `${v === 0 ? '' : leave} ${step(r, 2, '$toRun', '$sizeRun', v)}`)}
      ${add(`$column${r}`, number(2 * STEP * bytes))} ${add('$toRun', number(16 * STEP))} ${add('$sizeRun', number(16 * STEP))}
      (br_if $${label} ${left})))`;
  };
  const turn = (count: 1 | 2, a: string, vectors: string) => `
    ${repeat(width, r => step(r, count, '$to', '$size'))}
    ${repeat(width, r => add(`$column${r}`, a))} ${add('$to', vectors)} ${add('$size', vectors)}`;
  const contiguous = `
    ${countdown(
      `runs${width}`,
      '$j',
      RUN,
      `${repeat(width, run)} (local.set $to (local.get $toRun)) (local.set $size (local.get $sizeRun))`,
    )}
    ${countdown(`pair${width}`, '$j', 2, turn(2, number(2 * bytes), number(16)))}`;
  return countdown(
    `row${width}`,
    '$m',
    width,
    `
    ${repeat(SUMS, s => `(local.set $sum${s} (v128.const i64x2 0 0)) (local.set $size${s} (v128.const i64x2 0 0))`)}
    (local.set $column0 (local.get $a))
    ${repeat(width - 1, r => `(local.set $column${r + 1} (i32.add (local.get $column${r}) (local.get $rowA)))`)}
    (local.set $to (local.get $x))
    (local.set $size (local.get $w))
    (local.set $j (local.get $n))
    (if (i32.eq (local.get $colA) ${number(bytes)}) (then ${contiguous}))
    ${countdown(`single${width}`, '$j', 1, turn(1, '(local.get $colA)', number(8)))}
    ${repeat(width, r => storeTotal('$y', '$sum', r * sums, sums, 8 * r))}
    ${repeat(width, r => storeTotal('$z', '$size', r * sums, sums, 8 * r))}
    ${add('$a', `(i32.mul (local.get $rowA) ${number(width)})`)}
    ${add('$y', number(8 * width))}
    ${add('$z', number(8 * width))}`,
  );
}

/** The lanes of `count` sums, from `first` on, as one number. */
function storeTotal(to: string, sum: string, first: number, count: number, offset: number): string {
  const joined = Array.from({ length: count }, (_, s) => `(local.get ${sum}${first + s})`).reduce(
    (all, one) => `(f64x2.add ${all} ${one})`,
  );
  return `
    (local.set ${sum}${first} ${joined})
    (f64.store offset=${offset} (local.get ${to}) (f64.add
      (f64x2.extract_lane 0 (local.get ${sum}${first})) (f64x2.extract_lane 1 (local.get ${sum}${first}))))`;
}

function byColumns(lanes: Lanes): string {
  const clear = (vector: string) =>
    `(memory.fill (local.get ${vector}) (i32.const 0) (i32.mul (local.get $m) (i32.const 8)))`;
  return `
  ${clear('$y')}
  ${clear('$z')}
  ${columns(lanes, COLUMNS)}
  ${columns(lanes, 1)}`;
}

/** y ← y + x_0·a_0 + … and z ← z + w_0·|a_0| + … for `width` columns at a time. */
function columns(lanes: Lanes, width: number): string {
  const update = (count: 1 | 2) => {
    const store = count === 2 ? 'v128.store' : 'v128.store64_lane 0';
    const column = (c: number) => load(lanes, count, `(local.get $column${c})`);
    const step = (c: number) =>
      accumulate('$sum0', '$size0', column(c), `(local.get $x${c})`, `(local.get $w${c})`);
    return `
      (local.set $sum0 ${loadDouble(count, '(local.get $to)')})
      (local.set $size0 ${loadDouble(count, '(local.get $size)')})
      ${repeat(width, step)}
      (${store} (local.get $to) (local.get $sum0))
      (${store} (local.get $size) (local.get $size0))
      ${repeat(width, c => add(`$column${c}`, number(count * lanes.bytes)))}
      ${add('$to', number(8 * count))}
      ${add('$size', number(8 * count))}`;
  };
  const splat = (to: string, vector: string) =>
    repeat(width, c => `(local.set ${to}${c} (v128.load64_splat offset=${8 * c} (local.get ${vector})))`);
  return countdown(
    `columns${width}`,
    '$n',
    width,
    `
    (local.set $column0 (local.get $a))
    ${repeat(width - 1, c => `(local.set $column${c + 1} (i32.add (local.get $column${c}) (local.get $colA)))`)}
    ${splat('$x', '$x')}
    ${splat('$w', '$w')}
    (local.set $to (local.get $y))
    (local.set $size (local.get $z))
    (local.set $i (local.get $m))
    ${countdown(`pair${width}`, '$i', 2, update(2))}
    ${countdown(`one${width}`, '$i', 1, update(1))}
    ${add('$a', `(i32.mul (local.get $colA) ${number(width)})`)}
    ${add('$x', number(8 * width))}
    ${add('$w', number(8 * width))}`,
  );
}
