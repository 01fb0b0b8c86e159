// TensorFlow.js on its WebAssembly backend, as a peer in float32. Not a dependency: 66 MB for one figure. Where somebody
// has installed it (README.md of the kernels says how) it is measured, otherwise the benchmark says that it is absent.

import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import type { Shape } from './figures.ts';
import type { Contender } from './measure.ts';

const CORE = '@tensorflow/tfjs-core';
const BACKEND = '@tensorflow/tfjs-backend-wasm';

/** What is used of the two packages, whose own types are absent with them. */
interface Tensor {
  dispose(): void;
}
interface Core {
  setBackend(name: string): Promise<boolean>;
  ones(shape: readonly number[], dtype: 'float32'): Tensor;
  matMul(a: Tensor, b: Tensor): Tensor;
}
interface Backend {
  setWasmPaths(folder: string): void;
  setThreadsCount(count: number): void;
}

/** Makes a contender for one product; undefined where the packages are not installed. */
export async function loadTensorflow(): Promise<((shape: Shape) => Contender) | undefined> {
  const require = createRequire(import.meta.url);
  const folder = findPackage(require);
  if (folder === undefined) return undefined;
  const core = require(CORE) as Core;
  const backend = require(BACKEND) as Backend;
  backend.setWasmPaths(`${folder}/`);
  backend.setThreadsCount(1);
  if (!(await core.setBackend('wasm'))) throw new Error(`${BACKEND} is installed and does not start`);
  return ({ m, k, n }) => {
    const a = core.ones([m, k], 'float32');
    const b = core.ones([k, n], 'float32');
    return { name: 'tfjs-wasm', run: () => core.matMul(a, b).dispose() };
  };
}

/** The folder of the backend's files, if both packages are there. */
function findPackage(require: NodeJS.Require): string | undefined {
  try {
    require.resolve(CORE);
    return dirname(require.resolve(BACKEND));
  } catch {
    return undefined;
  }
}
