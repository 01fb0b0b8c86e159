// The WebAssembly text of the SIMD kernel: one template over dtype and arithmetic, so that the two dtypes and the
// strict and the relaxed variant cannot drift apart. Loops 2 and 1, the micro-kernel and the packing are here; loops
// 5 to 3 are in wasm-kernel.ts. Addresses are unsigned 32-bit and every loop counts down a length, never compares
// addresses, so that memory beyond 2 GiB needs no care. Strides are in bytes.

import type { Dtype } from '../../../shared/math/dtype.ts';
import { BLOCKING } from './blocking.ts';
import { LANES, type Lanes, type WasmVariant } from './lanes.ts';
import { packFunction } from './pack-template.ts';
import { repeat } from './text.ts';
import { accumulated, thinFunctions } from './thin-template.ts';
import { vectorFunctions } from './vectors-template.ts';

/** Steps of k in one turn of the innermost loop, so that V8's stack check and the pointers cost a quarter. */
const UNROLL = 4;

/** The whole module, as text. */
export function moduleText(variant: WasmVariant): string {
  return `(module
(import "env" "memory" (memory 0 65536 shared))
${(['float64', 'float32'] as const).map(dtype => gemmFunctions(dtype, variant)).join('')}
${vectorFunctions()}
)
`;
}

function gemmFunctions(dtype: Dtype, variant: WasmVariant): string {
  const { mr, nr } = BLOCKING[dtype];
  const packs = [...new Set([mr, nr])].map(width => packFunction(LANES[dtype], width));
  return [
    ...packs,
    mergeFunction(LANES[dtype], nr),
    microKernel(LANES[dtype], variant, mr, nr),
    macroKernel(LANES[dtype], mr, nr),
    thinFunctions(LANES[dtype], variant),
  ].join('');
}

/** C ← α·sums + β·C on the valid m×n part of a micro-tile, element by element, any strides. */
function mergeFunction({ scalar, bytes }: Lanes, nr: number): string {
  const product = `(${scalar}.mul (local.get $alpha) (${scalar}.load (local.get $s)))`;
  return `
(func $merge_${scalar} (export "merge_${scalar}")
  (param $sums i32) (param $m i32) (param $n i32) (param $c i32) (param $rowC i32) (param $colC i32)
  (param $alpha ${scalar}) (param $beta ${scalar})
  (local $j i32) (local $s i32) (local $at i32)
  (loop $row
    (local.set $j (local.get $n))
    (local.set $s (local.get $sums))
    (local.set $at (local.get $c))
    (loop $element
      (${scalar}.store (local.get $at)
        (if (result ${scalar}) (${scalar}.eq (local.get $beta) (${scalar}.const 0))
          (then ${product})
          (else (${scalar}.add (${scalar}.mul (local.get $beta) (${scalar}.load (local.get $at))) ${product}))))
      (local.set $s (i32.add (local.get $s) (i32.const ${bytes})))
      (local.set $at (i32.add (local.get $at) (local.get $colC)))
      (br_if $element (local.tee $j (i32.sub (local.get $j) (i32.const 1)))))
    (local.set $sums (i32.add (local.get $sums) (i32.const ${nr * bytes})))
    (local.set $c (i32.add (local.get $c) (local.get $rowC)))
    (br_if $row (local.tee $m (i32.sub (local.get $m) (i32.const 1))))))
`;
}

/**
 * C ← α·Ã·B̃ + β·C for one full micro-tile whose rows are contiguous. Accumulators start at +0 and take one step of
 * k after another: lane l of accumulator i, v is the sum for element (i, v·lanes + l), in the order of summation.ts.
 */
function microKernel(lanes: Lanes, variant: WasmVariant, mr: number, nr: number): string {
  const { scalar, vector, splat, bytes, count } = lanes;
  const vectors = nr / count;
  const each = (text: (i: number, v: number) => string) => repeat(mr, i => repeat(vectors, v => text(i, v)));
  const accumulate = (i: number, v: number) =>
    accumulated(lanes, variant, `(local.get $c${i}_${v})`, `(local.get $a${i})`, `(local.get $b${v})`);
  const step = (u: number) => `
    ${repeat(vectors, v => `(local.set $b${v} (v128.load offset=${(u * vectors + v) * 16} (local.get $panelB)))`)}
    ${repeat(
      mr,
      i => `(local.set $a${i} (${splat} offset=${(u * mr + i) * bytes} (local.get $panelA)))
    ${repeat(vectors, v => `(local.set $c${i}_${v} ${accumulate(i, v)})`)}`,
    )}`;
  // A branch ends every step: without it V8 schedules one accumulator's whole chain before the next, and spills.
  const leave = '(br_if $done (i32.eqz (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))';
  const product = (i: number, v: number) => `(${vector}.mul (local.get $a0) (local.get $c${i}_${v}))`;
  const nextRow = `(local.set $c (i32.add (local.get $c) (local.get $rowC)))`;
  return `
(func $micro_${scalar}
  (param $panelA i32) (param $panelB i32) (param $k i32) (param $c i32) (param $rowC i32)
  (param $alpha ${scalar}) (param $beta ${scalar})
  ${repeat(vectors, v => `(local $b${v} v128)`)}
  ${repeat(mr, i => `(local $a${i} v128)`)}
  ${each((i, v) => `(local $c${i}_${v} v128)`)}
  (block $done
    (br_if $done (i32.eqz (local.get $k)))
    (loop $next
      ${repeat(UNROLL, u => `${step(u)}\n${leave}`)}
      (local.set $panelA (i32.add (local.get $panelA) (i32.const ${UNROLL * mr * bytes})))
      (local.set $panelB (i32.add (local.get $panelB) (i32.const ${UNROLL * nr * bytes})))
      (br $next)))
  (local.set $a0 (${vector}.splat (local.get $alpha)))
  (local.set $b0 (${vector}.splat (local.get $beta)))
  (if (${scalar}.eq (local.get $beta) (${scalar}.const 0))
    (then ${repeat(mr, i => `${repeat(vectors, v => `(v128.store offset=${v * 16} (local.get $c) ${product(i, v)})`)} ${nextRow}`)})
    (else ${repeat(mr, i => `${repeat(vectors, v => `(v128.store offset=${v * 16} (local.get $c) (${vector}.add (${vector}.mul (local.get $b0) (v128.load offset=${v * 16} (local.get $c))) ${product(i, v)}))`)} ${nextRow}`)})))
`;
}

/** Loops 2 and 1: C ← α·Ã·B̃ + β·C for one packed m×k block and one packed k×n block; m, n ≥ 1. */
function macroKernel({ scalar, bytes }: Lanes, mr: number, nr: number): string {
  const minimum = (value: string, limit: number) =>
    `(select (local.get ${value}) (i32.const ${limit}) (i32.lt_u (local.get ${value}) (i32.const ${limit})))`;
  return `
(func (export "multiply_${scalar}")
  (param $packedA i32) (param $packedB i32) (param $sums i32) (param $m i32) (param $n i32) (param $k i32)
  (param $c i32) (param $rowC i32) (param $colC i32) (param $alpha ${scalar}) (param $beta ${scalar})
  (local $panelA i32) (local $i i32) (local $mHere i32) (local $nHere i32) (local $at i32)
  (loop $columns
    (local.set $nHere ${minimum('$n', nr)})
    (local.set $panelA (local.get $packedA))
    (local.set $i (local.get $m))
    (local.set $at (local.get $c))
    (loop $rows
      (local.set $mHere ${minimum('$i', mr)})
      (if (i32.and (i32.and
          (i32.eq (local.get $mHere) (i32.const ${mr}))
          (i32.eq (local.get $nHere) (i32.const ${nr})))
          (i32.eq (local.get $colC) (i32.const ${bytes})))
        (then
          (call $micro_${scalar} (local.get $panelA) (local.get $packedB) (local.get $k)
            (local.get $at) (local.get $rowC) (local.get $alpha) (local.get $beta)))
        (else
          (call $micro_${scalar} (local.get $panelA) (local.get $packedB) (local.get $k)
            (local.get $sums) (i32.const ${nr * bytes}) (${scalar}.const 1) (${scalar}.const 0))
          (call $merge_${scalar} (local.get $sums) (local.get $mHere) (local.get $nHere)
            (local.get $at) (local.get $rowC) (local.get $colC) (local.get $alpha) (local.get $beta))))
      (local.set $panelA (i32.add (local.get $panelA) (i32.mul (local.get $k) (i32.const ${mr * bytes}))))
      (local.set $at (i32.add (local.get $at) (i32.mul (local.get $rowC) (i32.const ${mr}))))
      (br_if $rows (local.tee $i (i32.sub (local.get $i) (local.get $mHere)))))
    (local.set $packedB (i32.add (local.get $packedB) (i32.mul (local.get $k) (i32.const ${nr * bytes}))))
    (local.set $c (i32.add (local.get $c) (i32.mul (local.get $colC) (i32.const ${nr}))))
    (br_if $columns (local.tee $n (i32.sub (local.get $n) (local.get $nHere))))))
`;
}
