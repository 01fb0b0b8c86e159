// Who may import whom, as one table of rooms and one of packages, and the checks over them.

import type { ImportLine, Source } from './source-tree.ts';

const BASICS = ['shared/errors.ts', 'shared/assert.ts'];
const SHARED_AND_NODE = ['shared/', 'node:'];

interface Room {
  /** A file, or a folder with its slash. The longest that fits a file is its room. */
  readonly room: string;
  /** What its files may import of ours and of Node's; packages have a table of their own. */
  readonly mayImport: readonly string[];
}

/** A room always may import itself, and the basics. */
const ROOMS: readonly Room[] = [
  { room: 'shared/errors.ts', mayImport: [] },
  { room: 'shared/assert.ts', mayImport: [] },
  { room: 'shared/math/', mayImport: [] },
  { room: 'shared/job/', mayImport: ['shared/math/'] },
  { room: 'shared/io/', mayImport: ['shared/job/', 'shared/math/', 'node:'] },

  { room: 'api/', mayImport: SHARED_AND_NODE },
  {
    room: 'api/main.ts',
    mayImport: ['api/', 'deploy/local/redis.ts', ...SHARED_AND_NODE],
  },
  { room: 'api/app.ts', mayImport: ['api/'] },
  // Runs in browsers: nothing of Node, and of ours only what is pure.
  { room: 'api/client/', mayImport: ['shared/math/'] },
  { room: 'api/cli.ts', mayImport: ['api/cli/', ...SHARED_AND_NODE] },
  {
    // Starts a service where none is named, and examines this machine.
    room: 'api/cli/',
    mayImport: [
      'api/client/',
      'deploy/local/services.ts',
      'deploy/local/up.ts',
      'deploy/local/redis.ts',
      'deploy/local/blas.ts',
      'workers/kernels/select.ts',
      ...SHARED_AND_NODE,
    ],
  },
  { room: 'api/deps.ts', mayImport: ['api/', ...SHARED_AND_NODE] },
  {
    room: 'api/routes/',
    mayImport: [
      'api/jobs/',
      'api/batches/',
      'api/openapi/',
      'api/results/',
      'api/http/',
      'api/deps.ts',
      ...SHARED_AND_NODE,
    ],
  },
  {
    room: 'api/jobs/',
    mayImport: ['api/deps.ts', 'api/http/problem.ts', ...SHARED_AND_NODE],
  },
  {
    room: 'api/batches/',
    mayImport: ['api/deps.ts', 'api/jobs/', 'api/http/problem.ts', ...SHARED_AND_NODE],
  },
  {
    room: 'api/openapi/',
    mayImport: ['api/http/', ...SHARED_AND_NODE],
  },
  {
    room: 'api/results/',
    mayImport: ['api/deps.ts', 'api/jobs/', ...SHARED_AND_NODE],
  },
  {
    room: 'api/http/',
    mayImport: ['api/auth/', 'api/deps.ts', ...SHARED_AND_NODE],
  },
  {
    room: 'api/auth/',
    mayImport: ['api/deps.ts', 'api/http/', ...SHARED_AND_NODE],
  },

  { room: 'workers/', mayImport: SHARED_AND_NODE },
  {
    room: 'workers/main.ts',
    mayImport: ['workers/', 'deploy/local/redis.ts', ...SHARED_AND_NODE],
  },
  {
    room: 'workers/plan/',
    mayImport: ['workers/memory/', 'workers/execute/', 'shared/math/'],
  },
  { room: 'workers/memory/', mayImport: ['shared/math/'] },
  {
    room: 'workers/execute/',
    mayImport: [
      'workers/plan/',
      'workers/memory/',
      'workers/kernels/',
      'workers/verify/',
      'shared/job/',
      'shared/math/',
      'node:',
    ],
  },
  {
    room: 'workers/verify/',
    mayImport: [
      'workers/execute/',
      'workers/plan/tiles.ts',
      'workers/kernels/vectors.ts',
      'shared/math/',
      'node:',
    ],
  },
  {
    room: 'workers/kernels/',
    mayImport: [
      'shared/math/dtype.ts',
      'shared/math/view.ts',
      'shared/math/shape.ts',
      'shared/math/rounding.ts',
      'node:',
    ],
  },

  { room: 'deploy/', mayImport: SHARED_AND_NODE },
  {
    room: 'test/',
    mayImport: ['api/', 'workers/', 'shared/', 'deploy/', 'node:'],
  },
];

/** Where each package may be imported; tests may import all of these. Types are no exception. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  express: ['api/app.ts', 'api/routes/', 'api/http/', 'api/auth/'],
  'express-rate-limit': ['api/auth/', 'api/http/'],
  'rate-limit-redis': ['api/auth/', 'api/http/'],
  helmet: ['api/http/', 'api/routes/'],
  'swagger-ui-dist': ['api/routes/'],
  bullmq: ['shared/io/', 'workers/consumer.ts'],
  'bullmq-otel': ['shared/io/tracing.ts'],
  '@opentelemetry/api': ['shared/io/tracing.ts'],
  ioredis: ['shared/io/', 'workers/consumer.ts'],
  piscina: ['workers/execute/threads.ts'],
  'prom-client': ['shared/io/metrics.ts'],
  pino: ['shared/io/', 'api/deps.ts', 'api/http/'],
  koffi: ['workers/kernels/native/'],
  wabt: ['workers/kernels/wasm/build.ts'],
  'kubernetes-models': ['deploy/kubernetes/'],
  '@kubernetes-models/keda': ['deploy/kubernetes/'],
  '@kubernetes-models/prometheus-operator': ['deploy/kubernetes/'],
  '@grafana/grafana-foundation-sdk': ['deploy/monitoring/'],
  yaml: ['deploy/'],
  zod: ['shared/job/', 'shared/io/config.ts', 'api/'],
  ulid: ['shared/io/', 'api/jobs/', 'api/batches/'],
  'fast-check': [],
  'numpy-ts': [],
  autocannon: [],
};
/** Sentences, one for each import that no table allows. */
export function forbiddenImports(lines: readonly ImportLine[]): string[] {
  return lines.filter(line => !isAllowed(line)).map(({ from, to }) => `${from} may not import ${to}`);
}

function isAllowed({ from, to }: ImportLine): boolean {
  if (isPackage(to)) {
    const rooms = PACKAGES[packageName(to)];
    return rooms !== undefined && matches(from, ['test/', ...rooms]);
  }
  const room = roomOf(from);
  if (room === undefined) return false;
  return matches(to, [room.room, ...room.mayImport]) || (BASICS.includes(to) && !BASICS.includes(from));
}

function isPackage(to: string): boolean {
  return !to.startsWith('node:') && !/\.(ts|js|mjs|json)$/.test(to);
}

/** `@scope/name/file` is of the package `@scope/name`. */
function packageName(specifier: string): string {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
}

function roomOf(path: string): Room | undefined {
  return ROOMS.filter(({ room }) => matches(path, [room])).sort((a, b) => b.room.length - a.room.length)[0];
}

/** Whether a path is one of the files, or below one of the folders. */
function matches(path: string, places: readonly string[]): boolean {
  return places.some(place => path === place || (/[/:]$/.test(place) && path.startsWith(place)));
}

/** Each cycle of imports that remain once compiled, as the files along it. */
export function importCycles(lines: readonly ImportLine[]): string[][] {
  const edges = new Map<string, string[]>();
  for (const { from, to, isType, isDynamic } of lines) {
    if (!isType && !isDynamic) edges.set(from, [...(edges.get(from) ?? []), to]);
  }
  const finished = new Set<string>();
  const cycles: string[][] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start >= 0) cycles.push([...trail.slice(start), path]);
    if (start >= 0 || finished.has(path)) return;
    for (const to of edges.get(path) ?? []) visit(to, [...trail, path]);
    finished.add(path);
  };
  for (const path of edges.keys()) visit(path, []);
  return cycles;
}

/** Files that run by themselves or are for others to import: processes, threads, commands, the client. */
const ENTRIES = [
  'api/main.ts',
  'api/cli.ts',
  'api/client/index.ts',
  'api/client/examples/quickstart.ts',
  'workers/main.ts',
  'workers/execute/thread.ts',
  'workers/kernels/native/try-blas.ts',
  'deploy/local/up.ts',
  'deploy/local/demo.ts',
  'deploy/local/prepare.mjs',
  'workers/kernels/wasm/build.ts',
  'deploy/monitoring/generate.ts',
];

/** Files that neither run by themselves nor are imported by one of another room than `test/`. */
export function unusedFiles(sources: readonly Source[], lines: readonly ImportLine[]): string[] {
  const imported = new Set(
    lines.filter(line => !line.from.startsWith('test/') || line.to.startsWith('test/')).map(line => line.to),
  );
  return sources
    .map(source => source.path)
    .filter(path => !path.startsWith('test/') || path.startsWith('test/support/'))
    .filter(path => !imported.has(path) && !ENTRIES.includes(path) && !path.endsWith('.d.ts'));
}

/** Files that read the environment although no process begins with them. */
export function environmentReaders(sources: readonly Source[]): string[] {
  const readers = [/^api\/(main|cli)\.ts$/, /^workers\/main\.ts$/, /^deploy\//, /^test\//];
  return sources
    .filter(({ text }) => /\bprocess\.env\b(?!`)/.test(text))
    .map(({ path }) => path)
    .filter(path => !readers.some(reader => reader.test(path)));
}
