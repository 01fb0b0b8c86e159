// Everything that goes wrong in production and can be made to: each victim has its own sequence of faults, decided by
// the seed, so that faults of different victims overlap.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../support/random.ts';
import type { FaultyDisk } from './disk-faults.ts';
import type { SmallDisk } from './small-disk.ts';
import { breakRedis, REDIS_FAULTS, type World, wipeRedis } from './world.ts';

/** Longer than the lock of a block, so that another worker takes it over. */
const BEYOND_LOCK_MS = 35_000;

export interface PastFault {
  readonly kind: string;
  /** When it was over, in milliseconds since the epoch. */
  readonly endedAt: number;
}

interface Fault {
  readonly kind: string;
  /** How often it comes, relative to the victim's other faults. */
  readonly weight: number;
  /** Resolves when it is over, soon after `signal` aborts; to false where there was nobody to strike. */
  readonly strike: (random: Random, signal: AbortSignal) => Promise<boolean>;
}

interface Victim {
  readonly faults: readonly Fault[];
  readonly calmMs: readonly [low: number, high: number];
}

/** The volume of the store: it fails, and where it is a small one of our own it is full at times. */
export interface Disks {
  readonly faulty: FaultyDisk;
  readonly small: SmallDisk | undefined;
}

/** Lets faults strike until `signal` aborts; the last ones are over when the promise resolves. */
export async function strikeAll(
  world: World,
  disks: Disks,
  random: Random,
  signal: AbortSignal,
): Promise<PastFault[]> {
  const past: PastFault[] = [];
  const victims = [...rolesOf(world), redisOf(world), storeOf(disks)];
  await Promise.all(victims.map(victim => strike(victim, random.fork(), signal, past)));
  return past;
}

async function strike(
  { faults, calmMs }: Victim,
  random: Random,
  signal: AbortSignal,
  past: PastFault[],
): Promise<void> {
  const lots = faults.flatMap(fault => Array.from({ length: fault.weight }, () => fault));
  for (;;) {
    await sleep(random.between(...calmMs), undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    const fault = random.pick(lots);
    if (await fault.strike(random, signal)) past.push({ kind: fault.kind, endedAt: Date.now() });
  }
}

function rolesOf({ stack }: World): Victim[] {
  const gateway = {
    calmMs: [4_000, 12_000] as const,
    faults: [
      { kind: 'gateway killed', weight: 4, strike: () => kill(() => stack.gateway.pid) },
      { kind: 'gateway stopped', weight: 1, strike: stopFor(() => stack.gateway.pid, [200, 8_000]) },
    ],
  };
  const workers = stack.workers.map(worker => ({
    calmMs: [1_000, 6_000] as const,
    faults: [
      { kind: 'worker killed', weight: 16, strike: () => kill(() => worker.pid) },
      { kind: 'worker stopped', weight: 2, strike: stopFor(() => worker.pid, [200, 8_000]) },
      {
        kind: 'worker stopped beyond its lock',
        weight: 1,
        strike: stopFor(() => worker.pid, [BEYOND_LOCK_MS, BEYOND_LOCK_MS + 5_000]),
      },
    ],
  }));
  return [gateway, ...workers];
}

function redisOf(world: World): Victim {
  const outages = REDIS_FAULTS.map(fault => ({
    kind: `Redis ${fault}`,
    weight: 2,
    strike: async (random: Random) => {
      const mend = await breakRedis(world, fault);
      await sleep(random.between(100, 5_000));
      await mend();
      return true;
    },
  }));
  const wiped = async () => {
    await wipeRedis(world);
    return true;
  };
  return {
    calmMs: [1_000, 6_000],
    faults: [...outages, { kind: 'Redis wiped', weight: 2, strike: wiped }],
  };
}

function storeOf({ faulty, small }: Disks): Victim {
  const errors: Fault = {
    kind: 'I/O errors',
    weight: 1,
    strike: async random => {
      await faulty.fail({ share: random.pick([0.02, 0.2, 1]), code: 'EIO' });
      await sleep(random.between(100, 4_000));
      await faulty.mend();
      return true;
    },
  };
  const full = (disk: SmallDisk): Fault => ({
    kind: 'disk full',
    weight: 1,
    strike: async random => {
      const free = await disk.fill();
      await sleep(random.between(100, 4_000));
      await free();
      return true;
    },
  });
  return { calmMs: [2_000, 8_000], faults: small === undefined ? [errors] : [errors, full(small)] };
}

async function kill(pid: () => number): Promise<boolean> {
  return signalProcess(pid(), 'SIGKILL');
}

function stopFor(pid: () => number, ms: readonly [low: number, high: number]): Fault['strike'] {
  return async (random, signal) => {
    const stopped = pid();
    if (!signalProcess(stopped, 'SIGSTOP')) return false;
    await sleep(random.between(...ms), undefined, { signal }).catch(() => undefined);
    signalProcess(stopped, 'SIGCONT');
    return true;
  };
}

/** @returns false where it died of something else, and its supervisor has not started it again yet */
function signalProcess(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}
