// Every step of every write is made to fail, and to be the last one before the process dies. Whatever the step, an
// object is there whole, or what was there before is.

import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { errorCode } from '../../../../shared/errors.ts';
import { openFileStore } from '../../../../shared/io/store/file-store.ts';
import type { Store } from '../../../../shared/io/store/store.ts';
import { temporaryFolder } from '../../../support/temporary.ts';
import { type Failure, unreliableDisk } from './unreliable-disk.ts';

const PARTS = [Buffer.from('first part, '), Buffer.from('second part')];
const WHOLE = 'first part, second part';

interface Attempt {
  readonly before: string | undefined;
  readonly after: string | undefined;
  readonly result: unknown;
  readonly leftovers: number;
  readonly isDead: boolean;
  readonly store: Store;
}

/** Runs `write` on a disk that fails at its nth operation; undefined where it has fewer. */
async function attempt(
  folder: string,
  before: string | undefined,
  at: number,
  failure: Failure,
  write: (store: Store) => Promise<unknown>,
): Promise<Attempt | undefined> {
  const root = join(folder, `${before}-${failure}-${at}`);
  const calm = await openFileStore(root);
  if (before !== undefined) await calm.put('a/k', [Buffer.from(before)], { exclusive: true });
  const preparing = unreliableDisk();
  await openFileStore(root, { disk: preparing.disk });
  const failing = unreliableDisk(preparing.count() + at, failure);
  const store = await openFileStore(root, { disk: failing.disk });
  const result = await Promise.race([
    write(store).catch((error: unknown) => error),
    failing.died.then(() => 'dead'),
  ]);
  const isReached = failing.count() >= preparing.count() + at;
  await failing.close();
  if (!isReached) return undefined;
  const found = await calm.get('a/k');
  return {
    before,
    after: found && Buffer.from(found).toString(),
    result,
    leftovers: (await readdir(join(root, 'tmp'))).length,
    isDead: result === 'dead',
    store: calm,
  };
}

for (const [before, exclusive] of [
  [undefined, true],
  [undefined, false],
  ['old', true],
  ['old', false],
] as const) {
  for (const failure of ['EIO', 'ENOSPC', 'death'] as const) {
    const title = `${exclusive ? 'creating' : 'replacing'} ${before === undefined ? 'nothing' : 'an object'}, ${failure} at every step`;
    test(title, async context => {
      const folder = await temporaryFolder(context);
      const allowed = before !== undefined && exclusive ? [before] : [before, WHOLE];
      let steps = 0;
      for (let at = 1; ; at += 1) {
        const done = await attempt(folder, before, at, failure, store =>
          store.put('a/k', PARTS, { exclusive }),
        );
        if (done === undefined) break;
        steps += 1;
        assert.ok(allowed.includes(done.after), `step ${at} left ${done.after}`);
        if (!done.isDead && done.result instanceof Error) {
          assert.equal(
            errorCode(done.result),
            failure === 'ENOSPC' ? 'store-full' : 'unavailable',
            `step ${at}`,
          );
        } else if (!done.isDead) {
          assert.equal(
            done.after,
            done.result === true ? WHOLE : before,
            `step ${at} answered ${done.result}`,
          );
        }
        assert.ok(done.leftovers <= 1, `step ${at} left ${done.leftovers} temporaries`);
        // The next attempt, by a healthy process, ends as if nothing had happened.
        const isThere = done.after !== undefined;
        assert.equal(await done.store.put('a/k', PARTS, { exclusive }), !(exclusive && isThere));
      }
      assert.ok(steps >= 6, `only ${steps} steps were tried`);
    });
  }
}

test('a temporary is removed unless removing it is what fails', async context => {
  const folder = await temporaryFolder(context);
  let kept = 0;
  let steps = 0;
  for (let at = 1; ; at += 1) {
    const done = await attempt(folder, undefined, at, 'EIO', store =>
      store.put('a/k', PARTS, { exclusive: true }),
    );
    if (done === undefined) break;
    steps += 1;
    kept += done.leftovers;
  }
  assert.ok(steps > 6);
  assert.equal(kept, 1);
});
