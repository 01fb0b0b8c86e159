// The committed module is what its source says it is.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { ARTEFACT } from '../../../../workers/kernels/wasm/artefact.ts';
import { assemble } from '../../../../workers/kernels/wasm/build.ts';
import { WASM_VARIANTS } from '../../../../workers/kernels/wasm/lanes.ts';

for (const variant of WASM_VARIANTS) {
  test(`the ${variant} artefact is what the template assembles to`, async () => {
    const digest = (base64: string) =>
      createHash('sha256').update(Buffer.from(base64, 'base64')).digest('hex');
    assert.equal(
      digest(ARTEFACT[variant]),
      digest(await assemble(variant)),
      'run: node dist/workers/kernels/wasm/build.js',
    );
  });
}

test('the strict module has no fused or relaxed instruction, the relaxed one has', async () => {
  // Relaxed SIMD instructions are 0xfd, then a LEB128 number from 0x100 to 0x12f: its bytes are 0x80–0xaf, 0x02.
  const relaxed = (base64: string) => {
    const bytes = Buffer.from(base64, 'base64');
    return bytes.filter(
      (byte, i) => byte === 0xfd && bytes[i + 1]! >= 0x80 && bytes[i + 1]! <= 0xaf && bytes[i + 2] === 0x02,
    ).length;
  };
  assert.equal(relaxed(ARTEFACT.strict), 0);
  assert.ok(relaxed(ARTEFACT.relaxed) > 0);
});
