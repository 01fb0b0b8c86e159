// How the memory of a slab is divided: its elements, in the widest of the dtypes they pass through; room for the
// digests of what was read; fingerprints of what lies there; two control words of the tasks that fill it.

import { DTYPES, type Dtype } from '../../shared/math/dtype.ts';
import { digestSpaceBytes } from '../execute/digests.ts';
import { fingerprintSpaceBytes } from '../execute/fingerprints.ts';
import { SLOT_ALIGNMENT } from '../memory/arena.ts';

const CONTROL_BYTES = SLOT_ALIGNMENT;

/** Byte offsets from the start of the slab, and its length. The elements come first. */
export interface SlabLayout {
  /** Bytes of an element in the widest dtype it passes through. */
  readonly widest: number;
  readonly dataBytes: number;
  readonly digests: number;
  readonly prints: number;
  readonly control: number;
  readonly bytes: number;
}

/** @param stored the dtype of the array, @param dtype that of the computation */
export function slabLayout(elements: number, stored: Dtype, dtype: Dtype): SlabLayout {
  const widest = Math.max(DTYPES[dtype].bytes, DTYPES[stored].bytes);
  const dataBytes = alignUp(elements * widest);
  const prints = dataBytes + digestSpaceBytes(elements * widest);
  const control = alignUp(prints + fingerprintSpaceBytes(dataBytes));
  return { widest, dataBytes, digests: dataBytes, prints, control, bytes: control + CONTROL_BYTES };
}

function alignUp(bytes: number): number {
  return Math.ceil(bytes / SLOT_ALIGNMENT) * SLOT_ALIGNMENT;
}
