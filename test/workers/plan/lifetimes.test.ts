import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type Lifetime, placeBuffers } from '../../../workers/plan/lifetimes.ts';

const ALIGNMENT = 64;

const lifetime = fc
  .record({
    bytes: fc.nat(500),
    first: fc.nat(10),
    length: fc.constantFrom(0, 1, 2, 5, Number.POSITIVE_INFINITY),
  })
  .map(({ bytes, first, length }): Lifetime => ({ bytes, first, last: first + length }));

describe('places of buffers', () => {
  test('buffers alive at one time never share a byte, all are aligned, and the total holds them', () => {
    fc.assert(
      fc.property(fc.array(lifetime, { maxLength: 30 }), lifetimes => {
        const { byteOffsets, totalBytes } = placeBuffers(lifetimes, ALIGNMENT);
        for (const [i, a] of lifetimes.entries()) {
          const start = byteOffsets[i]!;
          assert.equal(start % ALIGNMENT, 0);
          assert.ok(start + a.bytes <= totalBytes);
          for (const [j, b] of lifetimes.entries()) {
            if (i === j || a.first > b.last || b.first > a.last || a.bytes === 0 || b.bytes === 0) continue;
            const other = byteOffsets[j]!;
            assert.ok(start + a.bytes <= other || other + b.bytes <= start, `${i} and ${j} overlap`);
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  test('buffers that follow each other lie in the same place', () => {
    const chain = Array.from({ length: 100 }, (_, i) => ({ bytes: 64, first: i, last: i + 1 }));
    assert.equal(placeBuffers(chain, ALIGNMENT).totalBytes, 128);
  });

  test('a buffer slips into the gap that a dead one left', () => {
    const { byteOffsets, totalBytes } = placeBuffers(
      [
        { bytes: 64, first: 0, last: 9 },
        { bytes: 128, first: 0, last: 1 },
        { bytes: 64, first: 0, last: 9 },
        { bytes: 100, first: 2, last: 3 },
      ],
      ALIGNMENT,
    );
    assert.deepEqual(byteOffsets, [0, 64, 192, 64]);
    assert.equal(totalBytes, 256);
  });

  test('thousands of buffers are placed in no time', () => {
    const lifetimes = Array.from({ length: 5000 }, (_, i) => ({ bytes: 640, first: i, last: i + 3 }));
    const start = performance.now();
    placeBuffers(lifetimes, ALIGNMENT);
    assert.ok(performance.now() - start < 500);
  });
});
