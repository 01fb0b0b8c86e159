import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  bar,
  createProgressView,
  formatBytes,
  formatFlops,
  formatSeconds,
  progressText,
} from '../../../api/cli/progress.ts';

/** To the first column, and nothing right of it. */
const CLEARED = '\r\u001b[K';

function progress(done: number, total: number, etaSeconds: number | null = null) {
  return { blocksDone: done, blocksTotal: total, flopsDone: done * 1e9, flopsTotal: total * 1e9, etaSeconds };
}

/** A stream that remembers. */
function record(isTTY: boolean) {
  const written: string[] = [];
  const stream = { isTTY, columns: 60, write: (text: string) => written.push(text) };
  return { written, stream: stream as unknown as NodeJS.WriteStream };
}

function clockOf(...times: number[]) {
  return (() => times.shift() ?? 0) as typeof performance.now;
}

test('what is known is said, and nothing else', () => {
  assert.equal(progressText(progress(0, 8), undefined), '0 %, 0 of 8 blocks');
  assert.equal(progressText(progress(2, 8), 2e9), '25 %, 2 of 8 blocks, 2 GFLOP/s, 3 s left');
  assert.equal(progressText(progress(2, 8, 70), 2e9), '25 %, 2 of 8 blocks, 2 GFLOP/s, 1 min 10 s left');
  assert.equal(progressText(progress(8, 8, 0), 2e9), '100 %, 8 of 8 blocks, 2 GFLOP/s');
  const copied = { blocksDone: 1, blocksTotal: 4, flopsDone: 0, flopsTotal: 0, etaSeconds: null };
  assert.equal(progressText(copied, undefined), '25 %, 1 of 4 blocks');
  const huge = { ...progress(1, 4), flopsDone: '25000000000000000000', flopsTotal: '100000000000000000000' };
  assert.equal(progressText(huge, undefined), '25 %, 1 of 4 blocks');
});

test('a terminal sees a bar that is drawn over itself, no wider than it is, and cleared', () => {
  const { written, stream } = record(true);
  const view = createProgressView(stream, false, clockOf(0, 1000, 1010, 2000));
  view.update(progress(0, 4));
  view.update(progress(1, 4));
  view.update(progress(1, 4));
  view.update(progress(4, 4));
  view.end();
  view.end();
  assert.equal(written.length, 4, 'one came too soon after another');
  assert.ok(written[1]?.startsWith(`${CLEARED}${'█'.repeat(6)}${'░'.repeat(18)} 25 %, 1 of 4 blocks, 1 GF`));
  assert.ok(written.every(text => text.length <= 64 && !text.includes('\n')));
  assert.equal(written.at(-1), CLEARED);
});

test('a log sees a line every five seconds, without control characters', () => {
  const { written, stream } = record(false);
  const view = createProgressView(stream, false, clockOf(0, 100, 4900, 5000, 6000, 10_100));
  for (const done of [0, 1, 2, 3, 4]) view.update(progress(done, 10));
  view.end();
  assert.deepEqual(
    written.map(text => text.split(',')[0]),
    ['20 %', '40 %'],
  );
  assert.ok(written.every(text => text.endsWith(' left\n') && !text.includes('\r')));
});

test('nothing is shown where nothing is wanted', () => {
  const { written, stream } = record(true);
  const view = createProgressView(stream, true);
  view.update(progress(1, 2));
  view.end();
  assert.deepEqual(written, []);
});

test('the bar is empty, half full and full', () => {
  assert.equal(bar(0), '░'.repeat(24));
  assert.equal(bar(0.5), '█'.repeat(12) + '░'.repeat(12));
  assert.equal(bar(1), '█'.repeat(24));
});

test('quantities have three digits and a unit', () => {
  assert.deepEqual([0, 999, 1234, 41.23e9, '9007199254740993000'].map(formatFlops), [
    '0 FLOP',
    '999 FLOP',
    '1.23 kFLOP',
    '41.2 GFLOP',
    '9.01 EFLOP',
  ]);
  assert.deepEqual([0, 1023, 1536, 5 * 1024 ** 3].map(formatBytes), ['0 B', '1023 B', '1.5 KiB', '5 GiB']);
  assert.deepEqual([0.8123, 12.4, 200, 7500].map(formatSeconds), [
    '0.81 s',
    '12 s',
    '3 min 20 s',
    '2 h 5 min',
  ]);
});
