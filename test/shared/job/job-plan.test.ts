import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { planJob } from '../../../shared/job/job-plan.ts';
import { array, shapeOnly, specOf } from './requests.ts';

const A = array([3, 4]);
const W = array([4, 2]);

describe('the plan of a job', () => {
  test('tells the result’s shape, order and bytes for every operation', () => {
    const jvp = (dims: number[]) =>
      planJob(specOf({ operation: 'jvp', operands: { A }, direction: array(dims) }));
    const result = (plan: ReturnType<typeof planJob>) => plan.result;
    assert.deepEqual(result(planJob(specOf({ operation: 'value', operands: { A, W } }))), {
      shape: [3, 2],
      dtype: 'float64',
      order: 'C',
      dataBytes: 48,
    });
    assert.deepEqual(result(jvp([4, 2])).shape, [3, 2]);
    assert.deepEqual(result(jvp([7, 4, 2])).shape, [7, 3, 2]);
    assert.deepEqual(result(jvp([0, 4, 2])), {
      shape: [0, 3, 2],
      dtype: 'float64',
      order: 'C',
      dataBytes: 0,
    });
    const vjp = planJob(
      specOf({ operation: 'vjp', operands: { A }, cotangent: array([3, 2]), dtype: 'float32' }),
    );
    assert.deepEqual(result(vjp), { shape: [4, 2], dtype: 'float32', order: 'C', dataBytes: 32 });
    const jacobian = specOf({ operation: 'jacobian', operands: { A, W: shapeOnly(4, 2) }, columns: [1, 6] });
    assert.deepEqual(result(planJob(jacobian)), {
      shape: [6, 5],
      dtype: 'float64',
      order: 'F',
      dataBytes: 240,
    });
    assert.deepEqual(result(planJob(specOf({ operation: 'check', operands: { A, W } }))), {
      shape: null,
      dtype: null,
      order: null,
      dataBytes: null,
    });
  });

  test('tells the shapes of all names and of F, and the flops', () => {
    const plan = planJob(specOf({ operation: 'value', operands: { A, W } }));
    assert.deepEqual(plan.shapes, { A: [3, 4], W: [4, 2], F: [3, 2] });
    assert.equal(plan.flops, 48n);
    assert.equal(plan.blocksTotal, 1);
    assert.equal(plan.blockFlops(0), 48n);
    assert.ok(plan.peakBytes >= 8 * (12 + 8 + 6));
  });

  test('tells the derivative, and derives it once', () => {
    const plan = planJob(specOf({ operation: 'jvp', operands: { A }, direction: array([4, 2]) }));
    assert.equal(plan.derivative.differential, 'A*dW');
    assert.equal(plan.derivative, plan.derivative);
  });

  test('reads no more than the outputs need', () => {
    const plan = planJob(specOf({ operation: 'vjp', operands: { A, W }, cotangent: array([3, 2]) }));
    assert.deepEqual(
      plan.derivation.inputs.map(({ name, role }) => [name, role]),
      [
        ['A', 'operand'],
        ['G', 'cotangent'],
      ],
    );
  });

  test('survives the spec’s way through JSON: block 17 is block 17 for ever', () => {
    const spec = specOf({
      operation: 'jvp',
      operands: { A: array([300, 400]) },
      direction: array([70, 400, 20]),
      blockLimits: { bytes: 10_000, flops: '1000000', workingSetBytes: 2 ** 30 },
    });
    const [one, two] = [planJob(spec), planJob(JSON.parse(JSON.stringify(spec)))];
    assert.equal(one.blocksTotal, two.blocksTotal);
    for (let index = 0; index < one.blocksTotal; index++)
      assert.deepEqual(one.block(index), two.block(index));
  });
});
