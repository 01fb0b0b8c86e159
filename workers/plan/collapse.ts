// A stack of products that share a factor is one product: members of a stack that lie one below the other in memory
// are one tall matrix, members side by side one wide matrix. A thousand directions of one column each then cost one
// product of a thousand columns, packed, tiled and verified once. No element is summed in another order.

import type { StackView, Term } from '../execute/task.ts';

/** C ← Σ terms for every member. */
export interface Combination<V extends StackView> {
  readonly c: V;
  readonly terms: readonly Term<V>[];
}

/** The same combination of one tall or wide matrix; undefined where the members do not lie that way. */
export function collapseMembers<V extends StackView>(
  { c, terms }: Combination<V>,
  members: number,
): Combination<V> | undefined {
  return (
    collapse(c, terms, view => joinBelow(view, members), 'a') ??
    collapse(c, terms, view => beside(view, members), 'b')
  );
}

type Join<V> = (view: V) => V | undefined;

/** Joins C, every matrix, and of every product the factor `joined`; the other must be shared by all members. */
function collapse<V extends StackView>(
  c: V,
  terms: readonly Term<V>[],
  join: Join<V>,
  joined: 'a' | 'b',
): Combination<V> | undefined {
  const result = join(c);
  const collapsed = terms.map(term => collapseTerm(term, join, joined));
  if (result === undefined || collapsed.includes(undefined)) return undefined;
  return { c: result, terms: collapsed.filter(term => term !== undefined) };
}

function collapseTerm<V extends StackView>(
  term: Term<V>,
  join: Join<V>,
  joined: 'a' | 'b',
): Term<V> | undefined {
  switch (term.kind) {
    case 'product': {
      const factor = join(term[joined]);
      const shared = term[joined === 'a' ? 'b' : 'a'];
      return factor !== undefined && shared.memberStride === 0 ? { ...term, [joined]: factor } : undefined;
    }
    case 'matrix': {
      const x = join(term.x);
      const isShared = term.scalar === null || term.scalar.memberStride === 0;
      return x !== undefined && isShared ? { ...term, x } : undefined;
    }
    case 'kron':
      return undefined;
  }
}

/** All members as one matrix of members·rows rows; undefined where they do not lie one below the other. */
export function joinBelow<V extends StackView>(view: V, members: number): V | undefined {
  if (view.memberStride === 0) return undefined;
  const rowStride = view.rows === 1 ? view.memberStride : view.rowStride;
  if (view.memberStride !== view.rows * rowStride) return undefined;
  return { ...view, rows: members * view.rows, rowStride, memberStride: 0 };
}

/** All members as one matrix of members·cols columns. */
function beside<V extends StackView>(view: V, members: number): V | undefined {
  if (view.memberStride === 0) return undefined;
  const colStride = view.cols === 1 ? view.memberStride : view.colStride;
  if (view.memberStride !== view.cols * colStride) return undefined;
  return { ...view, cols: members * view.cols, colStride, memberStride: 0 };
}
