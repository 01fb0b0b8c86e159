// A rollout as a cluster does it, with processes: two gateways behind a balancer whose list of endpoints lags behind,
// and three workers, each replaced in turn under load. No request fails, and no job begins again.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { REPOSITORY_ROOT } from '../../deploy/local/root.ts';
import { type Role, superviseRole } from '../../deploy/local/supervise.ts';
import { type Balancer, startBalancer } from '../support/balancer.ts';
import { type Client, createClient, inline } from '../support/client.ts';
import { integers, product } from '../support/integers.ts';
import { assertOuterProduct, OUTER_BLOCKS, outerProductJob } from '../support/outer-product.ts';
import { type Stack, startStack } from '../support/processes.ts';
import { addWorker } from '../support/worker.ts';

const SETTINGS = { FRECHET_KERNEL: 'reference', FRECHET_THREADS: '1', FRECHET_MEMORY_BYTES: '1GiB' };
const CLIENTS = 4;
/** How long the balancer still sends connections to a gateway that is being deleted … */
const STALE_MS = 1_500;
/** … and how long its preStop hook holds SIGTERM back: longer, as in deploy/kubernetes/base/gateway.yaml. */
const PRE_STOP_MS = 2_500;

function addGateway(stack: Stack): Promise<Role> {
  return superviseRole({
    name: 'gateway',
    module: join(REPOSITORY_ROOT, 'dist/api/main.js'),
    env: () => ({
      PATH: process.env.PATH,
      FRECHET_REDIS_URL: stack.redisUrl,
      FRECHET_DATA_DIR: stack.dataDir,
      FRECHET_PORT: '0',
      FRECHET_ADMIN_PORT: '0',
      FRECHET_LOG_LEVEL: 'error',
    }),
    output: 'inherit',
    graceMs: 12_000,
    log: () => undefined,
  });
}

const addressOf = (gateway: Role) => new URL(gateway.ready.url ?? '').host;

interface Load {
  readonly jobsDone: number;
  /** Everything that was not as it should be. */
  readonly faults: readonly string[];
  stop(): Promise<void>;
}

/** Small jobs, one after the other from each client: submitted, awaited, read, compared. */
function startLoad(client: Client): Load {
  const faults: string[] = [];
  let isStopped = false;
  let jobsDone = 0;
  async function run(seed: number): Promise<void> {
    for (let round = 0; !isStopped; round += 1) {
      const [a, h] = [integers(5, 4, seed), integers(4, 3, round)];
      try {
        const job = { operation: 'jvp', operands: { A: inline(a) }, direction: inline(h) };
        let { id, state } = await client.submit(job, { Prefer: 'wait=10' });
        // Not client.until, which forgives a request that fails.
        while (state === 'queued' || state === 'running') ({ state } = await client.read(id));
        if (state !== 'succeeded') faults.push(`job ${id} is ${state}`);
        const response = await client.get(`/v1/jobs/${id}/result`, { Accept: 'application/json' });
        if (response.status !== 200) faults.push(`result ${response.status}: ${await response.text()}`);
        else assert.deepEqual(await response.json(), inline(product(a, h)).data);
        jobsDone += 1;
      } catch (error) {
        const { message, cause } = error as Error;
        faults.push(`${message} ${cause instanceof Error ? cause.message : ''}`);
      }
    }
  }
  const ended = Promise.all(Array.from({ length: CLIENTS }, (_, index) => run(index + 1)));
  return {
    get jobsDone() {
      return jobsDone;
    },
    faults,
    async stop() {
      isStopped = true;
      await ended;
    },
  };
}

/** Watches a job's stored blocks until it ends: what is there must stay, under the same digest. */
async function watchBlocks(client: Client, jobId: string): Promise<string[]> {
  const seen = new Map<number, string>();
  const faults: string[] = [];
  for (let isFinal = false; !isFinal; ) {
    isFinal = (await client.read(jobId)).finishedAt !== null;
    const response = await client.get(`/v1/jobs/${jobId}/result/blocks`);
    const blocks = (await response.json()) as { index: number; sha256: string }[];
    const digests = new Map(blocks.map(({ index, sha256 }) => [index, sha256]));
    for (const [index, sha256] of seen) {
      if (digests.get(index) !== sha256) faults.push(`block ${index} was there, and is not any more`);
    }
    for (const [index, sha256] of digests) seen.set(index, sha256);
    await sleep(200);
  }
  if (seen.size !== OUTER_BLOCKS) faults.push(`${seen.size} blocks of ${OUTER_BLOCKS}`);
  return faults;
}

/** As a Deployment does with maxSurge 1, maxUnavailable 0: the new one is ready before the old one is deleted. */
async function replaceGateway(stack: Stack, balancer: Balancer, old: Role): Promise<Role> {
  const fresh = await addGateway(stack);
  balancer.endpoints = [...balancer.endpoints, addressOf(fresh)];
  const connectionsBefore = balancer.connectionsTo(addressOf(old));
  const deletedAt = performance.now();
  await sleep(STALE_MS);
  assert.ok(balancer.connectionsTo(addressOf(old)) > connectionsBefore, 'the stale list is used');
  balancer.endpoints = balancer.endpoints.filter(endpoint => endpoint !== addressOf(old));
  await sleep(PRE_STOP_MS - (performance.now() - deletedAt));
  const askedAt = performance.now();
  await old.stop();
  const seconds = (performance.now() - askedAt) / 1000;
  assert.ok(seconds < 10, `a gateway took ${seconds} s to end`);
  return fresh;
}

test('two gateways and three workers are replaced in turn under load', async context => {
  const stack = await startStack({ workers: 3, env: SETTINGS });
  context.after(() => stack.stop());
  const added: Role[] = [];
  context.after(() => Promise.all(added.map(role => role.stop())));
  const second = await addGateway(stack);
  added.push(second);
  const balancer = await startBalancer([addressOf(stack.gateway), addressOf(second)]);
  context.after(() => balancer.stop());
  const client = createClient(balancer.url);

  const load = startLoad(client);
  context.after(() => load.stop());
  // A connection for each request, so that the balancer is asked all the time.
  const probeFaults: string[] = [];
  const probing = setInterval(
    () =>
      void fetch(`${balancer.url}/livez`, { headers: { Connection: 'close' } }).catch(error =>
        probeFaults.push(String(error)),
      ),
    50,
  );
  context.after(() => clearInterval(probing));

  const { id } = await client.submit(await outerProductJob(client));
  const watched = watchBlocks(client, id);
  await client.until(id, job => Number(job.progress.flopsDone) > 0);
  for (const worker of stack.workers) {
    added.push(await addWorker(stack, SETTINGS));
    await worker.stop();
  }
  for (const gateway of [stack.gateway, second]) added.push(await replaceGateway(stack, balancer, gateway));

  const ended = await client.until(id);
  assert.equal(ended.state, 'succeeded', JSON.stringify(ended.error));
  assert.deepEqual(await watched, [], 'no block was computed anew');
  await assertOuterProduct(client, id);
  await load.stop();
  clearInterval(probing);
  assert.deepEqual([...load.faults, ...probeFaults], []);
  assert.ok(load.jobsDone > 20, `${load.jobsDone} jobs went through meanwhile`);
});

test('the manifests sleep before SIGTERM for longer than an endpoint list lags behind', () => {
  const gateway = readFileSync(join(REPOSITORY_ROOT, 'deploy/kubernetes/base/gateway.yaml'), 'utf8');
  const preStopMs = Number(/setTimeout\(\(\) => \{\}, (\d+)\)/.exec(gateway)?.[1]);
  assert.ok(preStopMs >= 2 * PRE_STOP_MS, `${preStopMs} ms`);
});
