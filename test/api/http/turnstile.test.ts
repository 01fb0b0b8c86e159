import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { after, before, beforeEach, test } from 'node:test';
import { Turnstile } from '../../../api/http/turnstile.ts';
import { assertProblem } from '../problem-assertions.ts';
import { type Served, serve } from '../serve.ts';

const PLACES = 2;

let served: Served;
let inside = 0;
let mostInside = 0;
let passed: string[] = [];
/** Lets those inside go on. */
let open: (() => void)[] = [];
/** Their clients go on. */
let slow: ((value: unknown) => void)[] = [];

before(async () => {
  const turnstile = new Turnstile({ places: PLACES, outside: 1, waitSeconds: 0.5 });
  served = await serve([
    {
      method: 'POST',
      path: '/through/{name}',
      handle: (request, response) =>
        turnstile.pass(request, async place => {
          passed.push(String(request.params.name));
          if (request.params.name === 'slow')
            await place.outside(() => new Promise(resolve => slow.push(resolve)));
          inside += 1;
          mostInside = Math.max(mostInside, inside);
          await new Promise<void>(resolve => open.push(resolve));
          inside -= 1;
          if (request.params.name === 'broken') throw new TypeError('fails inside');
          response.end();
        }),
    },
  ]);
});
after(() => served.close());
beforeEach(() => {
  mostInside = 0;
  passed = [];
  open = [];
  slow = [];
});

const go = (name: string) => fetch(`${served.url}/through/${name}`, { method: 'POST' });
const soon = () => new Promise(resolve => setTimeout(resolve, 50));

test('no more pass than there are places, and the others follow in their order', async () => {
  const answers: Promise<Response>[] = [];
  for (const name of ['a', 'broken', 'c', 'd', 'e']) {
    answers.push(go(name));
    await soon();
  }
  assert.deepEqual(passed, ['a', 'broken']);
  while (open.length > 0) {
    open.shift()?.();
    await soon();
  }
  const statuses = (await Promise.all(answers)).map(response => response.status);
  assert.deepEqual(statuses, [200, 500, 200, 200, 200]);
  assert.deepEqual(passed, ['a', 'broken', 'c', 'd', 'e']);
  assert.equal(mostInside, PLACES);
});

test('who waits too long is told to come again, and takes no place', async () => {
  const first = [go('a'), go('b')];
  await soon();
  const late = await go('late');
  assert.match(late.headers.get('retry-after') ?? '', /^\d+$/);
  await assertProblem(late, 'system-busy');
  for (const release of open) release();
  for (const answer of first) assert.equal((await answer).status, 200);
  open = [];
  const next = go('next');
  await soon();
  open[0]?.();
  assert.equal((await next).status, 200);
  assert.deepEqual(passed.toSorted(), ['a', 'b', 'next']);
});

test('a client that goes away while it waits leaves the line', async () => {
  const first = [go('a'), go('b')];
  await soon();
  const impatient = httpRequest(`${served.url}/through/impatient`, { method: 'POST' });
  impatient.on('error', () => undefined);
  impatient.end();
  await soon();
  impatient.destroy();
  const patient = go('patient');
  await soon();
  open.shift()?.();
  await soon();
  assert.deepEqual(passed.slice(2), ['patient']);
  for (const release of open) release();
  assert.equal((await patient).status, 200);
  for (const answer of first) assert.equal((await answer).status, 200);
});

test('who waits for its client keeps no place, and waits in line again when it goes on', async () => {
  const answers = [go('slow'), go('a'), go('b')];
  await soon();
  assert.deepEqual([passed, mostInside], [['slow', 'a', 'b'], 2]);
  slow[0]?.(undefined);
  await soon();
  assert.equal(inside, 2, 'the places are taken');
  open.shift()?.();
  await soon();
  assert.equal(inside, 2, 'now it has one again');
  for (const release of open) release();
  for (const answer of answers) assert.equal((await answer).status, 200);
  assert.equal(mostInside, PLACES);
});

test('no more than a few wait for their clients: what they sent lies in memory', async () => {
  const first = go('slow');
  await soon();
  await assertProblem(await go('slow'), 'system-busy');
  slow[0]?.(undefined);
  await soon();
  open.shift()?.();
  assert.equal((await first).status, 200);
});

test('one that finds no place again in time is told to come again, and gives back no place it does not have', async () => {
  const late = go('slow');
  await soon();
  const others = [go('a'), go('b')];
  await soon();
  slow[0]?.(undefined);
  await assertProblem(await late, 'system-busy');
  const next = go('c');
  await soon();
  assert.equal(inside, 2);
  while (open.length > 0) {
    open.shift()?.();
    await soon();
  }
  for (const answer of [...others, next]) assert.equal((await answer).status, 200);
  assert.equal(mostInside, PLACES);
});
