// Blocks through the real executor and threads, with damage done between the product and its test.

import { errorCode } from '../../shared/errors.ts';
import { DTYPES, type Dtype, floatArray } from '../../shared/math/dtype.ts';
import type { CombineTask } from '../../workers/execute/task.ts';
import type { Threads } from '../../workers/execute/threads.ts';
import { startThreads } from '../../workers/execute/threads.ts';
import { selectKernel } from '../../workers/kernels/select.ts';
import { createKernel, scratchBytes } from '../../workers/kernels/source.ts';
import { createArena } from '../../workers/memory/arena.ts';
import { seededRandom } from '../workers/kernels/fixture.ts';
import { libraryDirectories } from '../workers/kernels/sources.ts';
import { type Machine, prepare } from '../workers/machine.ts';
import { type Block, drawBlock } from './blocks.ts';
import { DAMAGES, type Damage, recompute } from './damage.ts';
import { elementsOf, holdsSpecials, judge, rowBounds, type Verdict, writeElements } from './judge.ts';

const ROOM_BYTES = 2 ** 17;
const THREADS = 2;
/** A fault that is found by chance must be found by one of so many seeds: each misses with probability 1/2 at most. */
const SEEDS = 40;

/** What one kind of damage came to. */
export interface Tally {
  readonly damage: Damage;
  /** Flips that left the result within its bound, and those beyond. */
  harmless: number;
  harmful: number;
  /** Harmful ones that the first seed did not find. */
  escaped: number;
  /** What may not be: a certain find that was missed, or one that no seed finds. Labels of the blocks. */
  readonly missed: string[];
}

export interface Campaign {
  /** The kernel that the blocks are computed with. */
  readonly kernel: string;
  /** Runs clean blocks. @returns labels of those that failed the test */
  findFalseAlarms(blocks: number, seed: number): Promise<string[]>;
  /** Damages `flips` blocks, one bit each. */
  damage(damage: Damage, flips: number, seed: number): Promise<Tally>;
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

  async function strike(damage: Damage, seed: number, testSeed: number) {
    const random = seededRandom(seed);
    const block = drawBlock(random);
    const damageSeed = Math.floor(random() * 2 ** 30);
    let verdict: Verdict = 'within the bound';
    const found = await fails(block, testSeed, task => {
      const data = elements(task.dtype);
      DAMAGES[damage]({ task, data, kernel, random: seededRandom(damageSeed) });
      const damaged = elementsOf(task, data);
      recompute({ task, data, kernel });
      verdict = judge(
        elementsOf(task, data),
        damaged,
        rowBounds(task, data),
        task.c.cols,
        holdsSpecials(task, data),
      );
      writeElements(task, data, damaged);
    });
    return { block, found, verdict: verdict as Verdict }; // the closure has assigned it
  }

  async function findsWithSomeSeed(damage: Damage, seed: number): Promise<boolean> {
    for (let testSeed = 2; testSeed < 2 + SEEDS; testSeed++) {
      if ((await strike(damage, seed, 7919 * testSeed)).found) return true;
    }
    return false;
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
      const tally: Tally = { damage, harmless: 0, harmful: 0, escaped: 0, missed: [] };
      for (let index = 0; index < flips; index++) {
        const { block, found, verdict } = await strike(damage, seed + index, seed + index);
        if (verdict === 'within the bound') {
          tally.harmless += 1;
          continue;
        }
        tally.harmful += 1;
        if (found) continue;
        tally.escaped += 1;
        const isCertain = verdict === 'found for certain';
        if (isCertain || !(await findsWithSomeSeed(damage, seed + index)))
          tally.missed.push(`${block.label}, seed ${seed + index}`);
      }
      return tally;
    },
    close: () => threads.close(),
  };
}
