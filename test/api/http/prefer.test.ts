import assert from 'node:assert/strict';
import { test } from 'node:test';
import { preferredWaitSeconds } from '../../../api/http/prefer.ts';

const CASES: [header: string | undefined, seconds: number | undefined][] = [
  [undefined, undefined],
  ['', undefined],
  ['wait=10', 10],
  ['wait=0', 0],
  ['WAIT = 7', 7],
  ['wait=60', 60],
  ['wait=61', 60],
  ['wait=99999999999999999999999', 60],
  ['respond-async, wait=5', 5],
  ['respond-async,wait=5;foo="a,b"', 5],
  ['foo="a, wait=3, b", wait=4', 4],
  ['foo="a \\", wait=3"', undefined],
  ['wait=1, wait=2', 1],
  ['wait=soon, wait=2', undefined],
  ['wait', undefined],
  ['wait=', undefined],
  ['wait=-1', undefined],
  ['wait=1.5', undefined],
  ['wait="3"', undefined],
  ['waiting=3', undefined],
  ['x-wait=3', undefined],
  ['return=minimal', undefined],
  ['"wait=3', undefined],
];

for (const [header, seconds] of CASES) {
  test(`Prefer: ${header} waits ${seconds ?? 'not at all'}`, () => {
    assert.equal(preferredWaitSeconds(header), seconds);
  });
}
