// Blocks partition the result exactly, follow from the spec alone, and respect every limit, in exact arithmetic.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type Cut, cutBlocks } from '../../../shared/job/cut.ts';
import { type Derivation, deriveJob, resultShape } from '../../../shared/job/derivation.ts';
import { planJob } from '../../../shared/job/job-plan.ts';
import { JOB_BLOCKS_MAX } from '../../../shared/job/limits.ts';
import type { BlockRange } from '../../../shared/job/outcome.ts';
import type { BlockLimits } from '../../../shared/job/spec.ts';
import { array, shapeOnly, specOf, type Wanted } from './requests.ts';

const ROOMY: BlockLimits = { bytes: 2 ** 26, flops: String(4 * 10 ** 10), workingSetBytes: 1.5 * 2 ** 30 };

function cut(wanted: Wanted): { cut: Cut; derivation: Derivation } {
  const spec = specOf({ blockLimits: ROOMY, ...wanted });
  const derivation = deriveJob(spec);
  return { cut: cutBlocks(spec, derivation), derivation };
}

function ranges({ cut: { blocksTotal, block } }: { cut: Cut }): BlockRange[] {
  return Array.from({ length: blocksTotal }, (_, index) => block(index));
}

/** Elements of the result in its order, as intervals of element numbers, one a block. */
function intervalOf({ members, rows, columns }: BlockRange, derivation: Derivation): [number, number] {
  const shape = resultShape(derivation);
  const [first] = derivation.columns;
  const isColumns = derivation.order === 'F';
  const perMember = shape.rows * shape.cols;
  const perLine = isColumns ? shape.rows : shape.cols;
  const lines = isColumns ? columns?.map(column => column - first) : rows;
  const [start, stop] = members ?? [0, 1];
  if (lines === undefined) return [start * perMember, stop * perMember];
  assert.equal(stop - start, 1, 'lines are of one member');
  return [start * perMember + lines[0]! * perLine, start * perMember + lines[1]! * perLine];
}

/** Asserts that the blocks, in order, are the elements of the result, each once. */
function assertPartition(made: { cut: Cut; derivation: Derivation }): void {
  const { rows, cols } = resultShape(made.derivation);
  let next = 0;
  for (const range of ranges(made)) {
    const [start, stop] = intervalOf(range, made.derivation);
    assert.equal(start, next, JSON.stringify(range));
    assert.ok(stop >= start);
    next = stop;
  }
  assert.equal(next, rows * cols * (made.derivation.members ?? 1));
}

const side = fc.constantFrom(0, 1, 2, 3, 17, 100, 255);
const tight = fc.record({
  bytes: fc.constantFrom(1, 800, 5000, 100_000),
  flops: fc.constantFrom('1', '1000', '1000000'),
  workingSetBytes: fc.constant(2 ** 30),
});

describe('blocks', () => {
  test('partition the result in the order of its bytes, for every operation, shape, stack and limit', () => {
    fc.assert(
      fc.property(
        side,
        side,
        side,
        fc.constantFrom(undefined, 0, 1, 3, 40),
        tight,
        (m, n, p, k, blockLimits) => {
          const stack = k === undefined ? [] : [k];
          const A = array([m, n]);
          const wanted: Wanted[] = [
            { operation: 'value', operands: { A, W: array([n, p]) } },
            { operation: 'jvp', operands: { A, W: shapeOnly(n, p) }, direction: array([...stack, n, p]) },
            { operation: 'vjp', operands: { A, W: shapeOnly(n, p) }, cotangent: array([...stack, m, p]) },
            { operation: 'jacobian', operands: { A, W: shapeOnly(n, p) } },
            {
              operation: 'jacobian',
              operands: { A, W: shapeOnly(n, p) },
              columns: [Math.floor((n * p) / 3), n * p],
            },
          ];
          for (const one of wanted) {
            const made = cut({ ...one, blockLimits });
            assertPartition(made);
            assert.ok(made.cut.blocksTotal <= JOB_BLOCKS_MAX && made.cut.blocksTotal >= 1);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test('stay within bytes and flops where there may be enough of them', () => {
    const blockLimits = { bytes: 100_000, flops: '5000000', workingSetBytes: 2 ** 30 };
    const made = cut({
      operation: 'value',
      operands: { A: array([1000, 100]), W: array([100, 200]) },
      blockLimits,
    });
    for (const [index, { rows }] of ranges(made).entries()) {
      const height = rows![1] - rows![0];
      assert.ok(height * 200 * 8 <= 100_000);
      assert.equal(made.cut.blockFlops(index), BigInt(2 * height * 100 * 200));
    }
    assert.equal(made.cut.flops, BigInt(2 * 1000 * 100 * 200));
    assert.equal(made.cut.blocksTotal, 17);
  });

  test('are nearly equal: the last is no sliver', () => {
    for (const rows of [1001, 1023, 5000]) {
      const made = cut({
        operation: 'value',
        expression: 'W',
        operands: { W: array([rows, 10]) },
        blockLimits: { ...ROOMY, bytes: 80_000 },
      });
      const heights = ranges(made).map(({ rows: range }) => range![1] - range![0]);
      assert.ok(Math.min(...heights) > Math.max(...heights) / 2, heights.join());
    }
  });

  test('of a stack hold whole members where one fits, else rows or columns of one', () => {
    const stack = (bytes: number) =>
      ranges(
        cut({
          operation: 'jvp',
          operands: { A: array([100, 100]), W: shapeOnly(100, 100) },
          direction: array([10, 100, 100]),
          blockLimits: { ...ROOMY, bytes },
        }),
      );
    assert.deepEqual(stack(ROOMY.bytes), [{ members: [0, 10] }]);
    assert.deepEqual(stack(4 * 80_000), [{ members: [0, 4] }, { members: [4, 8] }, { members: [8, 10] }]);
    assert.deepEqual(stack(40_000).slice(0, 3), [
      { members: [0, 1], rows: [0, 50] },
      { members: [0, 1], rows: [50, 100] },
      { members: [1, 2], rows: [0, 50] },
    ]);
  });

  test('of more members than there may be blocks hold several, however large they are', () => {
    const made = cut({
      operation: 'jvp',
      operands: { A: array([10, 10]), W: shapeOnly(10, 10) },
      direction: array([40_960, 10, 10]),
      blockLimits: { ...ROOMY, bytes: 100 },
    });
    assertPartition(made);
    assert.equal(made.cut.blocksTotal, 13_654, 'of three members each');
  });

  test('of a Jacobian count the columns of the whole, also of a range', () => {
    const made = cut({
      operation: 'jacobian',
      operands: { A: array([3, 4]), W: shapeOnly(4, 5) },
      columns: [7, 19],
      blockLimits: { ...ROOMY, bytes: 15 * 8 * 5 },
    });
    assert.deepEqual(ranges(made), [{ columns: [7, 11] }, { columns: [11, 15] }, { columns: [15, 19] }]);
  });

  test('of a check are one, without a range', () => {
    const made = cut({ operation: 'check', operands: { A: array([3, 4]), W: array([4, 2]) } });
    assert.deepEqual(ranges(made), [{}]);
  });

  test('do not depend on anything but the spec', () => {
    const wanted: Wanted = {
      operation: 'vjp',
      operands: { A: array([900, 70]), W: shapeOnly(70, 30) },
      cotangent: array([900, 30]),
      blockLimits: { ...ROOMY, bytes: 1000 },
    };
    assert.deepEqual(ranges(cut(wanted)), ranges(cut(wanted)));
    const [one, two] = [cut(wanted), cut(wanted)];
    assert.deepEqual(one.cut.block(3), two.cut.block(3), 'asked in whatever order');
  });

  test('that do not exist are a bug to ask for', () => {
    const made = cut({ operation: 'value', operands: { A: array([3, 4]), W: array([4, 2]) } });
    for (const index of [-1, 1, 0.5, Number.NaN])
      assert.throws(() => made.cut.block(index), /block of this index/);
  });
});

describe('limits of a job', () => {
  const refusal = (wanted: Wanted) => {
    let context: unknown;
    assert.throws(
      () => planJob(specOf({ blockLimits: ROOMY, ...wanted })),
      (error: { code?: string; context?: unknown }) => {
        context = error.context;
        return error.code === 'job-too-large';
      },
    );
    return context;
  };

  test('flops are counted exactly, far beyond what a float64 holds', () => {
    const n = 180_001;
    const operands = { A: array([n, n]), W: array([n, n]) };
    assert.deepEqual(
      refusal({ operation: 'value', operands, blockLimits: { ...ROOMY, workingSetBytes: 2 ** 45 } }),
      {
        limit: '10000000000000000',
        requested: String(2n * BigInt(n) ** 3n),
      },
    );
  });

  test('a result beyond a tebibyte is refused by its bytes', () => {
    const side = 2 ** 19;
    assert.deepEqual(
      refusal({ operation: 'value', operands: { A: array([side, 1]), W: array([1, side]) } }),
      { limit: 2 ** 40, requested: String(2 ** 41) },
    );
    assert.deepEqual(
      refusal({
        operation: 'jacobian',
        operands: { A: array([2 ** 16, 2 ** 16]), W: shapeOnly(2 ** 16, 2 ** 16) },
      }),
      { limit: 2 ** 40, requested: String(8n * 2n ** 64n) },
    );
  });

  test('a block that no worker could hold is refused by its working set', () => {
    const context = refusal({
      operation: 'value',
      // A row of the result alone is a gibibyte, and a slab of W 256 of them.
      operands: { A: array([2, 300]), W: array([300, 2 ** 27]) },
    });
    assert.equal((context as { limit: number }).limit, ROOMY.workingSetBytes);
  });

  test('operands that leave no room for sensible blocks are streamed', () => {
    const n = 16_384;
    const limits = { ...ROOMY, workingSetBytes: 192 * 2 ** 20 };
    const operands = { A: array([n, n]), W: shapeOnly(n, 1024) };
    const wanted: Wanted = { operation: 'jvp', operands, direction: array([n, 1024]), blockLimits: limits };
    const { cut: streamed } = cut(wanted);
    assert.equal(streamed.slabLength, 2048);
    assert.ok(streamed.blocksTotal < 20, 'with H in memory they would be 35');
    assert.ok(streamed.peakBytes <= limits.workingSetBytes / 2, 'one is loaded while another computes');
    assert.equal(streamed.flops, cut({ ...wanted, blockLimits: ROOMY }).cut.flops);
    assert.equal(cut({ ...wanted, blockLimits: ROOMY }).cut.slabLength, undefined);
  });

  test('an inner dimension of any length is streamed, in slabs as long as there is room for', () => {
    const k = 2 ** 30;
    const { cut: dot } = cut({ operation: 'value', operands: { A: array([1, k]), W: array([k, 1]) } });
    assert.equal(dot.blocksTotal, 1);
    assert.ok(dot.slabLength! * 2 * 2 * 8 > ROOMY.workingSetBytes / 4);
    assert.equal(dot.slabLength! % 256, 0);
  });

  test('where memory is not what bounds the blocks, nothing is streamed', () => {
    const n = 20_000;
    const operands = { A: array([n, 100]), W: array([100, n]) };
    const { cut: wide } = cut({ operation: 'value', operands });
    assert.ok(wide.blocksTotal > 10);
    assert.equal(wide.slabLength, undefined);
  });

  test('operands of a wider dtype than the computation count with their own width', () => {
    // In float32 the operand is 0.9 of what may be held; as it arrives it is 1.8.
    const operands = (dtype: 'float64' | 'float32') => ({
      W: array([2 ** 14, 2 ** 14], dtype),
      x: array([2 ** 14]),
    });
    const blockLimits = { ...ROOMY, workingSetBytes: Math.floor((2 ** 30 + 2 ** 20) * 1.1) };
    const wanted: Wanted = { operation: 'value', expression: 'W*x', dtype: 'float32', blockLimits };
    const narrow = planJob(specOf({ ...wanted, operands: operands('float32') }));
    assert.equal(narrow.blocksTotal, 1);
    const wide = planJob(specOf({ ...wanted, operands: operands('float64') }));
    assert.ok(wide.blocksTotal > 1, 'rows of W are read apart, so that each fits');
    assert.ok(wide.peakBytes <= blockLimits.workingSetBytes);
  });

  test('huge shapes within the limits are planned at once and exactly', () => {
    const n = 2 ** 32;
    const plan = planJob(
      specOf({ operation: 'value', expression: 'W', operands: { W: array([n, 16]) }, blockLimits: ROOMY }),
    );
    assert.equal(plan.result.dataBytes, n * 16 * 8);
    assert.equal(plan.blocksTotal, 8192);
    assert.deepEqual(plan.block(8191).rows?.[1], n);
    assert.equal(plan.flops, 0n);
  });
});
