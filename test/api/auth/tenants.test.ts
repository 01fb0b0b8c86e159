import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { watchKeyFile } from '../../../api/auth/key-file.ts';
import { anonymousTenants, parseTenants } from '../../../api/auth/tenants.ts';
import { createLogger } from '../../../shared/io/logger.ts';
import { temporaryFolder } from '../../support/temporary.ts';

const sha256 = (key: string) => createHash('sha256').update(key).digest('hex');
const entry = (tenant: string, key: string, limits?: object) => ({
  tenant,
  sha256: sha256(key),
  ...(limits && { limits }),
});
const tenantsOf = (...entries: object[]) => parseTenants(JSON.stringify(entries));

test('a key tells its tenant, and a tenant may have several', () => {
  const tenants = tenantsOf(entry('acme', 'one'), entry('acme', 'two'), entry('zeta', 'three'));
  for (const [key, tenant] of [
    ['one', 'acme'],
    ['two', 'acme'],
    ['three', 'zeta'],
  ]) {
    assert.equal(tenants.identify(`Bearer ${key}`), tenant);
    assert.equal(tenants.identify(`bearer ${key}`), tenant, 'a scheme knows no case');
  }
});

for (const header of [
  undefined,
  '',
  'one',
  'Bearer',
  'Bearer ',
  'Bearer ONE',
  'Bearer one two',
  'Bearer one,two',
  'Basic one',
  'Bearerone',
  `Bearer ${sha256('one')}`,
  `Bearer ${'x'.repeat(2000)}`,
]) {
  test(`${JSON.stringify(header?.slice(0, 20))} is nobody`, () => {
    assert.equal(tenantsOf(entry('acme', 'one')).identify(header), undefined);
  });
}

test('without keys everybody is the same tenant, whatever they say', () => {
  const tenants = anonymousTenants();
  assert.equal(tenants.identify(undefined), 'default');
  assert.equal(tenants.identify('Bearer x'), 'default');
});

test('limits stand with a key of the tenant; what is not said is the default', () => {
  const tenants = tenantsOf(
    entry('acme', 'one', { queuedJobs: 0, queuedFlops: '100000000000000000001' }),
    entry('acme', 'two'),
    entry('zeta', 'three', { requestsPerMinute: 5, storedBytes: 1024, queuedFlops: 12 }),
  );
  assert.deepEqual(tenants.limitsOf('acme'), {
    requestsPerMinute: undefined,
    storedBytes: undefined,
    queuedJobs: 0,
    queuedFlops: 100000000000000000001n,
  });
  assert.deepEqual(tenants.limitsOf('zeta'), {
    requestsPerMinute: 5,
    storedBytes: 1024,
    queuedJobs: 100_000,
    queuedFlops: 12n,
  });
  assert.deepEqual(tenants.limitsOf('unknown'), anonymousTenants().limitsOf('default'));
});

for (const [what, text] of Object.entries({
  'no JSON': '[',
  'no list': '{}',
  'an unknown property': JSON.stringify([{ ...entry('a', 'k'), note: '' }]),
  'an unknown limit': JSON.stringify([entry('a', 'k', { jobs: 1 })]),
  'a negative limit': JSON.stringify([entry('a', 'k', { queuedJobs: -1 })]),
  'a key itself instead of its digest': JSON.stringify([{ tenant: 'a', sha256: 'secret' }]),
  'a tenant that is a path': JSON.stringify([{ ...entry('a', 'k'), tenant: '../a' }]),
  'a tenant of dots': JSON.stringify([{ ...entry('a', 'k'), tenant: '..' }]),
})) {
  test(`a key file with ${what} is refused`, () => {
    assert.throws(() => parseTenants(text));
  });
}

async function watched(context: TestContext, text: string) {
  const path = join(await temporaryFolder(context), 'keys.json');
  await writeFile(path, text);
  const lines: string[] = [];
  const log = createLogger({
    level: 'info',
    role: 'gateway',
    destination: { write: line => void lines.push(line) },
  });
  const tenants = await watchKeyFile(path, log);
  context.after(() => tenants.stop());
  return { tenants, lines, write: (now: string) => writeFile(path, now) };
}

test('a changed file is read again; a bad one changes nothing and is reported once', async context => {
  const { tenants, lines, write } = await watched(context, JSON.stringify([entry('acme', 'one')]));
  await write(JSON.stringify([entry('acme', 'two')]));
  await tenants.refresh();
  assert.equal(tenants.identify('Bearer one'), undefined);
  assert.equal(tenants.identify('Bearer two'), 'acme');
  await write('[{');
  await tenants.refresh();
  await tenants.refresh();
  assert.equal(tenants.identify('Bearer two'), 'acme');
  assert.equal(lines.filter(line => line.includes('"error"')).length, 1);
  await write('[]');
  await tenants.refresh();
  assert.equal(tenants.identify('Bearer two'), undefined);
});

test('the file is looked at by itself', async context => {
  const { tenants, write } = await watched(context, '[]');
  await write(JSON.stringify([entry('acme', 'one')]));
  const deadline = Date.now() + 10_000;
  while (tenants.identify('Bearer one') === undefined && Date.now() < deadline) {
    await new Promise(resolve => setTimeout(resolve, 50));
  }
  assert.equal(tenants.identify('Bearer one'), 'acme');
});

test('a file that is missing or bad at the start ends the start', async context => {
  await assert.rejects(watched(context, '[{'));
});
