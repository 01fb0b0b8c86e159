import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { createBlockAttempts } from '../../shared/io/block-attempts.ts';
import { JobStore } from '../../shared/io/job-store.ts';
import { openFileStore } from '../../shared/io/store/file-store.ts';
import type { Store } from '../../shared/io/store/store.ts';
import { createCompany } from '../../workers/company.ts';
import { DEATHS_MAX, runGuarded } from '../../workers/suspects.ts';
import { temporaryFolder } from '../support/temporary.ts';

const address = { tenant: 'acme', jobId: '01JE0000000000000000000000', block: 3 };
const { signal } = new AbortController();
const SUSPECT = { isSuspect: true, signal };
const ORDINARY = { isSuspect: false, signal };

function worker(store: Store, life: string) {
  const attempts = createBlockAttempts(store, life);
  return { attempts, company: createCompany(), log: pino({ enabled: false }) };
}

/** A worker whose process ends in the middle of the block: nothing after that happens. */
async function die(store: Store, life: string, at = address): Promise<void> {
  const dying = new Promise<void>(resolve => {
    void runGuarded(worker(store, life), at, SUSPECT, () => {
      resolve();
      return new Promise(() => undefined);
    });
  });
  await dying;
}

/** The same store on a day on which nothing can be deleted. */
function failingToDelete(store: Store): Store {
  return new Proxy(store, {
    get(target, property) {
      if (property === 'delete') return () => Promise.reject(new Error('the store is away'));
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

test('a block over which workers die alone fails after so many deaths, and before that runs', async context => {
  const store = await openFileStore(await temporaryFolder(context));
  for (let deaths = 1; deaths <= DEATHS_MAX; deaths += 1) {
    await die(store, `life-${deaths}`);
    assert.equal(await createBlockAttempts(store, 'observer').count(address), deaths);
  }
  let ran = false;
  const attempt = runGuarded(worker(store, 'last'), address, SUSPECT, async () => {
    ran = true;
  });
  await assert.rejects(attempt, { code: 'block-poisoned' });
  assert.equal(ran, false);
});

test('deaths over one block do not count for another', async context => {
  const store = await openFileStore(await temporaryFolder(context));
  for (let deaths = 1; deaths <= DEATHS_MAX; deaths += 1) await die(store, `life-${deaths}`);
  for (const other of [
    { ...address, block: 30 },
    { ...address, jobId: '01JE0000000000000000000001' },
    { ...address, tenant: 'zebra' },
  ]) {
    await runGuarded(worker(store, 'last'), other, SUSPECT, async () => undefined);
  }
});

test('an attempt that ends in order leaves no marker, whether it succeeds, fails or is handed back', async context => {
  const store = await openFileStore(await temporaryFolder(context));
  const { attempts } = worker(store, 'observer');
  for (let round = 0; round < 2 * DEATHS_MAX; round += 1) {
    const deps = worker(store, `life-${round}`);
    if (round % 2 === 0) await runGuarded(deps, address, SUSPECT, async () => undefined);
    else {
      const failing = runGuarded(deps, address, SUSPECT, () => Promise.reject(new Error('handed back')));
      await assert.rejects(failing, /handed back/);
    }
    assert.equal(await attempts.count(address), 0);
  }
});

test('an ordinary block writes nothing', async context => {
  const store = await openFileStore(await temporaryFolder(context));
  const dying = new Promise<void>(resolve => {
    void runGuarded(worker(store, 'life'), address, ORDINARY, () => {
      resolve();
      return new Promise(() => undefined);
    });
  });
  await dying;
  assert.deepEqual(await store.list('tenants'), []);
});

test('a worker that could not take its marker away takes it away the next time', async context => {
  const store = await openFileStore(await temporaryFolder(context));
  const failing = failingToDelete(store);
  await runGuarded(worker(failing, 'life'), address, SUSPECT, async () => undefined);
  assert.equal(await createBlockAttempts(store, 'observer').count(address), 1);
  assert.equal(await createBlockAttempts(store, 'life').count(address), 0, 'not a death: it lives');
  await runGuarded(worker(store, 'life'), address, SUSPECT, async () => undefined);
  assert.equal(await createBlockAttempts(store, 'observer').count(address), 0);
});

test('markers go with their job', async context => {
  const store = await openFileStore(await temporaryFolder(context));
  await die(store, 'life');
  await new JobStore(store).deleteJob(address.tenant, address.jobId);
  assert.equal(await createBlockAttempts(store, 'observer').count(address), 0);
});
