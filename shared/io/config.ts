// The environment as typed values. This table holds every variable both roles may share; a role picks what it needs.
// `process.env` itself is read by the main.ts files, which pass it in.

import { join } from 'node:path';
import { z } from 'zod';

/** Where durable objects live. */
export interface StoreLocation {
  readonly kind: 'file';
  readonly path: string;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** A variable that is missing or wrong. Start-up ends with its message; it never reaches a client, so it has no code. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

interface Setting<T> {
  readonly variable: string;
  /** Completes the sentence "it must be …". */
  readonly accepts: string;
  /** Text that stands in where the variable is unset or empty; without one the value is undefined then. */
  readonly fallback: ((environment: Environment) => string) | undefined;
  readonly schema: z.ZodType<T, string>;
}

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
};

const text = z.string().min(1);
const natural = z
  .string()
  .regex(/^\d{1,15}$/)
  .transform(Number);
const port = natural.pipe(z.number().max(65_535));
const flag = z.enum(['true', 'false']).transform(value => value === 'true');
const byteCount = z
  .string()
  .regex(/^\d{1,15}(KiB|MiB|GiB|TiB)?$/)
  .transform(value => Number.parseInt(value, 10) * (UNITS[value.replace(/^\d+/, '')] ?? Number.NaN))
  .pipe(z.number().int().positive());
const redisUrl = z.string().regex(/^(rediss?:\/\/.+|unix:.+)$/);
const storeLocation = z
  .string()
  .regex(/^file:.+$/)
  .transform((value): StoreLocation => ({ kind: 'file', path: value.slice('file:'.length) }));

const DATA_DIR_DEFAULT = './data';

/** Every setting: its variable, what it accepts, its default (contract §1) and its form. */
export const SETTINGS = {
  host: setting('FRECHET_HOST', 'a host name or an IP address', '127.0.0.1', text),
  port: setting('FRECHET_PORT', 'a port from 0 (any free one) to 65535', '8080', port),
  gatewayAdminPort: setting('FRECHET_ADMIN_PORT', 'a port from 0 (any free one) to 65535', '8090', port),
  workerAdminPort: setting('FRECHET_ADMIN_PORT', 'a port from 0 (any free one) to 65535', '8091', port),
  redisUrl: optional('FRECHET_REDIS_URL', 'redis://…, rediss://… or unix:PATH', redisUrl),
  dataDir: setting('FRECHET_DATA_DIR', 'the path of a folder', DATA_DIR_DEFAULT, text),
  store: setting(
    'FRECHET_STORE',
    'file:PATH',
    environment => `file:${join(environment.FRECHET_DATA_DIR || DATA_DIR_DEFAULT, 'store')}`,
    storeLocation,
  ),
  drainSeconds: setting('FRECHET_DRAIN_SECONDS', 'a whole number of seconds', '25', natural),
  threads: optional(
    'FRECHET_THREADS',
    'a whole number from 1 to 1024',
    natural.pipe(z.number().min(1).max(1024)),
  ),
  memoryBytes: optional(
    'FRECHET_MEMORY_BYTES',
    'a number of bytes such as 536870912, 512MiB or 4GiB',
    byteCount,
  ),
  kernel: setting(
    'FRECHET_KERNEL',
    'auto, native, wasm or reference',
    'auto',
    z.enum(['auto', 'native', 'wasm', 'reference']),
  ),
  apiKeysFile: optional('FRECHET_API_KEYS_FILE', 'the path of a JSON file', text),
  allowAnonymous: setting('FRECHET_ALLOW_ANONYMOUS', 'true or false', 'false', flag),
  logLevel: setting(
    'FRECHET_LOG_LEVEL',
    'trace, debug, info, warn, error, fatal or silent',
    'info',
    z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']),
  ),
};

export type SettingName = keyof typeof SETTINGS;
export type Config<N extends SettingName> = {
  readonly [K in N]: (typeof SETTINGS)[K] extends Setting<infer T> ? T : never;
};

/** The named settings, frozen. An empty variable counts as unset. @throws ConfigError that names every wrong variable. */
export function readConfig<N extends SettingName>(environment: Environment, names: readonly N[]): Config<N> {
  const faults: string[] = [];
  const values = names.map(name => {
    const { variable, accepts, fallback, schema }: Setting<unknown> = SETTINGS[name];
    const given = environment[variable] || fallback?.(environment);
    if (given === undefined) return [name, undefined];
    const result = schema.safeParse(given);
    if (!result.success) faults.push(`${variable} is ${JSON.stringify(given)}; it must be ${accepts}.`);
    return [name, result.data];
  });
  if (faults.length > 0) throw new ConfigError(faults.join('\n'));
  return Object.freeze(Object.fromEntries(values)) as Config<N>; // the names' own types
}

function setting<T>(
  variable: string,
  accepts: string,
  fallback: string | ((environment: Environment) => string),
  schema: z.ZodType<T, string>,
): Setting<T> {
  return { variable, accepts, fallback: typeof fallback === 'string' ? () => fallback : fallback, schema };
}

function optional<T>(
  variable: string,
  accepts: string,
  schema: z.ZodType<T, string>,
): Setting<T | undefined> {
  return { variable, accepts, fallback: undefined, schema };
}
