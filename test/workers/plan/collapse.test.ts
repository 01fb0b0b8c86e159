import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { StackView, Term } from '../../../workers/execute/task.ts';
import { collapseMembers } from '../../../workers/plan/collapse.ts';

/** A C-ordered stack; `members` 1 is shared. */
function stack(rows: number, cols: number, isStack = true): StackView {
  return { rows, cols, offset: 0, rowStride: cols, colStride: 1, memberStride: isStack ? rows * cols : 0 };
}

function product(a: StackView, b: StackView): Term<StackView> {
  return { kind: 'product', alpha: 2, a, b };
}

function plus(x: StackView, scalar: StackView | null = null): Term<StackView> {
  return { kind: 'matrix', coefficient: 1, scalar, x };
}

describe('members of a stack', () => {
  test('that lie one below the other, times one matrix, are one tall product', () => {
    const collapsed = collapseMembers(
      { c: stack(3, 4), terms: [product(stack(3, 5), stack(5, 4, false)), plus(stack(3, 4))] },
      10,
    );
    assert.deepEqual(collapsed, {
      c: { ...stack(30, 4), memberStride: 0 },
      terms: [
        product({ ...stack(30, 5), memberStride: 0 }, stack(5, 4, false)),
        plus({ ...stack(30, 4), memberStride: 0 }),
      ],
    });
  });

  test('that are single columns behind one matrix are one wide product', () => {
    const collapsed = collapseMembers(
      { c: stack(3, 1), terms: [product(stack(3, 5, false), stack(5, 1))] },
      10,
    );
    const wide = (rows: number): StackView => ({
      rows,
      cols: 10,
      offset: 0,
      rowStride: 1,
      colStride: rows,
      memberStride: 0,
    });
    assert.deepEqual(collapsed, { c: wide(3), terms: [product(stack(3, 5, false), wide(5))] });
  });

  test('of a Fortran-ordered stack are joined where they are single rows or columns', () => {
    const fortran = (rows: number, cols: number): StackView => ({
      rows,
      cols,
      offset: 0,
      rowStride: 10,
      colStride: 10 * rows,
      memberStride: 1,
    });
    const columns = collapseMembers(
      { c: stack(3, 1), terms: [product(stack(3, 5, false), fortran(5, 1))] },
      10,
    );
    assert.ok(columns?.terms[0]?.kind === 'product');
    assert.deepEqual(columns.terms[0].b, { ...fortran(5, 10), colStride: 1, memberStride: 0 });
    const rows = collapseMembers({ c: stack(1, 4), terms: [product(fortran(1, 5), stack(5, 4, false))] }, 10);
    assert.ok(rows?.terms[0]?.kind === 'product');
    assert.deepEqual(rows.terms[0].a, { ...fortran(1, 5), rows: 10, rowStride: 1, memberStride: 0 });
    assert.equal(
      collapseMembers({ c: stack(3, 2), terms: [product(fortran(3, 5), stack(5, 2, false))] }, 10),
      undefined,
    );
  });

  test('stay apart where both factors differ, a scalar does, or columns do not follow each other', () => {
    const apart: Term<StackView>[] = [
      product(stack(3, 5), stack(5, 4)),
      product(stack(3, 5, false), stack(5, 4)),
      product(stack(3, 5, false), stack(5, 4, false)),
      plus(stack(3, 4), stack(1, 1)),
      plus(stack(3, 4, false)),
      { kind: 'kron', coefficient: 1, swap: false, firstColumn: 0, left: IDENTITY, right: IDENTITY },
    ];
    for (const term of apart)
      assert.equal(collapseMembers({ c: stack(3, 4), terms: [plus(stack(3, 4)), term] }, 10), undefined);
  });
});

const IDENTITY = { rows: 2, cols: 2, values: null };
