// The WebAssembly text of y ← A·x and |A|·x, where x and y are float64 and A is either dtype: rows are dotted with x
// where they are contiguous, columns are added to y where those are, and else elements are taken one by one.
// Every element of A is widened to float64 first, two to a vector; single ones travel in lane 0, with 0 in lane 1.

import { LANES, type Lanes } from './lanes.ts';
import { add, countdown, number, repeat } from './text.ts';

/** Vectors of A in one turn of the row loop: independent sums, so that no addition waits for the one before. */
const SUMS = 4;
/** Columns added to y at a time, so that y is read and written once for all of them. */
const COLUMNS = 4;

export function vectorFunctions(): string {
  return Object.values(LANES).map(matvec).join('');
}

/** Two elements or one at `address`, widened, their signs cleared where magnitudes are asked for. */
function load({ scalar, bytes }: Lanes, count: 1 | 2, address: string, offset = 0): string {
  const text = `(v128.load${8 * bytes * count}_zero offset=${offset} ${address})`;
  const whole = `(v128.load offset=${offset} ${address})`;
  const raw = 8 * bytes * count === 128 ? whole : text;
  return `(v128.and (local.get $mask) ${scalar === 'f64' ? raw : `(f64x2.promote_low_f32x4 ${raw})`})`;
}

function matvec(lanes: Lanes): string {
  const { scalar, bytes } = lanes;
  return `
(func (export "matvec_${scalar}")
  (param $a i32) (param $rowA i32) (param $colA i32) (param $m i32) (param $n i32)
  (param $x i32) (param $y i32) (param $magnitude i32)
  (local $mask v128) (local $i i32) (local $j i32) (local $at i32) (local $to i32)
  ${repeat(SUMS, s => `(local $sum${s} v128)`)}
  ${repeat(COLUMNS, c => `(local $column${c} i32) (local $x${c} v128)`)}
  (local.set $mask (i64x2.splat
    (select (i64.const 0x7fffffffffffffff) (i64.const -1) (local.get $magnitude))))
  (if (i32.and (i32.eq (local.get $rowA) ${number(bytes)}) (i32.ne (local.get $colA) ${number(bytes)}))
    (then ${byColumns(lanes)})
    (else ${byRows(lanes)})))
`;
}

function byRows(lanes: Lanes): string {
  const { bytes } = lanes;
  const x = (count: 1 | 2, offset: number) =>
    count === 2 ? `(v128.load offset=${offset} (local.get $to))` : '(v128.load64_zero (local.get $to))';
  const accumulate = (s: number, count: 1 | 2) =>
    `(local.set $sum${s} (f64x2.add (local.get $sum${s})
      (f64x2.mul ${load(lanes, count, '(local.get $at)', s * 2 * bytes)} ${x(count, s * 16)})))`;
  const sums =
    '(f64x2.add (f64x2.add (local.get $sum0) (local.get $sum1)) (f64x2.add (local.get $sum2) (local.get $sum3)))';
  const contiguous = countdown(
    'vector',
    '$j',
    2 * SUMS,
    `${repeat(SUMS, s => accumulate(s, 2))} ${add('$at', number(2 * SUMS * bytes))} ${add('$to', number(16 * SUMS))}`,
  );
  return countdown(
    'row',
    '$m',
    1,
    `
    ${repeat(SUMS, s => `(local.set $sum${s} (v128.const i64x2 0 0))`)}
    (local.set $at (local.get $a))
    (local.set $to (local.get $x))
    (local.set $j (local.get $n))
    (if (i32.eq (local.get $colA) ${number(bytes)}) (then ${contiguous}))
    ${countdown('single', '$j', 1, `${accumulate(0, 1)} ${add('$at', '(local.get $colA)')} ${add('$to', number(8))}`)}
    (local.set $sum0 ${sums})
    (f64.store (local.get $y)
      (f64.add (f64x2.extract_lane 0 (local.get $sum0)) (f64x2.extract_lane 1 (local.get $sum0))))
    ${add('$a', '(local.get $rowA)')}
    ${add('$y', number(8))}`,
  );
}

function byColumns(lanes: Lanes): string {
  return `
  (memory.fill (local.get $y) (i32.const 0) (i32.mul (local.get $m) (i32.const 8)))
  ${columns(lanes, COLUMNS)}
  ${columns(lanes, 1)}`;
}

/** y ← y + x_0·a_0 + … for `width` columns at a time. */
function columns(lanes: Lanes, width: number): string {
  const update = (count: 1 | 2) => {
    const y = count === 2 ? '(v128.load (local.get $to))' : '(v128.load64_zero (local.get $to))';
    const column = (c: number) => load(lanes, count, `(local.get $column${c})`);
    const store = count === 2 ? 'v128.store (local.get $to)' : 'v128.store64_lane 0 (local.get $to)';
    return `
      (local.set $sum0 ${y})
      ${repeat(width, c => `(local.set $sum0 (f64x2.add (local.get $sum0) (f64x2.mul (local.get $x${c}) ${column(c)})))`)}
      (${store} (local.get $sum0))
      ${repeat(width, c => add(`$column${c}`, number(count * lanes.bytes)))}
      ${add('$to', number(8 * count))}`;
  };
  return countdown(
    `columns${width}`,
    '$n',
    width,
    `
    (local.set $column0 (local.get $a))
    ${repeat(width - 1, c => `(local.set $column${c + 1} (i32.add (local.get $column${c}) (local.get $colA)))`)}
    ${repeat(width, c => `(local.set $x${c} (v128.load64_splat offset=${8 * c} (local.get $x)))`)}
    (local.set $to (local.get $y))
    (local.set $i (local.get $m))
    ${countdown(`pair${width}`, '$i', 2, update(2))}
    ${countdown(`one${width}`, '$i', 1, update(1))}
    ${add('$a', `(i32.mul (local.get $colA) ${number(width)})`)}
    ${add('$x', number(8 * width))}`,
  );
}
