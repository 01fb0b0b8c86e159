// A document as it is stored: JSON in one line, whose last member is the SHA-256 of all that stands before it. A bit that
// flips at rest would else be another spec, computed and verified as if somebody had asked for it.
//
//   {"version":1,…,"sha256":"<hex of {"version":1,…}>"}

import { createHash } from 'node:crypto';
import { assert } from '../../assert.ts';
import { FrechetError } from '../../errors.ts';

const SEAL = /,"sha256":"([0-9a-f]{64})"\}\n?$/;

/** @param document with a member at least, none of them called sha256 */
export function encodeDocument(document: object): Buffer {
  const text = JSON.stringify(document);
  assert(text.length > 2 && text.endsWith('}'), 'a document is an object that is not empty');
  return Buffer.from(`${text.slice(0, -1)},"sha256":"${sha256(text)}"}\n`);
}

/** What was encoded; a document of before there were digests is taken as it is. @throws unavailable where it is damaged */
export function decodeDocument(bytes: Uint8Array): unknown {
  const stored = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
  const seal = SEAL.exec(stored);
  const text = seal === null ? stored : `${stored.slice(0, seal.index)}}`;
  if (seal !== null && sha256(text) !== seal[1]) throw damaged();
  try {
    return JSON.parse(text);
  } catch (error) {
    throw damaged(error);
  }
}

function damaged(cause?: unknown): FrechetError {
  return new FrechetError('unavailable', 'A stored document is damaged.', {}, { cause });
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
