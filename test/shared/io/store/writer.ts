// A process that writes objects as fast as it can, says on stdout which are durable, and waits to be killed.

import { openFileStore } from '../../../../shared/io/store/file-store.ts';

/** Object `name` holds its name this many times, so that a partial one shows. */
export const REPEATS = 20_000;

const WRITERS = 4;

async function write(root: string): Promise<void> {
  const store = await openFileStore(root);
  let next = 0;
  await Promise.all(
    Array.from({ length: WRITERS }, async () => {
      while (true) {
        const name = `object-${next}`;
        next += 1;
        const half = Buffer.from(name.repeat(REPEATS / 2));
        await store.put(`written/${name}`, [half, half], { exclusive: next % 2 === 0 });
        process.stdout.write(`${name}\n`);
      }
    }),
  );
}

const [, script, root] = process.argv;
if (script?.endsWith('writer.js') && root !== undefined) await write(root);
