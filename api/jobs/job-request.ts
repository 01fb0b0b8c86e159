// From a parsed JSON body to a validated request. zod drops a `__proto__` key from a record without a word; JSON can
// hold one, and a document that is not what it looks like is refused.

import type { Fault } from '../../shared/errors.ts';
import { jsonPointer, parseDocument, schemaError } from '../../shared/job/schema-faults.ts';
import { type JobRequest, jobRequest } from '../../shared/job/spec.ts';

const RECORDS = ['operands', 'labels'] as const;

/** @throws schema with pointers */
export function parseJobRequest(body: unknown): JobRequest {
  const faults = RECORDS.flatMap(record => prototypeFault(body, record));
  if (faults.length > 0) throw schemaError(faults);
  return parseDocument(jobRequest, body);
}

function prototypeFault(body: unknown, record: string): Fault[] {
  const value = (body as Record<string, unknown> | null)?.[record];
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, '__proto__')) return [];
  const detail = 'this name is not possible';
  return [{ pointer: jsonPointer([record, '__proto__']), code: 'invalid_key', detail }];
}
