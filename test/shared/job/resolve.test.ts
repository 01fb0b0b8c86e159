// Requests become specs, or are refused with the code, the place and the numbers that contract §4 promises.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ErrorCode, FrechetError } from '../../../shared/errors.ts';
import { STACK_MEMBERS_MAX } from '../../../shared/job/limits.ts';
import { array, shapeOnly, specOf, type Wanted } from './requests.ts';

function refused(wanted: Wanted, code: ErrorCode): FrechetError {
  let error: unknown;
  assert.throws(
    () => specOf(wanted),
    thrown => {
      error = thrown;
      return true;
    },
  );
  assert.equal((error as FrechetError).code, code, String(error));
  return error as FrechetError; // it has one of its codes
}

function pointerOf({ context }: FrechetError): string | undefined {
  return context.errors?.[0]?.pointer;
}

const A = array([3, 4]);

describe('a spec', () => {
  test('keeps what the result depends on, with shapes of rank 2 and sources where values are needed', () => {
    const spec = specOf({
      operation: 'jvp',
      operands: { A, W: shapeOnly(4, 2) },
      direction: array([4, 2], 'float32', 'F'),
      fields: {
        labels: { run: '1' },
        priority: 3,
        expiresIn: 60,
        reproducible: true,
        seed: 9,
        verification: { rounds: 3 },
        errorBound: 'componentwise',
      },
    });
    assert.deepEqual(
      { ...spec, blockLimits: null },
      {
        version: 1,
        id: '01JE0000000000000000000000',
        tenant: 'default',
        createdAt: '2026-11-23T00:00:00.000Z',
        operation: 'jvp',
        expression: 'A*W',
        wrt: 'W',
        operands: {
          A: { shape: { rows: 3, cols: 4 }, source: A.source },
          W: { shape: { rows: 4, cols: 2 } },
        },
        direction: { shape: { rows: 4, cols: 2 }, source: array([4, 2], 'float32', 'F').source },
        dtype: 'float64',
        reproducible: true,
        seed: 9,
        verification: { rounds: 3 },
        errorBound: 'componentwise',
        labels: { run: '1' },
        priority: 3,
        expiresIn: 60,
        blockLimits: null,
      },
    );
  });

  test('drops values that the derivative does not depend on', () => {
    const spec = specOf({ operation: 'jvp', operands: { A, W: array([4, 2]) }, direction: array([4, 2]) });
    assert.equal(spec.operands.W?.source, undefined);
    assert.ok(spec.operands.A?.source !== undefined);
    const quadratic = specOf({
      operation: 'vjp',
      expression: "W'*W",
      operands: { W: array([4, 2]) },
      cotangent: array([2, 2]),
    });
    assert.ok(quadratic.operands.W?.source !== undefined);
  });

  test('has the shape of the variable from the direction, or from what the cotangent implies', () => {
    const jvp = specOf({ operation: 'jvp', operands: { A }, direction: array([4, 2]) });
    assert.deepEqual(jvp.operands.W, { shape: { rows: 4, cols: 2 } });
    const vjp = specOf({ operation: 'vjp', operands: { A }, cotangent: array([3, 5]) });
    assert.deepEqual(vjp.operands.W, { shape: { rows: 4, cols: 5 } });
    const stack = specOf({ operation: 'jvp', operands: { A }, direction: array([7, 4, 2]) });
    assert.deepEqual(stack.operands.W, { shape: { rows: 4, cols: 2 } });
    assert.equal(stack.direction?.members, 7);
  });

  test('takes rank 1 for a column and rank 0 for 1×1', () => {
    const spec = specOf({
      operation: 'value',
      expression: 's*A*W',
      operands: { s: array([]), A, W: array([4]) },
    });
    assert.deepEqual(spec.operands.s?.shape, { rows: 1, cols: 1 });
    assert.deepEqual(spec.operands.W?.shape, { rows: 4, cols: 1 });
  });

  test('reads k×n as a stack of k columns where the variable is of rank 1 or unknown rank', () => {
    const stack = specOf({ operation: 'jvp', operands: { A, W: array([4]) }, direction: array([5, 4]) });
    assert.deepEqual([stack.direction?.members, stack.direction?.shape], [5, { rows: 4, cols: 1 }]);
    refused(
      { operation: 'jvp', operands: { A, W: array([4, 1]) }, direction: array([5, 4]) },
      'shape-mismatch',
    );
  });

  test('is the same for the same request, whatever the order of its operands', () => {
    const one = specOf({ operation: 'value', operands: { A, W: array([4, 2]) } });
    const other = specOf({ operation: 'value', operands: { W: array([4, 2]), A } });
    assert.equal(JSON.stringify(one), JSON.stringify(other));
  });

  test('holds the columns of a Jacobian: all, or the range', () => {
    const operands = { A, W: shapeOnly(4, 2) };
    assert.deepEqual(specOf({ operation: 'jacobian', operands }).columns, [0, 8]);
    assert.deepEqual(specOf({ operation: 'jacobian', operands, columns: [3, 3] }).columns, [3, 3]);
  });

  test('of a check may lack direction and cotangent, which are drawn from the seed', () => {
    const spec = specOf({ operation: 'check', operands: { A, W: array([4, 2]) } });
    assert.equal(spec.direction, undefined);
    assert.equal(spec.cotangent, undefined);
    assert.equal(
      specOf({ operation: 'check', operands: { A, W: array([4, 2]) }, direction: shapeOnly(4, 2) }).seed,
      0,
    );
  });
});

describe('a request is refused', () => {
  const operands = { A, W: array([4, 2]) };

  test('schema: fields that the operation needs or does not take', () => {
    const wrong: [Wanted, string][] = [
      [{ operation: 'jvp', operands }, '/direction'],
      [{ operation: 'vjp', operands }, '/cotangent'],
      [{ operation: 'jvp', operands, direction: array([4, 2]), cotangent: array([3, 2]) }, '/cotangent'],
      [{ operation: 'vjp', operands, direction: array([4, 2]), cotangent: array([3, 2]) }, '/direction'],
      [{ operation: 'value', operands, direction: array([4, 2]) }, '/direction'],
      [{ operation: 'jacobian', operands, cotangent: array([3, 2]) }, '/cotangent'],
      [{ operation: 'value', operands, columns: [0, 1] }, '/jacobian'],
    ];
    for (const [wanted, pointer] of wrong) assert.equal(pointerOf(refused(wanted, 'schema')), pointer);
  });

  test('expression-syntax with the column, expression-too-large', () => {
    const error = refused({ operation: 'value', expression: 'A*+W', operands }, 'expression-syntax');
    assert.equal(error.context.column, 3);
    refused({ operation: 'value', expression: 'W'.repeat(5000), operands }, 'expression-too-large');
  });

  test('unknown-symbol: the variable does not occur', () => {
    refused({ operation: 'value', wrt: 'V', operands }, 'unknown-symbol');
  });

  test('operand-missing and operand-unused, with their places', () => {
    assert.equal(
      pointerOf(refused({ operation: 'value', operands: { W: A } }, 'operand-missing')),
      '/operands/A',
    );
    assert.equal(
      pointerOf(refused({ operation: 'jacobian', operands: { A } }, 'operand-missing')),
      '/operands/W',
    );
    const unused = refused({ operation: 'value', operands: { ...operands, B: A } }, 'operand-unused');
    assert.equal(pointerOf(unused), '/operands/B');
  });

  test('operand-value-needed: a shape is not enough', () => {
    const bare = { A: shapeOnly(3, 4), W: shapeOnly(4, 2) };
    const cases: [Wanted, string][] = [
      [{ operation: 'value', operands: { A, W: shapeOnly(4, 2) } }, '/operands/W'],
      [{ operation: 'jvp', operands: bare, direction: array([4, 2]) }, '/operands/A'],
      [{ operation: 'jvp', operands, direction: shapeOnly(4, 2) }, '/direction'],
      [{ operation: 'vjp', operands, cotangent: shapeOnly(3, 2) }, '/cotangent'],
      [{ operation: 'jacobian', expression: 'W*W', operands: { W: shapeOnly(4, 4) } }, '/operands/W'],
      [{ operation: 'check', operands: { A, W: shapeOnly(4, 2) } }, '/operands/W'],
    ];
    for (const [wanted, pointer] of cases)
      assert.equal(pointerOf(refused(wanted, 'operand-value-needed')), pointer);
  });

  test('shape-mismatch, with both shapes', () => {
    const cases: [Wanted, RegExp][] = [
      [{ operation: 'value', operands: { A, W: array([5, 2]) } }, /3×4.*5×2/],
      [{ operation: 'value', operands: { A: array([2, 3, 4]), W: array([4, 2]) } }, /stack/],
      [{ operation: 'jvp', operands, direction: array([4, 3]) }, /4×3.*4×2/],
      [{ operation: 'jvp', operands, direction: array([9, 2, 4]) }, /9×2×4.*4×2/],
      [{ operation: 'vjp', operands, cotangent: array([2, 3]) }, /2×3.*3×2/],
      [{ operation: 'check', operands, direction: array([5, 4, 2]), cotangent: array([6, 3, 2]) }, /5 .*6/],
      [{ operation: 'check', operands, direction: array([0, 4, 2]) }, /no members/],
      [{ operation: 'check', operands, cotangent: array([0, 3, 2]) }, /no members/],
    ];
    for (const [wanted, detail] of cases) assert.match(refused(wanted, 'shape-mismatch').message, detail);
  });

  test('columns-out-of-range, with how many there are', () => {
    for (const columns of [
      [0, 9],
      [5, 4],
      [9, 9],
    ] as const) {
      const error = refused({ operation: 'jacobian', operands, columns }, 'columns-out-of-range');
      assert.equal(error.context.limit, 8);
    }
  });

  test('job-too-large: a stack beyond the limit', () => {
    const { context } = refused(
      { operation: 'jvp', operands, direction: array([STACK_MEMBERS_MAX + 1, 4, 2]) },
      'job-too-large',
    );
    assert.deepEqual(context, { limit: STACK_MEMBERS_MAX, requested: STACK_MEMBERS_MAX + 1 });
    specOf({ operation: 'jvp', operands, direction: array([STACK_MEMBERS_MAX, 4, 2]) });
  });
});
