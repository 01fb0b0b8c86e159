// The WebAssembly text of packing: the only code that meets strides on the way in. Any view becomes contiguous
// panels, in the order in which the micro-kernel reads them.

import type { Lanes } from './lanes.ts';
import { add, countdown, number, repeat } from './text.ts';

/**
 * Packs a view into panels: `count` lines `across` apart become panels of `width` lines, interleaved, each line of k
 * elements `along` apart. The last panel is filled up with zeros.
 */
export function packFunction(lanes: Lanes, width: number): string {
  const { scalar, bytes } = lanes;
  const panelBytes = width * bytes;
  const pointers = repeat(
    width - 1,
    i => `(local.set $s${i + 1} (i32.add (local.get $s${i}) (local.get $across)))`,
  );
  return `
(func $pack_${scalar}_${width} (export "pack_${scalar}_${width}")
  (param $from i32) (param $across i32) (param $along i32) (param $count i32) (param $k i32) (param $to i32)
  (local $p i32) (local $i i32)
  ${repeat(width, i => `(local $s${i} i32)`)}
  ${repeat(lanes.count, l => `(local $v${l} v128) (local $t${l} v128)`)}
  ${countdown(
    'panel',
    '$count',
    width,
    `
    (local.set $p (local.get $k))
    (local.set $s0 (local.get $from))
    (if (i32.eq (local.get $across) ${number(bytes)})
      (then ${countdown('copy', '$p', 1, `${copyLine(panelBytes)} ${add('$to', number(panelBytes))}`)})
      (else
        ${pointers}
        (if (i32.eq (local.get $along) ${number(bytes)})
          (then ${countdown('square', '$p', lanes.count, transposeSquares(lanes, width))}))
        ${countdown('line', '$p', 1, gatherLine(lanes, width))}))
    ${add('$from', `(i32.mul (local.get $across) ${number(width)})`)}`,
  )}
  (if (i32.eqz (local.get $count)) (then (return)))
  ${countdown('ragged', '$k', 1, raggedLine(lanes, panelBytes))})
`;
}

/** One line across, contiguous in memory. */
function copyLine(panelBytes: number): string {
  return `
    ${repeat(panelBytes / 16, v => `(v128.store offset=${v * 16} (local.get $to) (v128.load offset=${v * 16} (local.get $s0)))`)}
    ${add('$s0', '(local.get $along)')}`;
}

/** One line across, element by element. */
function gatherLine({ scalar, bytes }: Lanes, width: number): string {
  return `
    ${repeat(width, i => `(${scalar}.store offset=${i * bytes} (local.get $to) (${scalar}.load (local.get $s${i})))`)}
    ${repeat(width, i => add(`$s${i}`, '(local.get $along)'))}
    ${add('$to', number(width * bytes))}`;
}

/** As many lines across as a vector has lanes, where k is contiguous: vectors along k, transposed in squares. */
function transposeSquares(lanes: Lanes, width: number): string {
  const { bytes, count } = lanes;
  const store = (line: number, i: number, value: string) =>
    `(v128.store offset=${(line * width + i) * bytes} (local.get $to) ${value})`;
  return `
    ${repeat(
      width / count,
      square => `
    ${repeat(count, l => `(local.set $v${l} (v128.load (local.get $s${square * count + l})))`)}
    ${transposed(lanes)
      .map((value, line) => store(line, square * count, value))
      .join('\n')}`,
    )}
    ${repeat(width, i => add(`$s${i}`, number(16)))}
    ${add('$to', number(count * width * bytes))}`;
}

/** The columns of the square whose rows are $v0, $v1, … */
export function transposed({ scalar }: Lanes): readonly string[] {
  const v = (l: number) => `(local.get $v${l})`;
  if (scalar === 'f64') return [low64(v(0), v(1)), high64(v(0), v(1))];
  const t = (l: number, value: string) => `(local.tee $t${l} ${value})`;
  const got = (l: number) => `(local.get $t${l})`;
  return [
    low64(t(0, shuffle32(v(0), v(1), [0, 4, 1, 5])), t(2, shuffle32(v(2), v(3), [0, 4, 1, 5]))),
    high64(got(0), got(2)),
    low64(t(1, shuffle32(v(0), v(1), [2, 6, 3, 7])), t(3, shuffle32(v(2), v(3), [2, 6, 3, 7]))),
    high64(got(1), got(3)),
  ];
}

function shuffle32(x: string, y: string, lanes: readonly number[]): string {
  const bytes = lanes.flatMap(lane => [0, 1, 2, 3].map(byte => lane * 4 + byte));
  return `(i8x16.shuffle ${bytes.join(' ')} ${x} ${y})`;
}

function low64(x: string, y: string): string {
  return shuffle32(x, y, [0, 1, 4, 5]);
}

function high64(x: string, y: string): string {
  return shuffle32(x, y, [2, 3, 6, 7]);
}

/** One line of the last panel: `count` elements, then zeros. */
function raggedLine({ scalar, bytes }: Lanes, panelBytes: number): string {
  return `
    ${repeat(panelBytes / 16, v => `(v128.store offset=${v * 16} (local.get $to) (v128.const i32x4 0 0 0 0))`)}
    (local.set $i (local.get $count))
    (local.set $s0 (local.get $from))
    (local.set $p (local.get $to))
    ${countdown(
      'element',
      '$i',
      1,
      `(${scalar}.store (local.get $p) (${scalar}.load (local.get $s0)))
      ${add('$s0', '(local.get $across)')}
      ${add('$p', number(bytes))}`,
    )}
    ${add('$from', '(local.get $along)')}
    ${add('$to', number(panelBytes))}`;
}
