// The story of a block over a real store and real threads: right bytes, receipts, and every way it can end early.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { JobStore } from '../../shared/io/job-store.ts';
import { derive } from '../../shared/math/derive.ts';
import { shape } from '../../shared/math/shape.ts';
import { Cancelled } from '../../workers/execute/run-plan.ts';
import type { Task } from '../../workers/execute/task.ts';
import type { ComputeThreads } from '../../workers/execute/threads.ts';
import { runBlock } from '../../workers/run-block.ts';
import { graphOf } from '../shared/math/expressions.ts';
import { elementAt, evaluate, tabulate } from '../support/evaluate.ts';
import { columnsOf, diagonalCopies, integers, product, transposed } from '../support/integers.ts';
import { seededRandom } from './kernels/fixture.ts';
import { sharing } from './machine.ts';
import { createRig, fileOf, putJob, type Rig, ROOMY, readResult, TENANT, upload, workOf } from './rig.ts';

type Job = Awaited<ReturnType<typeof putJob>>;

async function runAll({ deps }: Rig, job: Job): Promise<void> {
  for (let index = 0; index < job.plan.blocksTotal; index++) await runBlock(deps, workOf(job, index));
}

async function flipBit(path: string, position: number): Promise<void> {
  const file = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, position);
  byte[0]! ^= 1;
  await file.write(byte, 0, 1, position);
  await file.close();
}

const plain = (values: Iterable<number>) => Array.from(values, value => value + 0);

/** Threads that damage every product they compute, the first `times` times. */
function faulty({ machine }: Rig, times: number): ComputeThreads {
  let left = times;
  return sharing(machine.threads, async (task, tiles, control) => {
    const found = await machine.threads.run(task, tiles, control);
    if (task.kind === 'combine' && left-- > 0) new Float64Array(machine.memory.buffer)[task.c.offset]! += 1;
    return found;
  });
}

describe('a block', () => {
  const [a, w, h, g] = [integers(13, 7, 1), integers(7, 5, 2), integers(7, 5, 3), integers(13, 5, 4)];

  test('that is brief runs whole in one thread, and a longer one on all of them', async t => {
    const rig = await createRig(t);
    const threads: ComputeThreads = {
      ...rig.machine.threads,
      run(task, tiles, control) {
        if (task.kind === 'combine') throw new Error('a product is shared');
        return rig.machine.threads.run(task, tiles, control);
      },
    };
    for (const side of [200, 210]) {
      const [one, other] = [integers(side, side, 1), integers(side, side, 2)];
      const [A, direction] = [await upload(rig, one), await upload(rig, other)];
      const job = await putJob(rig, { operation: 'jvp', operands: { A }, direction });
      const running = runBlock({ ...rig.deps, threads }, workOf(job, 0));
      if (side > 200) await assert.rejects(running, /a product is shared/);
      else {
        await running;
        assert.deepEqual(plain(await readResult(rig, job)), plain(product(one, other).data));
      }
    }
  });

  test('of every operation has the bytes of the definition, however it is cut', async t => {
    const rig = await createRig(t);
    const [A, H, G] = [await upload(rig, a), await upload(rig, h, { order: 'F' }), await upload(rig, g)];
    const W = { dims: [7, 5] };
    for (const blockLimits of [ROOMY, { ...ROOMY, bytes: 13 * 8 }]) {
      const jvp = await putJob(rig, { operation: 'jvp', operands: { A, W }, direction: H, blockLimits });
      await runAll(rig, jvp);
      assert.deepEqual(plain(await readResult(rig, jvp)), plain(product(a, h).data));

      const vjp = await putJob(rig, { operation: 'vjp', operands: { A, W }, cotangent: G, blockLimits });
      await runAll(rig, vjp);
      assert.deepEqual(plain(await readResult(rig, vjp)), plain(product(transposed(a), g).data));

      const fields = { jacobian: { columns: [3, 30] } };
      const jacobian = await putJob(rig, { operation: 'jacobian', operands: { A, W }, fields, blockLimits });
      await runAll(rig, jacobian);
      const columns = transposed(columnsOf(diagonalCopies(5, a), 3, 30));
      assert.deepEqual(plain(await readResult(rig, jacobian)), plain(columns.data));
      if (blockLimits !== ROOMY) assert.ok(jvp.plan.blocksTotal > 4 && jacobian.plan.blocksTotal > 4);
    }
    assert.equal(rig.usedBytes() % 64, 0);
  });

  test('of stacks, in float32, of quadratic expressions agrees with the oracle', async t => {
    const rig = await createRig(t);
    const stack = [5, 6, 7, 8, 9].map(seed => integers(7, 5, seed));
    const job = await putJob(rig, {
      operation: 'jvp',
      expression: "(W*W')*A'",
      operands: { A: await upload(rig, a), W: await upload(rig, w, { dtype: 'float32' }) },
      direction: await upload(rig, stack),
      fields: { dtype: 'float32' },
      blockLimits: { ...ROOMY, bytes: 2 * 7 * 13 * 4 },
    });
    await runAll(rig, job);
    const shapes = new Map([
      ['A', shape(13, 7)],
      ['W', shape(7, 5)],
    ]);
    const derivative = derive(graphOf("(W*W')*A'", shapes), 'jvp', 'W');
    const wanted = stack.flatMap(dW => evaluate(derivative, { A: a, W: w, dW }).data);
    assert.deepEqual(plain(await readResult(rig, job)), plain(wanted));
    assert.equal(job.plan.blocksTotal, 3);
  });

  test('of zero rows, columns, inner elements or members is stored like any other', async t => {
    const rig = await createRig(t);
    for (const [m, n, p, k] of [
      [0, 3, 2, 1],
      [3, 0, 2, 1],
      [3, 4, 0, 1],
      [3, 4, 2, 0],
    ] as const) {
      const A = await upload(rig, integers(m, n, 1));
      const direction = { dims: [k, n, p], source: { inline: '', dtype: 'float64', order: 'C' } } as const;
      const given = k * n * p === 0 ? direction : await upload(rig, [integers(n, p, 2)]);
      const job = await putJob(rig, {
        operation: 'jvp',
        operands: { A, W: { dims: [n, p] } },
        direction: given,
        fields: { errorBound: 'componentwise' },
      });
      await runAll(rig, job);
      const receipt = await rig.deps.jobs.readReceipt(TENANT, job.spec.id, 0);
      assert.deepEqual(receipt?.errorBound?.componentwise, { absolute: 0, relative: 0 });
      assert.deepEqual(
        plain(await readResult(rig, job)),
        new Array(k * m * p).fill(0),
        `${m} ${n} ${p} ${k}`,
      );
    }
  });

  test('leaves a receipt that says what it is, what it cost and how it was verified', async t => {
    const rig = await createRig(t);
    const [A, direction] = [await upload(rig, a), await upload(rig, h)];
    const job = await putJob(rig, { operation: 'jvp', operands: { A }, direction });
    await runAll(rig, job);
    const receipt = await rig.deps.jobs.readReceipt(TENANT, job.spec.id, 0);
    assert.ok(receipt !== undefined);
    const data = Buffer.from(Float64Array.from(product(a, h).data).buffer);
    const sha256 = createHash('sha256').update(data).digest('hex');
    const { verification, errorBound, seconds, startedAt, finishedAt, ...rest } = receipt;
    assert.deepEqual(rest, {
      index: 0,
      rows: [0, 13],
      bytes: 13 * 5 * 8,
      sha256,
      chunks: [sha256],
      kernel: 'wasm',
      flops: String(2 * 13 * 7 * 5),
    });
    assert.deepEqual([verification.method, verification.rounds, verification.maxError], ['freivalds', 1, 0]);
    assert.ok(verification.bound > 0 && verification.bound < 1e-13);
    assert.equal(verification.seeds.length, 1);
    const { absolute, size } = errorBound!;
    assert.equal(
      size,
      product(a, h).data.reduce((sum, value) => sum + Math.abs(value), 0),
    );
    assert.ok(absolute > 0 && absolute < 1e-13 * size);
    for (const phase of [seconds.load, seconds.compute, seconds.verify, seconds.store]) assert.ok(phase > 0);
    assert.ok(Date.parse(startedAt) <= Date.parse(finishedAt));
    assert.equal(
      await rig.counter('frechet_flops_total', { kernel: 'wasm', dtype: 'float64' }),
      2 * 13 * 7 * 5,
    );
    assert.equal(await rig.counter('frechet_blocks_finished_total', { outcome: 'stored' }), 1);
  });

  test('says how far any of its elements may be off where it was asked, and has the same bytes', async t => {
    const rig = await createRig(t);
    const random = seededRandom(11);
    const matrices = { A: tabulate(40, 31, random), W: tabulate(31, 9, random), V: tabulate(40, 9, random) };
    const operands = Object.fromEntries(
      await Promise.all(
        Object.entries(matrices).map(async ([name, matrix]) => [name, await upload(rig, matrix)] as const),
      ),
    );
    const magnitude = (i: number, j: number) =>
      2 * Math.abs(elementAt(matrices.V, i, j)) +
      Array.from({ length: 31 }, (_, p) =>
        Math.abs(elementAt(matrices.A, i, p) * elementAt(matrices.W, p, j)),
      ).reduce((sum, one) => sum + one);
    for (const blockLimits of [ROOMY, { ...ROOMY, bytes: 9 * 8 * 7 }]) {
      const value = { operation: 'value', expression: 'A*W-2*V', operands, blockLimits };
      const plain = await putJob(rig, value);
      const job = await putJob(rig, { ...value, fields: { errorBound: 'componentwise' } });
      for (const one of [plain, job]) await runAll(rig, one);
      const elements = await readResult(rig, job);
      assert.deepEqual(elements, await readResult(rig, plain));
      assert.equal(job.plan.flops, 2n * plain.plan.flops);
      for (let index = 0; index < job.plan.blocksTotal; index++) {
        const [first, last] = job.plan.block(index).rows!;
        const sizes = tabulate(last - first, 9, (i, j) => magnitude(first + i, j)).data;
        const ratios = sizes.map((size, at) => size / Math.abs(elements[first * 9 + at]!));
        const { errorBound } = (await rig.deps.jobs.readReceipt(TENANT, job.spec.id, index))!;
        const { absolute, relative } = errorBound!.componentwise!;
        // Some forty roundings, each of 2⁻⁵³.
        const unit = 2 ** -53 * Math.max(...sizes);
        assert.ok(31 * unit < absolute && absolute < 62 * unit, `${absolute / unit}`);
        const share = (absolute / Math.max(...sizes)) * Math.max(...ratios);
        assert.ok(Math.abs(relative! - share) < 1e-12 * share);
        const without = (await rig.deps.jobs.readReceipt(TENANT, plain.spec.id, index))!;
        assert.equal(without.errorBound!.componentwise, undefined);
      }
    }
    assert.equal(rig.usedBytes() > 0, true, 'operands stay cached');
  });

  test('computed twice is stored once', async t => {
    const rig = await createRig(t);
    const [A, direction] = [await upload(rig, a), await upload(rig, h)];
    const job = await putJob(rig, { operation: 'jvp', operands: { A }, direction });
    await Promise.all([runBlock(rig.deps, workOf(job, 0)), runBlock(rig.deps, workOf(job, 0))]);
    assert.equal(await rig.counter('frechet_blocks_finished_total', { outcome: 'stored' }), 1);
    assert.equal(await rig.counter('frechet_blocks_finished_total', { outcome: 'present' }), 1);
    assert.deepEqual(plain(await readResult(rig, job)), plain(product(a, h).data));
  });

  test('of a check is a report', async t => {
    const rig = await createRig(t);
    const operands = { A: await upload(rig, a), W: await upload(rig, w) };
    const job = await putJob(rig, { operation: 'check', operands });
    await runAll(rig, job);
    const block = await rig.deps.jobs.openBlock(TENANT, job.spec.id, 0);
    assert.ok(block !== undefined);
    const pieces: Uint8Array[] = [];
    for await (const piece of block.readVerified(0, block.footer.bytes)) pieces.push(piece);
    await block.close();
    const report = JSON.parse(Buffer.concat(pieces).toString());
    assert.deepEqual([report.passed, report.linear], [true, true]);
  });

  test('of a check whose numbers leave the finite range ends with value-not-finite', async t => {
    const rig = await createRig(t);
    const infinite = { ...w, data: w.data.map(() => Number.POSITIVE_INFINITY) };
    const operands = { A: await upload(rig, a), W: await upload(rig, infinite) };
    const job = await putJob(rig, { operation: 'check', operands });
    await assert.rejects(runBlock(rig.deps, workOf(job, 0)), { code: 'value-not-finite' });
  });

  test('of a reproducible job has one NaN, whatever the operands held', async t => {
    const rig = await createRig(t);
    const nan = Buffer.from(new BigUint64Array([0xfff8000000000123n]).buffer).toString('base64');
    const x = { dims: [1, 1], source: { inline: nan, dtype: 'float64', order: 'C' } } as const;
    const job = await putJob(rig, {
      operation: 'value',
      expression: 'W',
      operands: { W: x },
      fields: { reproducible: true },
    });
    await runAll(rig, job);
    const block = await rig.deps.jobs.openBlock(TENANT, job.spec.id, 0);
    const bytes = new Uint8Array(8);
    await block!.read(bytes, 0);
    await block!.close();
    assert.equal(Buffer.from(bytes).readBigUInt64LE(), 0x7ff8000000000000n);
  });
});

describe('a block whose operands are streamed', () => {
  const n = 700;
  const [a, h] = [integers(n, n, 1), integers(n, 300, 2)];
  /** Less than H takes. */
  const blockLimits = { ...ROOMY, workingSetBytes: 1_600_000 };

  async function streamedJob(rig: Rig, fields: Record<string, unknown> = {}) {
    const [A, H] = [await upload(rig, a), await upload(rig, h, { order: 'F' })];
    const job = await putJob(rig, {
      operation: 'jvp',
      operands: { A, W: { dims: [n, 300] } },
      direction: H,
      fields,
      blockLimits,
    });
    assert.equal(job.plan.slabLength, 256);
    return job;
  }

  test('has the bytes of the definition, and takes no more memory than was planned', async t => {
    const rig = await createRig(t);
    const job = await streamedJob(rig);
    let peak = 0;
    for (let index = 0; index < job.plan.blocksTotal; index++) {
      await runBlock(
        rig.deps,
        workOf(job, index, () => (peak = Math.max(peak, rig.usedBytes()))),
      );
    }
    assert.deepEqual(plain(await readResult(rig, job)), plain(product(a, h).data));
    assert.ok(peak > 0 && peak <= blockLimits.workingSetBytes + 64 * 1024, `${peak} bytes`);
    assert.equal(rig.usedBytes(), 0, 'nothing of it stays');
    const receipt = await rig.deps.jobs.readReceipt(TENANT, job.spec.id, 0);
    assert.equal(receipt?.verification.seeds.length, 3, 'each slab was verified');
    assert.equal(receipt?.errorBound?.absolute !== undefined, true);
  });

  test('is the same, bit by bit, as in memory where that was asked for', async t => {
    const rig = await createRig(t);
    const random = seededRandom(3);
    const [A, H] = [await upload(rig, tabulate(50, n, random)), await upload(rig, tabulate(n, 300, random))];
    const results = [];
    for (const limits of [ROOMY, blockLimits]) {
      const job = await putJob(rig, {
        operation: 'jvp',
        operands: { A, W: { dims: [n, 300] } },
        direction: H,
        fields: { reproducible: true },
        blockLimits: limits,
      });
      await runAll(rig, job);
      results.push({ values: await readResult(rig, job), slabLength: job.plan.slabLength });
    }
    assert.deepEqual(
      results.map(({ slabLength }) => slabLength),
      [undefined, 256],
    );
    assert.deepEqual(results[1]!.values, results[0]!.values);
  });

  test('is computed again, from slabs that are loaded again, where it fails the test', async t => {
    const rig = await createRig(t);
    const job = await streamedJob(rig);
    await runBlock({ ...rig.deps, threads: faulty(rig, 1) }, workOf(job, 0));
    for (let index = 1; index < job.plan.blocksTotal; index++) await runBlock(rig.deps, workOf(job, index));
    assert.deepEqual(plain(await readResult(rig, job)), plain(product(a, h).data));
    assert.equal(await rig.counter('frechet_verification_failures_total'), 1);
  });

  test('fails where an operand is damaged or gone, and gives its memory back', async t => {
    for (const [code, spoil] of [
      ['operand-corrupt', (file: string) => flipBit(file, 3_900_000)],
      ['operand-lost', (file: string) => rm(file)],
    ] as const) {
      const rig = await createRig(t);
      const job = await streamedJob(rig);
      const { source } = job.spec.operands.A!;
      assert.ok(source !== undefined && 'array' in source);
      await spoil(await fileOf(rig, source.array));
      // The damage is in a slab of the last block, of which the first were loaded already.
      const last = workOf(job, job.plan.blocksTotal - 1);
      await assert.rejects(runBlock(rig.deps, last), (error: { code?: string }) => error.code === code);
      assert.equal(rig.usedBytes(), 0);
    }
  });

  test('is cancelled between slabs, and gives its memory back', async t => {
    const rig = await createRig(t);
    const job = await streamedJob(rig);
    let work: ReturnType<typeof workOf>;
    const threads = sharing(rig.machine.threads, (task, tiles, control) => {
      if (task.kind === 'combine' && task.terms.length === 2) work.cancel();
      return rig.machine.threads.run(task, tiles, control);
    });
    work = workOf(job, 0);
    await assert.rejects(runBlock({ ...rig.deps, threads }, work), Cancelled);
    assert.equal(rig.usedBytes(), 0);
    assert.equal(await rig.deps.jobs.readReceipt(TENANT, job.spec.id, 0), undefined);
  });

  test('does not count where an operand changes in memory after it was loaded', async t => {
    const rig = await createRig(t);
    const job = await streamedJob(rig);
    let isSpoilt = false;
    const threads = sharing(rig.machine.threads, async (task, tiles, control) => {
      // Of the second slab, after its fingerprints were taken.
      if (task.kind === 'combine' && task.terms[1]?.kind === 'product' && !isSpoilt) {
        isSpoilt = true;
        new Float64Array(rig.machine.memory.buffer)[task.terms[1].a.offset]! += 1;
      }
      return rig.machine.threads.run(task, tiles, control);
    });
    await assert.rejects(
      runBlock({ ...rig.deps, threads }, workOf(job, 0)),
      (error: { code?: string }) => error.code === 'unavailable',
    );
    assert.equal(rig.usedBytes(), 0);
  });
});

describe('a block that fails', () => {
  const [a, h] = [integers(40, 30, 1), integers(30, 20, 2)];

  async function prepared(t: Parameters<typeof createRig>[0]) {
    const rig = await createRig(t);
    const A = await upload(rig, a);
    const job = await putJob(rig, { operation: 'jvp', operands: { A }, direction: await upload(rig, h) });
    return { rig, A, job };
  }

  test('verification once is computed again, and counted', async t => {
    const { rig, job } = await prepared(t);
    await runBlock({ ...rig.deps, threads: faulty(rig, 1) }, workOf(job, 0));
    assert.deepEqual(plain(await readResult(rig, job)), plain(product(a, h).data));
    assert.equal(await rig.counter('frechet_verification_failures_total'), 1);
  });

  test('verification twice is computed by the kernel of reproducible jobs, and its receipt says so', async t => {
    const { rig, job } = await prepared(t);
    const asked: boolean[] = [];
    const threads = faulty(rig, 2);
    const listening = sharing(rig.machine.threads, (task, tiles, control) => {
      if (task.kind === 'combine') asked.push(task.reproducible);
      return threads.run(task, tiles, control);
    });
    const kernels = { fastest: 'native', reproducible: 'wasm' } as const;
    await runBlock({ ...rig.deps, kernels, threads: listening }, workOf(job, 0));
    assert.deepEqual(asked, [false, false, true]);
    assert.equal((await rig.deps.jobs.readReceipt(TENANT, job.spec.id, 0))?.kernel, 'wasm');
    assert.deepEqual(plain(await readResult(rig, job)), plain(product(a, h).data));
    assert.equal(await rig.counter('frechet_verification_failures_total'), 2);
  });

  test('verification three times is never stored', async t => {
    const { rig, job } = await prepared(t);
    const failing = runBlock({ ...rig.deps, threads: faulty(rig, 3) }, workOf(job, 0));
    await assert.rejects(failing, { code: 'verification-failed' });
    assert.equal(await rig.deps.jobs.readReceipt(TENANT, job.spec.id, 0), undefined);
    assert.equal(await rig.counter('frechet_verification_failures_total'), 3);
  });

  test('because an operand changes in memory is not stored, and reads it again the next time', async t => {
    for (const moment of ['before', 'after'] as const) {
      const { rig, job } = await prepared(t);
      const flip = (task: Task) => {
        if (task.kind !== 'combine' || task.terms[0]?.kind !== 'product') return;
        // The last bit of an element: no test of the product would see it.
        new Uint8Array(rig.machine.memory.buffer)[8 * (task.terms[0].a.offset + 7)]! ^= 1;
      };
      const changing = sharing(rig.machine.threads, async (task, tiles, control) => {
        if (moment === 'before') flip(task);
        const found = await rig.deps.threads.run(task, tiles, control);
        if (moment === 'after') flip(task);
        return found;
      });
      await assert.rejects(runBlock({ ...rig.deps, threads: changing }, workOf(job, 0)), {
        code: 'unavailable',
      });
      assert.equal(await rig.deps.jobs.readReceipt(TENANT, job.spec.id, 0), undefined);
      assert.equal(await rig.counter('frechet_verification_failures_total'), 1);
      await runBlock(rig.deps, workOf(job, 0));
      assert.deepEqual(plain(await readResult(rig, job)), plain(product(a, h).data));
      assert.equal(await rig.counter('frechet_array_cache_requests_total', { result: 'miss' }), 4);
    }
  });

  test('for want of its operand gives its memory back', async t => {
    const { rig, A, job } = await prepared(t);
    assert.ok(A.source !== undefined && 'array' in A.source);
    await rig.deps.arrays.delete(TENANT, A.source.array);
    await assert.rejects(runBlock(rig.deps, workOf(job, 0)), { code: 'operand-lost' });
    const whole = await rig.deps.cache.acquire(rig.machine.room.byteLength, []);
    whole.release();
  });

  test('because the store does, gives its memory back', async t => {
    const { rig, job } = await prepared(t);
    class BrokenJobs extends JobStore {
      override putBlock = () => Promise.reject(new Error('disk'));
    }
    const jobs = new BrokenJobs(rig.store);
    await assert.rejects(runBlock({ ...rig.deps, jobs }, workOf(job, 0)), /disk/);
    const whole = await rig.deps.cache.acquire(rig.machine.room.byteLength, []);
    whole.release();
  });
});

describe('a block that is cancelled', () => {
  const [a, h] = [integers(200, 200, 1), integers(200, 200, 2)];

  async function prepared(t: Parameters<typeof createRig>[0]) {
    const rig = await createRig(t);
    const A = await upload(rig, a);
    return {
      rig,
      job: await putJob(rig, { operation: 'jvp', operands: { A }, direction: await upload(rig, h) }),
    };
  }

  test('while it computes stops, stores nothing and gives its memory back', async t => {
    const { rig, job } = await prepared(t);
    const work = workOf(job, 0);
    const threads = sharing(rig.machine.threads, (task, tiles, control) => {
      if (task.kind === 'combine') work.cancel();
      return rig.machine.threads.run(task, tiles, control);
    });
    await assert.rejects(runBlock({ ...rig.deps, threads }, work), Cancelled);
    assert.equal(await rig.deps.jobs.readReceipt(TENANT, job.spec.id, 0), undefined);
    (await rig.deps.cache.acquire(rig.machine.room.byteLength, [])).release();
  });

  test('while it waits for memory leaves at once', async t => {
    const { rig, job } = await prepared(t);
    const all = await rig.deps.cache.acquire(rig.machine.room.byteLength, []);
    const work = workOf(job, 0);
    const running = runBlock(rig.deps, work);
    work.cancel();
    await assert.rejects(running, Cancelled);
    all.release();
  });

  test('after it ended touches no memory: it may be another block’s', async t => {
    const { rig, job } = await prepared(t);
    const work = workOf(job, 0);
    await runBlock(rig.deps, work);
    const all = await rig.deps.cache.acquire(rig.machine.room.byteLength, []);
    const bytes = new Uint8Array(rig.deps.memory.buffer, all.region.byteOffset, all.region.byteLength).fill(
      7,
    );
    work.cancel();
    assert.ok(bytes.every(byte => byte === 7));
    all.release();
  });
});
