import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { createArena, SLOT_ALIGNMENT, type Slot, slotBytes } from '../../../workers/memory/arena.ts';

const PAGE = 65_536;

function allocate(arena: ReturnType<typeof createArena>, bytes: number): Slot {
  const slot = arena.allocate(bytes);
  assert.ok(slot !== undefined, `${bytes} bytes fit`);
  return slot;
}

describe('arena', () => {
  test('slots are aligned, large enough and apart, also those of nothing', () => {
    const arena = createArena(PAGE);
    const slots = [1, 64, 65, 0, 1000, 0].map(bytes => ({ bytes, ...allocate(arena, bytes) }));
    let end = 0;
    for (const { bytes, byteOffset, byteLength } of slots) {
      assert.equal(byteOffset % SLOT_ALIGNMENT, 0);
      assert.ok(byteLength >= Math.max(1, bytes));
      assert.equal(byteLength, slotBytes(bytes));
      assert.ok(byteOffset >= end);
      end = byteOffset + byteLength;
    }
  });

  test('the limit is whole pages, all of them can be used, and not a byte more', () => {
    const arena = createArena(2 * PAGE + 17);
    assert.equal(arena.limitBytes, 2 * PAGE);
    assert.equal(arena.memory.buffer.byteLength, 2 * PAGE);
    const all = allocate(arena, 2 * PAGE);
    assert.equal(arena.usedBytes, 2 * PAGE);
    assert.equal(arena.allocate(1), undefined);
    arena.free(all);
    assert.equal(arena.usedBytes, 0);
    assert.equal(arena.allocate(2 * PAGE + 1), undefined);
  });

  test('freed neighbours join, in whatever order they are freed', () => {
    for (const order of [
      [0, 1, 2],
      [0, 2, 1],
      [1, 0, 2],
      [1, 2, 0],
      [2, 0, 1],
      [2, 1, 0],
    ]) {
      const arena = createArena(PAGE);
      const slots = [PAGE / 4, PAGE / 2, PAGE / 4].map(bytes => allocate(arena, bytes));
      for (const index of order) arena.free(slots[index]!);
      assert.deepEqual(allocate(arena, PAGE), { byteOffset: 0, byteLength: PAGE }, `freed in order ${order}`);
    }
  });

  test('a gap that is large enough is found between slots', () => {
    const arena = createArena(PAGE);
    const [, middle] = [1024, 2048, 1024].map(bytes => allocate(arena, bytes));
    arena.free(middle!);
    assert.equal(allocate(arena, 2048).byteOffset, middle!.byteOffset);
  });

  test('freeing twice is a bug, and changes nothing', () => {
    const arena = createArena(PAGE);
    const [a, b] = [allocate(arena, 100), allocate(arena, 100)];
    arena.free(a);
    const used = arena.usedBytes;
    assert.throws(() => arena.free(a), /freed once/);
    arena.free(b);
    assert.throws(() => arena.free(b), /freed once/);
    assert.equal(arena.usedBytes, used - b.byteLength);
  });

  test('nothing overlaps and nothing is lost over any history', () => {
    const steps = fc.array(fc.oneof(fc.record({ allocate: fc.nat(9000) }), fc.record({ free: fc.nat(20) })), {
      maxLength: 60,
    });
    fc.assert(
      fc.property(steps, history => {
        const arena = createArena(PAGE);
        const held: Slot[] = [];
        for (const step of history) {
          if ('free' in step) {
            const [slot] = held.splice(step.free, 1);
            if (slot !== undefined) arena.free(slot);
            continue;
          }
          const slot = arena.allocate(step.allocate);
          const isApart = held.every(
            ({ byteOffset, byteLength }) =>
              slot === undefined ||
              byteOffset + byteLength <= slot.byteOffset ||
              slot.byteOffset + slot.byteLength <= byteOffset,
          );
          assert.ok(isApart);
          if (slot !== undefined) held.push(slot);
          assert.equal(
            arena.usedBytes,
            held.reduce((sum, { byteLength }) => sum + byteLength, 0),
          );
        }
        for (const slot of held) arena.free(slot);
        assert.ok(arena.allocate(PAGE) !== undefined, 'all of it is one gap again');
      }),
      { numRuns: 200 },
    );
  });
});
