// Which BLAS libraries are looked for, and where. All have the C interface with 32-bit integers.

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

interface BlasLibrary {
  readonly label: string;
  readonly files: readonly string[];
  /** Holds the library to one thread, since we run one in each of ours; absent where none is started. */
  readonly setThreads?: { readonly prototype: string; readonly value: number };
}

/** In order of preference: BLIS first, because its serial build starts no threads at all. */
export const BLAS_LIBRARIES: readonly BlasLibrary[] = [
  {
    label: 'BLIS',
    files: ['libblis.so.4', 'libblis.so.3', 'libblis.4.dylib'],
    setThreads: { prototype: 'void bli_thread_set_num_threads(int64_t threads)', value: 1 },
  },
  {
    label: 'OpenBLAS',
    files: ['libopenblas.so.0', 'libopenblas.0.dylib'],
    setThreads: { prototype: 'void openblas_set_num_threads(int threads)', value: 1 },
  },
  {
    label: 'MKL',
    files: ['libmkl_rt.so.2', 'libmkl_rt.so.1', 'libmkl_rt.so'],
    // MKL_THREADING_SEQUENTIAL, which also needs no OpenMP: without Intel's, the usual layer ends the process.
    setThreads: { prototype: 'int MKL_Set_Threading_Layer(int layer)', value: 1 },
  },
  {
    label: 'Accelerate',
    files: ['/System/Library/Frameworks/Accelerate.framework/Accelerate'],
    // BLAS_THREADING_SINGLE_THREADED; from macOS 15 on.
    setThreads: { prototype: 'int BLASSetThreading(int threading)', value: 1 },
  },
];

export interface LibraryPath {
  readonly label: string;
  /** A path, or a bare name for the system's loader. */
  readonly path: string;
}

/**
 * Where to try each library: in `directories` and one level below them (Debian keeps `blis-serial/libblis.so.4`),
 * serial builds first, then wherever the system's loader looks. Directories that do not exist are passed over.
 */
export function libraryPaths(directories: readonly string[]): LibraryPath[] {
  const places = directories.flatMap(withSubdirectories);
  return BLAS_LIBRARIES.flatMap(({ label, files }) =>
    files.flatMap(file => {
      const found = places.map(place => join(place, file)).filter(path => existsSync(path));
      return [...found, file].map(path => ({ label, path }));
    }),
  );
}

function withSubdirectories(directory: string): string[] {
  if (!existsSync(directory)) return [];
  const below = readdirSync(directory, { withFileTypes: true })
    .filter(entry => entry.isDirectory())
    .map(entry => join(directory, entry.name))
    .sort((a, b) => Number(b.endsWith('serial')) - Number(a.endsWith('serial')) || (a < b ? -1 : 1));
  return [directory, ...below];
}
