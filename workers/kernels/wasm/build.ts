// Assembles the kernel's template and writes the artefact that is committed beside it. Run after every change of the
// template: `npx tsc -p . && node dist/workers/kernels/wasm/build.js`. A test rebuilds and compares.

import { writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import loadWabt from 'wabt';
import { WASM_VARIANTS, type WasmVariant } from './lanes.ts';
import { moduleText } from './template.ts';

/** The source tree's copy, reached from dist/workers/kernels/wasm, where this file runs. */
const ARTEFACT = new URL('../../../../workers/kernels/wasm/artefact.ts', import.meta.url);

/** The module as base64: tsc copies no .wasm files, and an image holds nothing but what tsc wrote. */
export async function assemble(variant: WasmVariant): Promise<string> {
  const wabt = await loadWabt();
  const features = { simd: true, threads: true, relaxed_simd: true };
  const parsed = wabt.parseWat(`${variant}.wat`, moduleText(variant), features);
  parsed.resolveNames();
  return Buffer.from(parsed.toBinary({}).buffer).toString('base64');
}

async function writeArtefact(): Promise<void> {
  const entries = await Promise.all(WASM_VARIANTS.map(async v => `  ${v}:\n    '${await assemble(v)}',\n`));
  const header =
    '// Written by build.ts from template.ts. Do not edit: change the template and build again.\n\n';
  writeFileSync(ARTEFACT, `${header}export const ARTEFACT = {\n${entries.join('')}} as const;\n`);
  process.stdout.write(`${fileURLToPath(ARTEFACT)}\n`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await writeArtefact();
