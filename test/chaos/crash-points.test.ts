// Some of the points at which a gateway and a worker can die. `npm run chaos:crashes` takes them all.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { temporaryFolder } from '../support/temporary.ts';
import { crashGateway, crashWorkers } from './crash-points.ts';
import { findStrace } from './strace.ts';

const strace = await findStrace(process.env.PATH ?? '');
if (strace === undefined) console.error('chaos: there is no strace here, so nothing dies at a system call');
const skip = strace === undefined && 'there is no strace here';

describe('killed at a system call', { concurrency: true, skip }, () => {
  test('a gateway leaves nothing in part, and loses nothing that it accepted', async context => {
    assert.ok(strace);
    const folder = await temporaryFolder(context);
    const points = [
      { syscall: 'fdatasync', at: 1 },
      { syscall: 'link', at: 2 },
      { syscall: 'fsync', at: 4 },
      { syscall: 'unlink', at: 2 },
      { syscall: 'openat', at: 6 },
    ];
    assert.equal(await crashGateway({ folder, strace }, points), points.length);
  });

  test('a worker leaves nothing in part, and its jobs end elsewhere', async context => {
    assert.ok(strace);
    const folder = await temporaryFolder(context);
    const points = [
      { syscall: 'fdatasync', at: 1 },
      { syscall: 'link', at: 1 },
      { syscall: 'link', at: 2 },
    ];
    assert.equal(await crashWorkers({ folder, strace }, points), points.length);
  });
});
