// Does BLIS compute with kernels that this processor has, also where it does not know the processor?

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { kernelSets } from '../../../workers/kernels/native/blis.ts';
import { passesTrial } from '../../../workers/kernels/native/trial.ts';
import { availableSources } from './sources.ts';

const AVX512 = 'avx512f avx512dq avx512bw avx512vl';
const source = availableSources().get('native');
const blis =
  source?.name === 'native' && source.libraryPath.includes('blis') ? source.libraryPath : undefined;

function cpuinfo(vendor: string, family: number, flags: string): string {
  const lines = ['processor\t: 0', `vendor_id\t: ${vendor}`, `cpu family\t: ${family}`, 'model\t\t: 2'];
  return [...lines, 'model name\t: Some processor', `flags\t\t: fpu ${flags} sha_ni`, '', ''].join('\n');
}

test('a processor that BLIS does not know gets the best kernels that its flags allow', () => {
  assert.deepEqual(kernelSets(cpuinfo('AuthenticAMD', 26, `fma avx2 ${AVX512}`)), ['skx', 'zen3']);
  assert.deepEqual(kernelSets(cpuinfo('AuthenticAMD', 26, 'fma avx2 avx512f')), ['zen3']);
  assert.deepEqual(kernelSets(cpuinfo('AuthenticAMD', 26, 'sse4_2')), []);
});

test('a processor that BLIS knows, or of which nothing is known, is left to BLIS', () => {
  assert.deepEqual(kernelSets(cpuinfo('AuthenticAMD', 25, `fma avx2 ${AVX512}`)), [], 'Zen 4');
  assert.deepEqual(kernelSets(cpuinfo('GenuineIntel', 6, `fma avx2 ${AVX512}`)), []);
  assert.deepEqual(kernelSets('processor\t: 0\nBogoMIPS\t: 50.00\nCPU implementer\t: 0x41\n'), [], 'ARM');
  assert.deepEqual(kernelSets(''), []);
});

test('a library that does not compute is found out by another process', () => {
  assert.equal(passesTrial('/nonexistent/libblis.so.4'), false);
  assert.equal(passesTrial('libc.so.6'), false, 'no BLAS');
  if (blis !== undefined) assert.equal(passesTrial(blis), true);
});

test('BLIS does not fall back to portable C, and a kernel set that somebody named stays', {
  skip: blis === undefined || process.arch !== 'x64' ? 'no BLIS, or no x64' : false,
}, () => {
  const code = `
    const { selectKernel } = await import('${new URL('../../../workers/kernels/select.js', import.meta.url).href}');
    const { loadLibrary } = await import('${new URL('../../../workers/kernels/native/foreign.js', import.meta.url).href}');
    const { dirname } = await import('node:path');
    selectKernel('native', [dirname(${JSON.stringify(blis)})]);
    const library = loadLibrary(${JSON.stringify(blis)});
    const id = library.find('int bli_arch_query_id()')();
    console.log(library.find('const char *bli_arch_string(int id)')(id));`;
  const used = (env: Record<string, string>) =>
    execFileSync(process.execPath, ['--input-type=module', '--eval', code], {
      // Without the advice that this process has taken already.
      env: { ...process.env, BLIS_ARCH_TYPE: undefined, ...env },
      encoding: 'utf8',
    }).trim();
  const own = used({});
  assert.notEqual(own, 'generic');
  // The ids of BLIS 0.9 and later begin with Intel's; this one runs wherever AVX2 does.
  assert.equal(used({ BLIS_ARCH_TYPE: '3' }), 'haswell');
});
