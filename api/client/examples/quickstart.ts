// The derivative of A*W with the typed client: in a direction, for a loss, and in pieces.
//   node quickstart.js http://127.0.0.1:8080 [API-KEY]

import { createClient, FrechetProblem, fromNested, toNested } from '../index.ts';

const [url = 'http://127.0.0.1:8080', key] = process.argv.slice(2);
const frechet = createClient({ url, key });

// Uploaded once (not at all where the service has it), used by every job below.
const A = await frechet.arrays.upload(fromNested([[1, 2], [3, 4], [5, 6]])); // biome-ignore format: a matrix

// One call for a whole job: submit, wait, read.
const jvp = await frechet.compute({
  operation: 'jvp',
  operands: { A },
  direction: [[1, 0], [-2, 1]], // biome-ignore format: a matrix
});
console.log(jvp.job.derivative.differential, JSON.stringify(toNested(jvp.result)));

// A gradient: the adjoint, at the loss's gradient in A*W.
const vjp = await frechet.compute({
  operation: 'vjp',
  operands: { A },
  cotangent: [[1, 0], [0, 1], [1, 1]], // biome-ignore format: a matrix
});
console.log(vjp.job.derivative.adjoint, JSON.stringify(toNested(vjp.result)));

// A larger result is read block by block, while the rest is still being computed.
const job = await frechet.jobs.submit({
  operation: 'jacobian',
  operands: { A, W: { shape: [2, 50_000] } },
  jacobian: { columns: [0, 100] },
});
let sum = 0;
for await (const block of frechet.jobs.blocks(job)) {
  const { data } = await block.read();
  for (const value of data) sum += value;
}
console.log('the entries of 100 columns add up to', sum);

// What the service refuses is an error that says what, and where.
try {
  await frechet.compute({ operation: 'jvp', operands: { A }, direction: [[1, 2, 3]] });
} catch (error) {
  if (!(error instanceof FrechetProblem)) throw error;
  console.log(error.slug, error.status);
}
