// What the kernels are meant to reach, as ratios of figures from one run: absolute figures move from machine to machine.

import { type Figure, square } from './figures.ts';
import { EVERYTHING, type Selection } from './selection.ts';

interface Claim {
  readonly kernel: string;
  /** The peer of the same run. */
  readonly peer: string;
  readonly dtype: Figure['dtype'];
  /** Sides of square products. */
  readonly sizes: readonly number[];
  /** One where nothing is said. */
  readonly threads?: number;
  readonly peerThreads?: number;
  readonly atLeast: number;
}

const LARGE = [1024, 2048];

const CLAIMS: readonly Claim[] = (['float64', 'float32'] as const).flatMap(dtype => {
  const relaxed = dtype === 'float64' ? 0.44 : 0.42;
  return [
    { kernel: 'native', peer: 'blas', dtype, sizes: [256], atLeast: 0.8 },
    { kernel: 'native', peer: 'blas', dtype, sizes: [...LARGE, 4096], atLeast: 0.95 },
    { kernel: 'wasm relaxed', peer: 'blas', dtype, sizes: LARGE, atLeast: relaxed },
    { kernel: 'wasm strict', peer: 'blas', dtype, sizes: LARGE, atLeast: 0.36 },
    dtype === 'float64'
      ? { kernel: 'wasm relaxed', peer: 'numpy-ts', dtype, sizes: LARGE, atLeast: 1.9 }
      : { kernel: 'wasm relaxed', peer: 'tfjs-wasm', dtype, sizes: LARGE, atLeast: 1.8 },
    ...['native', 'wasm relaxed', 'wasm strict'].map(kernel => {
      return { kernel, peer: kernel, dtype, sizes: LARGE, threads: 2, atLeast: 1.9 };
    }),
    { kernel: 'block, A·H', peer: 'native', atLeast: 0.93, ...inBlocks(dtype) },
    { kernel: "block, A'·G", peer: 'block, A·H', atLeast: 0.95, ...inBlocks(dtype) },
    { kernel: 'block, A·H', peer: "block, A'·G", atLeast: 0.95, ...inBlocks(dtype) },
    // At most 3 % of the time of what it verifies.
    { kernel: 'verification', peer: 'block, A·H', atLeast: 33, ...inBlocks(dtype) },
  ];
});

function inBlocks(dtype: Figure['dtype']) {
  return { dtype, sizes: [2048], threads: 2, peerThreads: 2 };
}

/**
 * A row for every claim of the selection: who against whom, the ratio, what was wanted, and whether it holds. One
 * whose peer is not among the figures is `not measured`, which is not the same as holding.
 */
export function judge(figures: readonly Figure[], selection: Selection = EVERYTHING): string[][] {
  const selected = CLAIMS.filter(({ dtype }) => selection.dtypes.includes(dtype));
  return selected.flatMap(({ kernel, peer, dtype, sizes, threads = 1, peerThreads = 1, atLeast }) => {
    const measurable = sizes.filter(size => selection.hasShape(square(size)));
    return measurable.map(size => {
      const ours = find(figures, kernel, dtype, size, threads);
      const theirs = find(figures, peer, dtype, size, peerThreads);
      const [ratio, verdict] = verdictOf(ours, theirs, atLeast);
      const subject = `${kernel}, ${threads}`;
      const against = `${peer}, ${peerThreads}`;
      return [subject, against, dtype, `${size}³`, ratio, atLeast.toFixed(2), verdict];
    });
  });
}

function verdictOf(ours: number | undefined, theirs: number | undefined, atLeast: number): [string, string] {
  if (ours === undefined || theirs === undefined) return ['', 'not measured'];
  const ratio = ours / theirs;
  return [ratio.toFixed(2), ratio >= atLeast ? 'holds' : 'falls short'];
}

function find(figures: readonly Figure[], kernel: string, dtype: string, size: number, threads: number) {
  return figures.find(
    f =>
      f.kernel === kernel &&
      f.dtype === dtype &&
      f.threads === threads &&
      [f.m, f.k, f.n].every(side => side === size),
  )?.gflops;
}
