// From files to files, against a whole, real service.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, request as forward } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { createClient, decodeNpy, encodeNpy, ndArray, toNested } from '../../../api/client/index.ts';
import { integers, product, transposed } from '../../support/integers.ts';
import { type Stack, startStack } from '../../support/processes.ts';
import { temporaryFolder } from '../../support/temporary.ts';
import { frechet, frechetHere } from './command-line.ts';

let stack: Stack;
before(async () => {
  stack = await startStack();
});
after(() => stack?.stop());

type Matrix = ReturnType<typeof integers>;

const A = integers(3, 2, 1);
const H = integers(2, 4, 2);
const G = integers(3, 4, 3);
const BIG = integers(80, 70, 4);

function asArray({ rows, cols, data }: Matrix) {
  return ndArray(Float64Array.from(data), [rows, cols]);
}

/** A folder with A, H, G and BIG. */
async function folderOfArrays(context: TestContext): Promise<string> {
  const folder = await temporaryFolder(context);
  for (const [name, matrix] of Object.entries({ A, H, G, BIG })) {
    await writeFile(join(folder, `${name}.npy`), encodeNpy(asArray(matrix)));
  }
  return folder;
}

/** In the folder, with the service named. */
function run(folder: string, args: readonly string[]) {
  return frechetHere(args, { cwd: folder, env: { FRECHET_URL: stack.url } });
}

async function readMatrix(path: string) {
  return toNested(decodeNpy(await readFile(path)));
}

test('jvp A.npy H.npy -o C.npy writes A·H, and says how sure it is', async context => {
  const folder = await folderOfArrays(context);
  const args = ['jvp', 'A.npy', 'H.npy', '-o', 'C.npy'];
  const { code, stdout, stderr } = await frechet(args, { cwd: folder, env: { FRECHET_URL: stack.url } });
  assert.equal(code, 0, stderr);
  assert.equal(stdout, '');
  assert.match(stderr, /^3×4 float64 · verified by freivalds: error 0, bound .* in C\.npy\n$/);
  assert.deepEqual(await readMatrix(join(folder, 'C.npy')), toNested(asArray(product(A, H))));
  assert.deepEqual((await readdir(folder)).sort(), ['A.npy', 'BIG.npy', 'C.npy', 'G.npy', 'H.npy']);
});

test('how far an element may be off is said where it was asked', async context => {
  const folder = await folderOfArrays(context);
  const args = ['jvp', 'A.npy', 'H.npy', '-o', 'C.npy'];
  const said = async (...more: string[]) => (await run(folder, [...args, ...more])).stderr;
  assert.match(
    await said('--componentwise'),
    /rounded by at most \S+ of it · no element by more than \d\S* · /,
  );
  assert.doesNotMatch(await said(), /no element/);
});

test("vjp prints A'·G where no file is named", async context => {
  const folder = await folderOfArrays(context);
  const { code, stdout } = await run(folder, ['vjp', 'A.npy', 'G.npy']);
  assert.equal(code, 0);
  const printed = stdout
    .trimEnd()
    .split('\n')
    .map(row => row.trim().split(/ +/).map(Number));
  assert.deepEqual(printed, toNested(asArray(product(transposed(A), G))));
});

test('a result goes to standard output as the file that it is', async context => {
  const folder = await folderOfArrays(context);
  const { code, stdout } = await run(folder, ['value', 'A.npy', 'H.npy', '-o', '-', '--json']);
  assert.equal(code, 0);
  assert.match(stdout, /NUMPY.*'shape': \(3, 4\)/s);
});

test('--json answers the job and its result as one document', async context => {
  const folder = await folderOfArrays(context);
  const args = [
    'jacobian',
    'A.npy',
    'shape:2x4',
    '--columns',
    '1:3',
    '--dtype',
    'float32',
    '--reproducible',
    '--json',
  ];
  const { code, stdout, stderr } = await run(folder, args);
  assert.equal(code, 0, stderr);
  const { job, result } = JSON.parse(stdout);
  assert.equal(job.dtype, 'float32');
  assert.deepEqual(job.result.shape, [12, 2]);
  // Column 1 is that of W[1, 0], column 2 of W[0, 1].
  const zeros = Array.from({ length: 12 }, () => [0, 0]);
  for (const row of [0, 1, 2]) {
    zeros[row]![0] = A.data[2 * row + 1]!; // of three rows
    zeros[3 + row]![1] = A.data[2 * row]!; // and three more
  }
  assert.deepEqual(result, zeros);
});

test('an expression of its own, operands by name, a check of it', async context => {
  const folder = await folderOfArrays(context);
  const args = ['-e', "X'*A'*A*X", '-w', 'X', '--operand', 'A=A.npy', '--operand', 'X=H.npy', '--seed', '7'];
  const { code, stdout } = await run(folder, ['check', ...args]);
  assert.equal(code, 0);
  assert.match(stdout, /^passed: X'\*A'\*A\*X in X\n {2}remainder {2}not linear in X; rate (1\.9|2\.0|2,|2)/);
});

test('a report goes to a file, too', async context => {
  const folder = await folderOfArrays(context);
  const { code, stdout } = await run(folder, ['check', 'A.npy', 'H.npy', '-o', 'report.json']);
  assert.equal(code, 0);
  assert.match(stdout, /^passed: A\*W in W\n {2}remainder {2}linear in W; /);
  assert.equal(JSON.parse(await readFile(join(folder, 'report.json'), 'utf8')).passed, true);
});

test('--json keeps what JSON has no number for', async context => {
  const folder = await temporaryFolder(context);
  const values = ndArray(Float64Array.of(-0, Number.NaN, -Infinity, 0.1), [2, 2]);
  await writeFile(join(folder, 'W.npy'), encodeNpy(values));
  const { stdout } = await run(folder, ['value', '-e', 'W', '--operand', 'W=W.npy', '--json']);
  assert.match(stdout, /"output":null,"result":\[\[-0,"NaN"\],\["-Infinity",0\.1\]\]\}\n$/);
});

test('a larger file is uploaded, once', async context => {
  const folder = await folderOfArrays(context);
  const client = createClient({ url: stack.url });
  const first = await run(folder, ['value', '-e', "W'*W", '--operand', 'W=BIG.npy', '-o', 'V.npy']);
  assert.equal(first.code, 0, first.stderr);
  const { id, createdAt } = await client.arrays.upload(asArray(BIG));
  const second = await run(folder, ['value', '-e', "W'*W", '--operand', `W=id:${id}`, '-o', 'V2.npy']);
  assert.equal(second.code, 0, second.stderr);
  assert.equal((await client.arrays.get(id)).createdAt, createdAt);
  assert.deepEqual(await readMatrix(join(folder, 'V.npy')), toNested(asArray(product(transposed(BIG), BIG))));
  assert.deepEqual(await readFile(join(folder, 'V.npy')), await readFile(join(folder, 'V2.npy')));
});

const FAULTS: Record<string, readonly [args: readonly string[], code: number, says: RegExp]> = {
  'a file that is not there': [
    ['jvp', 'A.npy', 'None.npy'],
    2,
    /cannot read None\.npy: there is no such file/,
  ],
  'an option that does not exist': [['jvp', '--colums', '0:1'], 2, /--colums.*frechet jvp --help/s],
  'a command that does not exist': [['derive'], 2, /no command "derive"/],
  'too many arrays': [['jvp', 'A.npy', 'H.npy', 'G.npy'], 2, /at most two arrays/],
  'an operand without a name': [['jvp', '--operand', 'A.npy'], 2, /NAME=ARRAY/],
  'columns that are none': [['jacobian', 'A.npy', '--columns', '3'], 2, /START:STOP/],
  'a dtype that is none': [['jvp', 'A.npy', 'H.npy', '--dtype', 'int8'], 2, /float64 or float32/],
  'shapes that do not fit': [['jvp', 'A.npy', 'G.npy'], 3, /3×2 and 3×4/],
  'a place that cannot be written': [['jvp', 'A.npy', 'H.npy', '-o', 'no/where.npy'], 2, /cannot write/],
  'a service that is not there': [
    ['jvp', 'A.npy', 'H.npy', '--url', 'http://127.0.0.1:1'],
    4,
    /cannot be reached/,
  ],
  'an address that is none': [['jvp', 'A.npy', 'H.npy', '--url', 'localhost:80'], 2, /http:\/\//],
};

for (const [name, [args, code, says]] of Object.entries(FAULTS)) {
  test(`${name} ends with ${code} and a word on what to do`, async context => {
    const folder = await folderOfArrays(context);
    const finished = await run(folder, args);
    assert.equal(finished.code, code, finished.stderr);
    assert.match(finished.stderr, says);
    assert.equal(finished.stdout, '');
    assert.deepEqual((await readdir(folder)).sort(), ['A.npy', 'BIG.npy', 'G.npy', 'H.npy']);
  });
}

test('a refusal as JSON has its slug', async context => {
  const folder = await folderOfArrays(context);
  const { code, stderr } = await run(folder, ['jvp', 'A.npy', 'G.npy', '--json']);
  assert.equal(code, 3);
  assert.equal(JSON.parse(stderr).error.slug, 'shape-mismatch');
});

test('Ctrl-C cancels the job that nobody else knows', { timeout: 60_000 }, async context => {
  const folder = await folderOfArrays(context);
  const label = { key: 'test', value: randomUUID() };
  const args = ['jacobian', '-e', 'A*W*A', '--operand', 'A=BIG2.npy', '--operand', 'W=shape:512x512'];
  await writeFile(join(folder, 'BIG2.npy'), encodeNpy(asArray(integers(512, 512, 5))));
  const client = createClient({ url: stack.url });
  const stopping = new AbortController();
  const running = frechet([...args, '--columns', '0:400', '-o', 'J.npy', '--label', `test=${label.value}`], {
    cwd: folder,
    env: { FRECHET_URL: stack.url },
    onSpawn: child => {
      void interruptOnceSubmitted(child, stopping.signal);
    },
  });
  const { code, stderr } = await running;
  stopping.abort();
  assert.equal(code, 130, stderr);
  assert.match(stderr, /interrupted/);
  for await (const job of client.jobs.list({ label })) assert.equal(job.state, 'cancelled');
  assert.deepEqual(
    (await readdir(folder)).filter(name => name.startsWith('J.npy')),
    [],
  );

  async function interruptOnceSubmitted(child: { kill(name: 'SIGINT'): unknown }, signal: AbortSignal) {
    while (!signal.aborted) {
      for await (const _job of client.jobs.list({ label })) return void child.kill('SIGINT');
      await new Promise(resolve => setTimeout(resolve, 10));
    }
  }
});

test('Ctrl-C between the making of a job and its answer cancels it too', {
  timeout: 60_000,
}, async context => {
  const folder = await folderOfArrays(context);
  const label = { key: 'test', value: randomUUID() };
  let interrupt = (): void => undefined;
  // In front of the service: the command is interrupted when the job is there, and hears of it after that.
  const proxy = createServer((request, response) => {
    const { method = 'GET', url, headers } = request;
    const onward = forward(`${stack.url}${url}`, { method, headers }, answer => {
      const pass = () => void answer.pipe(response.writeHead(answer.statusCode ?? 500, answer.headers));
      if (`${method} ${url}` !== 'POST /v1/jobs') return pass();
      interrupt();
      setTimeout(pass, 300);
    });
    request.pipe(onward);
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  context.after(() => void proxy.close().closeAllConnections());
  const { port } = proxy.address() as AddressInfo;
  const args = ['jacobian', '-e', 'A*W*A', '--operand', 'A=BIG2.npy', '--operand', 'W=shape:512x512'];
  await writeFile(join(folder, 'BIG2.npy'), encodeNpy(asArray(integers(512, 512, 5))));
  const { code, stderr } = await frechet(
    [...args, '--columns', '0:400', '-o', 'J.npy', '--label', `test=${label.value}`],
    {
      cwd: folder,
      env: { FRECHET_URL: `http://127.0.0.1:${port}` },
      onSpawn: child => {
        interrupt = () => void child.kill('SIGINT');
      },
    },
  );
  assert.equal(code, 130, stderr);
  const states: string[] = [];
  for await (const job of createClient({ url: stack.url }).jobs.list({ label })) states.push(job.state);
  assert.deepEqual(states, ['cancelled']);
});
