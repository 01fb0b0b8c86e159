// Blocks through the real executor and threads, with damage done between the product and its test.

import { errorCode } from '../../shared/errors.ts';
import { DTYPES, type Dtype, floatArray } from '../../shared/math/dtype.ts';
import { takeFingerprints } from '../../workers/execute/fingerprints.ts';
import type { CombineTask, GuardedRange } from '../../workers/execute/task.ts';
import type { Threads } from '../../workers/execute/threads.ts';
import { startThreads } from '../../workers/execute/threads.ts';
import { selectKernel } from '../../workers/kernels/select.ts';
import { createKernel, scratchBytes } from '../../workers/kernels/source.ts';
import { FINGERPRINT_BYTES } from '../../workers/kernels/vectors.ts';
import { createArena } from '../../workers/memory/arena.ts';
import { seededRandom } from '../workers/kernels/fixture.ts';
import { libraryDirectories } from '../workers/kernels/sources.ts';
import { type Machine, prepare } from '../workers/machine.ts';
import { type Block, below, drawBlock } from './blocks.ts';
import { DAMAGES, type Damage, recompute } from './damage.ts';
import { elementsOf, holdsSpecials, isBeyondBound, rowBounds, writeElements } from './judge.ts';

const ROOM_BYTES = 2 ** 17;
const THREADS = 2;
/** A form of a block has no more. */
const OPERANDS_MAX = 4;

/** What one kind of damage came to. */
export interface Tally {
  readonly damage: Damage;
  /** Flips that left the result within its bound, and those beyond. */
  harmless: number;
  harmful: number;
  /** What may not be: blocks damaged beyond the bound that passed. Their labels. */
  readonly escaped: string[];
}

export interface Campaign {
  /** The kernel that the blocks are computed with. */
  readonly kernel: string;
  /** Runs clean blocks. @returns labels of those that failed the test */
  findFalseAlarms(blocks: number, seed: number): Promise<string[]>;
  /** Damages `flips` blocks, one bit each. */
  damage(damage: Damage, flips: number, seed: number): Promise<Tally>;
  /** Flips a bit of an operand between its loading and the end of its block. @returns labels of blocks that passed */
  changeOperands(flips: number, seed: number): Promise<string[]>;
  close(): Promise<void>;
}

/** With the fastest kernel of this machine for every other block, and the reproducible one for the rest. */
export function startCampaign(): Campaign {
  const choice = selectKernel('auto', libraryDirectories());
  const faults: Error[] = [];
  const arena = createArena(ROOM_BYTES + (THREADS + 1) * 8 * 2 ** 20);
  const threads = startThreads(arena, choice, THREADS, error => void faults.push(error));
  const room = arena.allocate(ROOM_BYTES)!;
  const scratch = arena.allocate(scratchBytes(choice.reproducible.name))!;
  const prints = arena.allocate(OPERANDS_MAX * FINGERPRINT_BYTES)!;
  const kernel = createKernel(choice.reproducible, arena.memory, scratch);
  const machine: Machine = { arena, memory: arena.memory, threads, faults, room };
  const elements = (dtype: Dtype) =>
    floatArray(dtype, arena.memory.buffer, 0, arena.memory.buffer.byteLength / DTYPES[dtype].bytes);

  /** Whether the test finds fault with a block. `tamper` hears of the step when it has been computed. */
  async function fails(block: Block, seed: number, tamper: (task: CombineTask) => void): Promise<boolean> {
    const tampering: Threads = {
      count: threads.count,
      busyCount: 0,
      async run(task, tiles, control) {
        const found = await threads.run(task, tiles, control);
        if (task.kind === 'combine' && task.terms.some(term => term.kind === 'product')) tamper(task);
        return found;
      },
      close: () => threads.close(),
    };
    const { reproducible } = block;
    const { execution } = prepare(machine, block.program, block.inputs, {
      reproducible,
      seed,
      threads: tampering,
    });
    try {
      await execution.run();
      return false;
    } catch (error) {
      if (errorCode(error) === 'verification-failed') return true;
      throw error;
    }
  }

  /** Whether a bit that flips in a slab, before or after the product is made, goes unnoticed. */
  async function passesChanged(block: Block, random: () => number): Promise<boolean> {
    const guards: GuardedRange[] = [];
    let isFlipped = false;
    const flip = () => {
      // Once: a second step might right it again.
      if (isFlipped) return;
      isFlipped = true;
      const { byteOffset } = guards[below(guards.length, random)]!;
      // The first element is one of every slab.
      const bit = below(8 * DTYPES[block.program.dtype].bytes, random);
      new Uint8Array(arena.memory.buffer)[byteOffset + (bit >> 3)]! ^= 1 << (bit & 7);
    };
    const moment = below(2, random);
    const changing: Threads = {
      count: threads.count,
      busyCount: 0,
      async run(task, tiles, control) {
        if (task.kind === 'combine' && moment === 0) flip();
        const found = await threads.run(task, tiles, control);
        if (task.kind === 'combine' && moment === 1) flip();
        return found;
      },
      close: () => threads.close(),
    };
    const { execution } = prepare(machine, block.program, block.inputs, {
      reproducible: block.reproducible,
      threads: changing,
      guards({ inputs, dtype }, offsets) {
        for (const [index, { elements: count }] of inputs.entries())
          guards.push({
            byteOffset: offsets[index]!,
            byteLength: Math.ceil((count * DTYPES[dtype].bytes) / 16) * 16,
            prints: prints.byteOffset + index * FINGERPRINT_BYTES,
          });
        return guards;
      },
    });
    for (const guard of guards)
      await takeFingerprints((task, tiles) => execution.runTask(task, tiles), guard);
    try {
      await execution.run();
      return true;
    } catch (error) {
      if (errorCode(error) === 'unavailable') return false;
      throw error;
    }
  }

  async function strike(damage: Damage, seed: number, testSeed: number) {
    const random = seededRandom(seed);
    const block = drawBlock(random);
    const damageSeed = Math.floor(random() * 2 ** 30);
    let isHarmful = false;
    const found = await fails(block, testSeed, task => {
      const data = elements(task.dtype);
      DAMAGES[damage]({ task, data, kernel, random: seededRandom(damageSeed) });
      const damaged = elementsOf(task, data);
      recompute({ task, data, kernel });
      const right = elementsOf(task, data);
      isHarmful = isBeyondBound(
        right,
        damaged,
        rowBounds(task, data),
        task.c.cols,
        holdsSpecials(task, data),
      );
      writeElements(task, data, damaged);
    });
    return { block, found, isHarmful };
  }

  return {
    kernel: choice.reason,
    async findFalseAlarms(blocks, seed) {
      const alarms: string[] = [];
      for (let index = 0; index < blocks; index++) {
        const block = drawBlock(seededRandom(seed + index));
        if (await fails(block, seed + index, () => {})) alarms.push(`${block.label}, seed ${seed + index}`);
      }
      return alarms;
    },
    async damage(damage, flips, seed) {
      const tally: Tally = { damage, harmless: 0, harmful: 0, escaped: [] };
      for (let index = 0; index < flips; index++) {
        const { block, found, isHarmful } = await strike(damage, seed + index, seed + index);
        tally[isHarmful ? 'harmful' : 'harmless'] += 1;
        if (isHarmful && !found) tally.escaped.push(`${block.label}, seed ${seed + index}`);
      }
      return tally;
    },
    async changeOperands(flips, seed) {
      const passed: string[] = [];
      for (let index = 0; index < flips; index++) {
        const random = seededRandom(seed + index);
        const block = drawBlock(random);
        if (await passesChanged(block, random)) passed.push(`${block.label}, seed ${seed + index}`);
      }
      return passed;
    },
    close: () => threads.close(),
  };
}
