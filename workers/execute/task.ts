// What a thread is told: numbers, never matrices. A task is one share of a step that all threads work off together;
// each takes the next tile from a counter in shared memory until none is left or the cancel word is set.

import type { Dtype } from '../../shared/math/dtype.ts';
import type { View } from '../../shared/math/view.ts';
import type { TileSize } from './tile.ts';

/** A matrix, or a stack of them: member s begins s·memberStride elements further on (0: one for all members). */
export interface StackView extends View {
  readonly memberStride: number;
}

/** Member `member` of a stack. */
export function memberView(stack: StackView, member: number): View {
  return { ...stack, offset: stack.offset + member * stack.memberStride };
}

/** α·A·B. V is the kind of view: one with an address here, one without in a plan. */
export interface ProductTerm<V = StackView> {
  readonly kind: 'product';
  readonly alpha: number;
  readonly a: V;
  readonly b: V;
}

/** coefficient·σ·X, where σ is a 1×1 matrix in memory or absent. */
export interface MatrixTerm<V = StackView> {
  readonly kind: 'matrix';
  readonly coefficient: number;
  readonly scalar: V | null;
  readonly x: V;
}

/** A factor of a Kronecker product; `values` null is the identity, whose zeros are never multiplied. */
export interface KronFactor<V = StackView> {
  readonly rows: number;
  readonly cols: number;
  readonly values: V | null;
}

/** Columns from `firstColumn` on of coefficient·(left ⊗ right), or with `swap` of coefficient·(left ⊗ right)·K. */
export interface KronTerm<V = StackView> {
  readonly kind: 'kron';
  readonly coefficient: number;
  readonly left: KronFactor<V>;
  readonly right: KronFactor<V>;
  readonly swap: boolean;
  readonly firstColumn: number;
}

export type Term<V = StackView> = ProductTerm<V> | MatrixTerm<V> | KronTerm<V>;

/** The same term over another kind of view. */
export function mapTerm<V, U>(term: Term<V>, view: (v: V) => U): Term<U> {
  const optional = (v: V | null) => (v === null ? null : view(v));
  switch (term.kind) {
    case 'product':
      return { ...term, a: view(term.a), b: view(term.b) };
    case 'matrix':
      return { ...term, scalar: optional(term.scalar), x: view(term.x) };
    case 'kron': {
      const left = { ...term.left, values: optional(term.left.values) };
      return { ...term, left, right: { ...term.right, values: optional(term.right.values) } };
    }
  }
}

/** Every view of a term. */
export function viewsOf<V>(term: Term<V>): V[] {
  switch (term.kind) {
    case 'product':
      return [term.a, term.b];
    case 'matrix':
      return term.scalar === null ? [term.x] : [term.scalar, term.x];
    case 'kron':
      return [term.left.values, term.right.values].filter(values => values !== null);
  }
}

/** C ← Σ terms, for every member. C overlaps no term. */
export interface CombineTask extends TileSize {
  readonly kind: 'combine';
  readonly dtype: Dtype;
  readonly reproducible: boolean;
  readonly members: number;
  readonly c: StackView;
  readonly terms: readonly Term[];
}

/** c ← ⟨A, B⟩ = Σ aᵢⱼ·bᵢⱼ, 1×1, for every member. One tile a member: a sum is never split between threads. */
export interface InnerTask {
  readonly kind: 'inner';
  readonly dtype: Dtype;
  readonly members: number;
  readonly c: StackView;
  readonly a: StackView;
  readonly b: StackView;
}

/** y ← B·x and z ← |B|·1 in float64, for rows of one product's right factor (Freivalds' first half). Finds the largest z. */
export interface ImageTask extends TileSize {
  readonly kind: 'image';
  readonly dtype: Dtype;
  readonly members: number;
  readonly b: StackView;
  /** Byte offsets of float64 vectors: x has b.cols signs and as many ones, y and z have b.rows for every member. */
  readonly x: number;
  readonly y: number;
  readonly z: number;
}

/** One product whose images are known. */
export interface ImagedTerm {
  readonly alpha: number;
  readonly a: StackView;
  readonly b: StackView;
  readonly y: number;
  readonly z: number;
  /** Elements from one member's images to the next one's; 0 where B is shared. */
  readonly memberStride: number;
}

/** Compares C·x with Σ α·A·(B·x) + Σ coefficient·σ·X·x row by row. */
export interface ResidualTask extends TileSize {
  readonly kind: 'residual';
  readonly dtype: Dtype;
  readonly members: number;
  readonly c: StackView;
  /** Byte offset of c.cols signs and as many ones, float64. */
  readonly x: number;
  readonly products: readonly ImagedTerm[];
  readonly matrices: readonly MatrixTerm[];
  /** The relative rounding bound of the whole row: workers/verify/bounds.ts. */
  readonly relativeBound: number;
  /** What underflow may add to a row, absolutely. */
  readonly absoluteBound: number;
}

/** Finds the sum of |X| over all members, and its largest row. */
export interface MeasureTask extends TileSize {
  readonly kind: 'measure';
  readonly dtype: Dtype;
  readonly members: number;
  readonly x: StackView;
}

/** Copies `length` elements from one dtype to another, rounding to nearest. */
export interface ConvertTask {
  readonly kind: 'convert';
  readonly from: Dtype;
  readonly to: Dtype;
  readonly fromByteOffset: number;
  readonly toByteOffset: number;
  readonly length: number;
}

/** Fills `length` elements with numbers of a seeded sequence in [−1, 1), by position alone. */
export interface RandomTask {
  readonly kind: 'random';
  readonly dtype: Dtype;
  readonly seed: number;
  readonly byteOffset: number;
  readonly length: number;
  /** Index in the sequence of the first element. */
  readonly first: number;
}

/** Overwrites every number with its magnitude. */
export interface MagnitudeTask {
  readonly kind: 'magnitude';
  readonly dtype: Dtype;
  readonly byteOffset: number;
  readonly length: number;
}

/**
 * Compares `length` elements with as many magnitudes, `tileLength` of them a tile: finds the largest magnitude, and the
 * largest relative to its element.
 */
export interface RelateTask {
  readonly kind: 'relate';
  readonly dtype: Dtype;
  readonly byteOffset: number;
  readonly magnitudesAt: number;
  readonly length: number;
  readonly tileLength: number;
}

/** Overwrites every NaN with the one canonical NaN: payloads differ between machines, bytes must not. */
export interface CanonicaliseTask {
  readonly kind: 'canonicalise';
  readonly dtype: Dtype;
  readonly byteOffset: number;
  readonly length: number;
}

/** SHA-256 of every `chunkBytes` of a range, and, where `whole`, of all of it after them: 32 bytes each, from `digests` on. */
export interface DigestTask {
  readonly kind: 'digest';
  readonly byteOffset: number;
  readonly byteLength: number;
  readonly chunkBytes: number;
  readonly whole: boolean;
  readonly digests: number;
}

/**
 * Fingerprints of every `chunkBytes` of some ranges, a tile each, FINGERPRINT_BYTES from `prints` on: written, or
 * compared with those that are there. Fails once for each chunk that has changed.
 */
export interface FingerprintTask {
  readonly kind: 'fingerprint';
  readonly ranges: readonly GuardedRange[];
  readonly chunkBytes: number;
  readonly compare: boolean;
}

/** Bytes that nobody writes any more, and where their fingerprints are. Offsets and lengths are multiples of 64. */
export interface GuardedRange {
  readonly byteOffset: number;
  readonly byteLength: number;
  readonly prints: number;
}

export type Task =
  | FingerprintTask
  | CombineTask
  | InnerTask
  | ImageTask
  | ResidualTask
  | MeasureTask
  | ConvertTask
  | RandomTask
  | CanonicaliseTask
  | MagnitudeTask
  | RelateTask
  | DigestTask;

export const DIGEST_BYTES = 32;

/** Indices of 32-bit words in the shared memory. */
export interface Control {
  /** Not 0: stop at the next tile. */
  readonly cancel: number;
  /** The next tile that nobody has taken. */
  readonly next: number;
}

export interface ThreadTask {
  readonly task: Task;
  readonly control: Control;
  readonly tiles: number;
}

/** What a share of a step found, and how long it took. Tasks that look for nothing find nothing. */
export interface Findings {
  /** The largest |residual| / (|A||B|1) of a row. */
  readonly maxError: number;
  /** Rows whose residual exceeds its bound, or is not finite though the row had to be; chunks that have changed. */
  readonly failures: number;
  /** Of a residual the sum of |α||A||B| + |c||X| over all elements of C. */
  readonly magnitude: number;
  /** The sum of |C| or |X|. */
  readonly size: number;
  /** The largest row of |B| or |X|, summed. */
  readonly largestRow: number;
  /** The largest magnitude, and the largest relative to its element. */
  readonly largest: number;
  readonly largestRelative: number;
  /** How long the share ran; of several, the longest. Waiting for a thread that another block holds is not in it. */
  readonly seconds: number;
}

export const NO_FINDINGS: Findings = {
  maxError: 0,
  failures: 0,
  magnitude: 0,
  size: 0,
  largestRow: 0,
  largest: 0,
  largestRelative: 0,
  seconds: 0,
};

/** NaN wins over every number, so that what cannot be bounded is not. */
export function mergeFindings(a: Findings, b: Findings): Findings {
  return {
    maxError: Math.max(a.maxError, b.maxError),
    failures: a.failures + b.failures,
    magnitude: a.magnitude + b.magnitude,
    size: a.size + b.size,
    largestRow: Math.max(a.largestRow, b.largestRow),
    largest: Math.max(a.largest, b.largest),
    largestRelative: Math.max(a.largestRelative, b.largestRelative),
    seconds: Math.max(a.seconds, b.seconds),
  };
}
