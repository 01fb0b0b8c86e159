import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RECENT_MS, recently } from '../../../shared/io/recent.ts';

function counted(answers: (number | Error)[]) {
  let asked = 0;
  const ask = async () => {
    const answer = answers[asked++];
    if (answer instanceof Error) throw answer;
    return answer ?? Number.NaN;
  };
  return { ask, asked: () => asked };
}

test('an answer serves for a while, and whoever asks meanwhile waits for it', async () => {
  let nowMs = 0;
  const { ask, asked } = counted([1, 2]);
  const recent = recently(ask, undefined, () => nowMs);
  assert.deepEqual(await Promise.all([recent(), recent()]), [1, 1]);
  nowMs = RECENT_MS - 1;
  assert.equal(await recent(), 1);
  assert.equal(asked(), 1);
  nowMs = RECENT_MS;
  assert.equal(await recent(), 2);
});

test('failures, and answers not to be kept, serve nobody else', async () => {
  const { ask, asked } = counted([new Error('away'), 7, 8]);
  const recent = recently(
    ask,
    answer => answer !== 7,
    () => 0,
  );
  await assert.rejects(recent(), /away/);
  assert.equal(await recent(), 7);
  assert.equal(await recent(), 8);
  assert.equal(await recent(), 8);
  assert.equal(asked(), 3);
});
