// The WebAssembly text of products with one row of C, s ← x·B: B is used once, so packing it would cost more than the
// arithmetic. Lines of B that are contiguous in k are taken several at a time, a lane each; where rows are the contiguous
// ones, they are added to the sums one after the other. Either way each sum takes one step of k after another, from
// +0, as summation.ts says: the bits are those of the packed road.

import type { Lanes, WasmVariant } from './lanes.ts';
import { transposed } from './pack-template.ts';
import { add, countdown, number, repeat } from './text.ts';

/** Lines of B at a time, and rows of B at a time. */
const LINES = 8;
const ROWS = 4;

export function thinFunctions(lanes: Lanes, variant: WasmVariant): string {
  return dots(lanes, variant) + sweep(lanes, variant);
}

/** sum + x·y: rounded twice in the strict variant. */
export function accumulated(
  { vector }: Lanes,
  variant: WasmVariant,
  sum: string,
  x: string,
  y: string,
): string {
  return variant === 'relaxed'
    ? `(${vector}.relaxed_madd ${x} ${y} ${sum})`
    : `(${vector}.add ${sum} (${vector}.mul ${x} ${y}))`;
}

const local = (name: string) => `(local.get ${name})`;

/** One element in lane 0, zeros in the others. */
function single({ bytes }: Lanes, address: string): string {
  return `(v128.load${8 * bytes}_zero ${address})`;
}

function storeSingle({ bytes }: Lanes, address: string, value: string): string {
  return `(v128.store${8 * bytes}_lane 0 ${address} ${value})`;
}

/** n lines of B, `across` apart, each contiguous in k, times x, whose elements are `along` apart. */
function dots(lanes: Lanes, variant: WasmVariant): string {
  const { scalar, splat, bytes, count } = lanes;
  const groups = LINES / count;
  const step = (sum: string, line: string, x: string) =>
    `(local.set ${sum} ${accumulated(lanes, variant, local(sum), line, local(x))})`;
  const nextX = (l: number) => `(local.set $x${l} (${splat} ${local('$at')})) ${add('$at', local('$along'))}`;
  const begin = `(local.set $p ${local('$k')}) (local.set $at ${local('$x')}) (local.set $s0 ${local('$b')})`;
  const square = (g: number) => `
    ${repeat(count, l => `(local.set $v${l} (v128.load ${local(`$s${g * count + l}`)}))`)}
    ${transposed(lanes)
      .map((column, l) => step(`$c${g}`, column, `$x${l}`))
      .join('\n')}`;
  const lane = (g: number, l: number): string =>
    l === 0
      ? single(lanes, local(`$s${g * count}`))
      : `(v128.load${8 * bytes}_lane ${l} ${local(`$s${g * count + l}`)} ${lane(g, l - 1)})`;
  const many = `
    ${begin}
    ${repeat(LINES - 1, i => `(local.set $s${i + 1} (i32.add ${local(`$s${i}`)} ${local('$across')}))`)}
    ${repeat(groups, g => `(local.set $c${g} (v128.const i32x4 0 0 0 0))`)}
    ${countdown('square', '$p', count, `${repeat(count, nextX)} ${repeat(groups, square)} ${repeat(LINES, i => add(`$s${i}`, number(16)))}`)}
    ${countdown('step', '$p', 1, `${nextX(0)} ${repeat(groups, g => step(`$c${g}`, lane(g, count - 1), '$x0'))} ${repeat(LINES, i => add(`$s${i}`, number(bytes)))}`)}
    ${repeat(groups, g => `(v128.store offset=${16 * g} ${local('$sums')} ${local(`$c${g}`)})`)}
    ${add('$sums', number(LINES * bytes))}
    ${add('$b', `(i32.mul ${local('$across')} ${number(LINES)})`)}`;
  const one = `
    ${begin}
    (local.set $c0 (v128.const i32x4 0 0 0 0))
    ${countdown('element', '$p', 1, `${nextX(0)} ${step('$c0', single(lanes, local('$s0')), '$x0')} ${add('$s0', number(bytes))}`)}
    ${storeSingle(lanes, local('$sums'), local('$c0'))}
    ${add('$sums', number(bytes))}
    ${add('$b', local('$across'))}`;
  return `
(func (export "dots_${scalar}")
  (param $b i32) (param $across i32) (param $n i32) (param $k i32) (param $x i32) (param $along i32) (param $sums i32)
  (local $p i32) (local $at i32)
  ${repeat(LINES, i => `(local $s${i} i32)`)}
  ${repeat(count, l => `(local $v${l} v128) (local $t${l} v128) (local $x${l} v128)`)}
  ${repeat(groups, g => `(local $c${g} v128)`)}
  ${countdown('lines', '$n', LINES, many)}
  ${countdown('line', '$n', 1, one)})
`;
}

/** k rows of B, `down` apart, each of n contiguous elements, times x, whose elements are `along` apart. */
function sweep(lanes: Lanes, variant: WasmVariant): string {
  const { scalar, splat, bytes, count } = lanes;
  /** The sums at `$to` take a step for each of `height` rows. */
  const chain = (height: number, sum: string, row: (r: number) => string): string =>
    Array.from({ length: height }, (_, r) => r).reduce(
      (text, r) => accumulated(lanes, variant, text, row(r), local(`$x${r}`)),
      sum,
    );
  const advance = (height: number, by: number) =>
    `${repeat(height, r => add(`$s${r}`, number(by)))} ${add('$to', number(by))}`;
  const vectors = (height: number, width: number) => `
    ${repeat(width, v => {
      const load = (name: string) => `(v128.load offset=${16 * v} ${local(name)})`;
      return `(v128.store offset=${16 * v} ${local('$to')} ${chain(height, load('$to'), r => load(`$s${r}`))})`;
    })}
    ${advance(height, 16 * width)}`;
  const rows = (height: number) => `
    ${repeat(height, r => `(local.set $x${r} (${splat} ${local('$x')})) ${add('$x', local('$along'))}`)}
    ${repeat(height, r => `(local.set $s${r} ${local('$b')}) ${add('$b', local('$down'))}`)}
    (local.set $to ${local('$sums')})
    (local.set $i ${local('$n')})
    ${countdown(`pair${height}`, '$i', 2 * count, vectors(height, 2))}
    ${countdown(
      `element${height}`,
      '$i',
      1,
      `${storeSingle(
        lanes,
        local('$to'),
        chain(height, single(lanes, local('$to')), r => single(lanes, local(`$s${r}`))),
      )} ${advance(height, bytes)}`,
    )}`;
  return `
(func (export "sweep_${scalar}")
  (param $b i32) (param $down i32) (param $n i32) (param $k i32) (param $x i32) (param $along i32) (param $sums i32)
  (local $i i32) (local $to i32)
  ${repeat(ROWS, r => `(local $s${r} i32) (local $x${r} v128)`)}
  (memory.fill ${local('$sums')} (i32.const 0) (i32.mul ${local('$n')} ${number(bytes)}))
  ${countdown('rows', '$k', ROWS, rows(ROWS))}
  ${countdown('row', '$k', 1, rows(1))})
`;
}
