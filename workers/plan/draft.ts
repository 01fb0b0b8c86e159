// A plan being written: steps over buffers whose places are not decided yet. `finish` gives every buffer its place,
// by lifetimes, and turns drafts into the plan.

import { DTYPES, type Dtype } from '../../shared/math/dtype.ts';
import { denseView, type Order } from '../../shared/math/view.ts';
import { DIGEST_BYTES, mapTerm, type StackView, type Term, viewsOf } from '../execute/task.ts';
import { SLOT_ALIGNMENT } from '../memory/arena.ts';
import { collapseMembers } from './collapse.ts';
import { placeBuffers } from './lifetimes.ts';
import { type InputSlab, type Placed, type Plan, REGION, type Step, type StreamedSlab } from './plan.ts';
import { slabLayout } from './slab-layout.ts';

const FLOAT64_BYTES = DTYPES.float64.bytes;
const WORD_BYTES = 4;
/** What is streamed is loaded into one while it is read from the other. */
const STREAM_SLOTS = 2;
/** The cancel word, and the next tile. */
const CONTROL_WORDS = 2;

/** A buffer of the region. */
export interface Buffer {
  bytes: number;
  first: number;
  last: number;
}

/** A view whose home is a buffer, or a slab by its index. */
export interface Draft extends StackView {
  readonly home: Buffer | number;
}

export type DraftTerm = Term<Draft>;

/** Turns a draft's views into placed ones, once the buffers have places. */
type Place = (draft: Draft) => Placed;
type At = (buffer: Buffer) => number;

export type Drafting = ReturnType<typeof createDrafting>;

/** @param members the number of members of a stacked value. */
export function createDrafting(dtype: Dtype, members: number) {
  const elementBytes = DTYPES[dtype].bytes;
  const buffers: Buffer[] = [];
  const constants: { readonly buffer: Buffer; readonly value: number; readonly error?: number }[] = [];
  const streamed: (Omit<StreamedSlab, 'byteOffset'> & { readonly slot: Buffer; readonly offset: number })[] =
    [];
  /** Slabs of one step lie in one of them, those of the next streaming step in the other. */
  const slots: Buffer[] = [];
  let streamingSteps = 0;
  const steps: ((place: Place, at: At) => Step)[] = [];

  function buffer(bytes: number): Buffer {
    const made = { bytes, first: Number.POSITIVE_INFINITY, last: 0 };
    buffers.push(made);
    return made;
  }

  /** Adds a step and keeps alive what it touches. */
  function push(step: (place: Place, at: At) => Step, touched: readonly Draft['home'][]): void {
    const now = steps.push(step) - 1;
    for (const home of touched) {
      if (typeof home === 'number') continue;
      home.first = Math.min(home.first, now);
      home.last = Math.max(home.last, now);
    }
  }

  function membersOf(view: Draft): number {
    return view.memberStride === 0 ? 1 : members;
  }

  /** The vectors of Freivalds' test, by rows and then by columns. */
  function proofOf(c: Draft, terms: readonly DraftTerm[]) {
    const images = terms
      .filter(term => term.kind === 'product')
      .map(({ a, b }) => Math.max(membersOf(a), membersOf(b)) * b.rows * FLOAT64_BYTES)
      .map(bytes => ({ y: buffer(bytes), z: buffer(bytes) }));
    const x = () => buffer(2 * Math.max(c.rows, c.cols) * FLOAT64_BYTES);
    return images.length > 0 ? { x: x(), images } : undefined;
  }

  return {
    buffer,

    matrix(rows: number, cols: number, order: Order, isStack: boolean): Draft {
      const home = buffer(rows * cols * elementBytes * (isStack ? members : 1));
      return { ...denseView(rows, cols, 0, order), memberStride: isStack ? rows * cols : 0, home };
    },

    /**
     * Slabs that the next step reads, and nobody else: where their elements will be, before any other element of theirs.
     *
     * @param stored the dtype of the array each is a piece of
     */
    stream(
      slabs: readonly (readonly [slab: InputSlab, stored: Dtype])[],
    ): { home: Buffer; offset: number }[] {
      const slot = slots[streamingSteps % STREAM_SLOTS] ?? buffer(0);
      slots[streamingSteps % STREAM_SLOTS] = slot;
      streamingSteps += 1;
      let end = 0;
      const places = slabs.map(([slab, stored]) => {
        const offset = end;
        const { bytes } = slabLayout(slab.elements, stored, dtype);
        streamed.push({ slab, step: steps.length, bytes, slot, offset });
        end += bytes;
        return { home: slot, offset: offset / elementBytes };
      });
      slot.bytes = Math.max(slot.bytes, end);
      return places;
    },

    constant(number: { readonly value: number; readonly error?: number }): Draft {
      const home = buffer(elementBytes);
      home.first = 0; // it is written before the first step
      constants.push({ buffer: home, ...number });
      return { ...denseView(1, 1, 0), memberStride: 0, home };
    },

    /** C ← Σ terms. @param flops of one member. */
    combine(target: Draft, summands: readonly DraftTerm[], flops: bigint): void {
      const stack = { c: target, terms: summands };
      const { c, terms } = collapseMembers(stack, members) ?? stack;
      const proof = proofOf(c, terms);
      const step = (place: Place, at: At): Step => ({
        kind: 'combine',
        members: membersOf(c),
        c: place(c),
        terms: terms.map(term => mapTerm(term, place)),
        flops: flops * BigInt(membersOf(target)),
        ...(proof && {
          proof: { x: at(proof.x), images: proof.images.map(({ y, z }) => ({ y: at(y), z: at(z) })) },
        }),
      });
      const vectors = proof === undefined ? [] : [proof.x, ...proof.images.flatMap(({ y, z }) => [y, z])];
      const views = terms.flatMap(viewsOf).map(view => view.home);
      push(step, [c.home, ...vectors, ...views]);
    },

    /** c ← ⟨A, B⟩. @param flops of one member. */
    inner(c: Draft, a: Draft, b: Draft, flops: bigint): void {
      const step = (place: Place): Step => ({
        kind: 'inner',
        members: membersOf(c),
        c: place(c),
        a: place(a),
        b: place(b),
        flops: flops * BigInt(membersOf(c)),
      });
      push(step, [c.home, a.home, b.home]);
    },

    /** @param outputBytes of what lies in `result`; the first is what is digested, in chunks. */
    finish(
      inputs: readonly InputSlab[],
      result: Buffer,
      outputBytes: readonly number[],
      chunkBytes: number,
    ): Plan {
      const [digested = 0] = outputBytes;
      const digests = buffer((1 + Math.ceil(digested / chunkBytes)) * DIGEST_BYTES);
      const control = buffer(CONTROL_WORDS * WORD_BYTES);
      for (const kept of [digests, control, result, ...slots]) {
        kept.first = 0;
        kept.last = Number.POSITIVE_INFINITY;
      }
      const { byteOffsets, totalBytes } = placeBuffers(buffers, SLOT_ALIGNMENT);
      const places = new Map(buffers.map((home, index) => [home, byteOffsets[index]!]));
      const at: At = home => places.get(home)!;
      const place: Place = ({ home, ...view }) =>
        typeof home === 'number'
          ? { ...view, space: home }
          : { ...view, offset: view.offset + at(home) / elementBytes, space: REGION };
      const placed = steps.map(step => step(place, at));
      return {
        dtype,
        inputs,
        streamed: streamed.map(({ slot, offset, ...slab }) => ({ ...slab, byteOffset: at(slot) + offset })),
        constants: constants.map(({ buffer: home, ...number }) => ({
          offset: at(home) / elementBytes,
          ...number,
        })),
        steps: placed,
        regionBytes: totalBytes,
        result: { byteOffset: at(result), bytes: result.bytes },
        outputBytes,
        control: at(control),
        digests: { byteOffset: at(digests), bytes: digests.bytes },
        flops: placed.reduce((sum, { flops }) => sum + flops, 0n),
      };
    },
  };
}
