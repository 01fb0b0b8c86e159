import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readConfig, SETTINGS, type SettingName } from '../../../shared/io/config.ts';

const ALL = Object.keys(SETTINGS) as SettingName[];

test('an empty environment gives the defaults of the contract', () => {
  const defaults = {
    host: '127.0.0.1',
    port: 8080,
    gatewayAdminPort: 8090,
    workerAdminPort: 8091,
    redisUrl: undefined,
    dataDir: './data',
    store: { kind: 'file', path: 'data/store' },
    drainSeconds: 25,
    threads: undefined,
    memoryBytes: undefined,
    kernel: 'auto',
    apiKeysFile: undefined,
    allowAnonymous: false,
    logLevel: 'info',
  };
  assert.deepEqual(readConfig({}, ALL), defaults);
  const empty = Object.fromEntries(ALL.map(name => [SETTINGS[name].variable, '']));
  assert.deepEqual(readConfig(empty, ALL), defaults);
});

test('what is set is read, and nothing else is in the answer', () => {
  const environment = {
    FRECHET_PORT: '0',
    FRECHET_ADMIN_PORT: '9000',
    FRECHET_REDIS_URL: 'unix:/run/redis.sock',
    FRECHET_DATA_DIR: '/var/lib/frechet',
    FRECHET_THREADS: '3',
    FRECHET_ALLOW_ANONYMOUS: 'true',
    UNRELATED: 'x',
  };
  assert.deepEqual(
    readConfig(environment, ['port', 'workerAdminPort', 'redisUrl', 'store', 'threads', 'allowAnonymous']),
    {
      port: 0,
      workerAdminPort: 9000,
      redisUrl: 'unix:/run/redis.sock',
      store: { kind: 'file', path: '/var/lib/frechet/store' },
      threads: 3,
      allowAnonymous: true,
    },
  );
  assert.deepEqual(readConfig({ FRECHET_STORE: 'file:/mnt/x' }, ['store']), {
    store: { kind: 'file', path: '/mnt/x' },
  });
});

test('byte counts may have a unit', () => {
  const read = (text: string) => readConfig({ FRECHET_MEMORY_BYTES: text }, ['memoryBytes']).memoryBytes;
  assert.equal(read('1000'), 1000);
  assert.equal(read('3KiB'), 3072);
  assert.equal(read('256MiB'), 256 * 2 ** 20);
  assert.equal(read('4GiB'), 4 * 2 ** 30);
  assert.equal(read('1TiB'), 2 ** 40);
});

test('a wrong value is refused, named together with what is accepted', () => {
  const wrong: [SettingName, string][] = [
    ['port', '65536'],
    ['port', '-1'],
    ['port', '80a'],
    ['port', '8080.5'],
    ['drainSeconds', '1e3'],
    ['threads', '0'],
    ['memoryBytes', '0'],
    ['memoryBytes', '4GB'],
    ['memoryBytes', '4 GiB'],
    ['memoryBytes', '999999999999999TiB'],
    ['redisUrl', 'localhost:6379'],
    ['store', '/var/lib'],
    ['store', 's3://bucket/x'],
    ['kernel', 'gpu'],
    ['allowAnonymous', 'yes'],
    ['logLevel', 'verbose'],
  ];
  for (const [name, value] of wrong) {
    const { variable, accepts } = SETTINGS[name];
    const message = `${variable} is ${JSON.stringify(value)}; it must be ${accepts}.`;
    assert.throws(() => readConfig({ [variable]: value }, [name]), { name: 'ConfigError', message });
  }
  const both = { FRECHET_PORT: 'x', FRECHET_KERNEL: 'y' };
  assert.throws(() => readConfig(both, ALL), /FRECHET_PORT.*\n.*FRECHET_KERNEL/);
});

test('the answer cannot be changed', () => {
  assert.ok(Object.isFrozen(readConfig({}, ['port'])));
});
