// From what zod finds wrong with a document to the faults a client is told of: a JSON pointer, a code, a sentence.

import type { z } from 'zod';
import { type Fault, FrechetError } from '../errors.ts';

/** One document can have millions of faults; nobody reads past the first few. */
const FAULTS_MAX = 20;
/** A step longer than this is no name of ours: its beginning says which one is meant, and the answer stays short. */
const STEP_LENGTH_MAX = 256;

/**
 * Parses a document, already read from JSON, into the form of a schema.
 *
 * @throws schema with a pointer for every fault, up to a limit
 */
export function parseDocument<S extends z.ZodType>(schema: S, document: unknown): z.output<S> {
  const parsed = schema.safeParse(document);
  if (!parsed.success) throw schemaError(schemaFaults(parsed.error));
  return parsed.data;
}

/** The error for faults found by other means than a schema. */
export function schemaError(faults: readonly Fault[]): FrechetError {
  const first = faults[0];
  const place = first === undefined || first.pointer === '' ? 'the document' : first.pointer;
  const rest = faults.length > 1 ? ` (and ${faults.length - 1} more)` : '';
  return new FrechetError('schema', `${place}: ${first?.detail ?? 'not acceptable'}${rest}`, {
    errors: faults,
  });
}

function schemaFaults(error: z.ZodError): Fault[] {
  return error.issues.slice(0, FAULTS_MAX).flatMap(faultsOf).slice(0, FAULTS_MAX);
}

/** An unknown property is a fault of the property, not of the object that holds it. */
function faultsOf(issue: z.core.$ZodIssue): Fault[] {
  if (issue.code !== 'unrecognized_keys') {
    return [{ pointer: jsonPointer(issue.path), code: issue.code, detail: issue.message }];
  }
  return issue.keys.map(key => ({
    pointer: jsonPointer([...issue.path, key]),
    code: issue.code,
    detail: 'no such property is known here',
  }));
}

/** RFC 6901: each step after a slash, with ~ and / escaped; the whole document is the empty string. */
export function jsonPointer(path: readonly PropertyKey[]): string {
  return path.map(step => `/${shortened(String(step)).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

function shortened(step: string): string {
  return step.length <= STEP_LENGTH_MAX ? step : `${step.slice(0, STEP_LENGTH_MAX)}…`;
}
