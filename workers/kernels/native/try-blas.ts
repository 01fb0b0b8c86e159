// `node try-blas.js LIBRARY`: exit code 0 where the BLAS, as the environment sets it up, passes the kernels' self-test.
// A process of its own, because a library that dislikes its settings may end it.

import { faultOf } from '../probe.ts';

const [, , libraryPath = ''] = process.argv;
process.exitCode =
  faultOf({ name: 'native', libraryPath, fallback: { name: 'reference' } }) === undefined ? 0 : 1;
