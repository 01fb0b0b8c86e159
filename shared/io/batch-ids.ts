// Ids and keys of batches, of their lines and of slices of lines. A line's job has the batch's id with the line's number
// at its end, so that an id alone tells where everything about its job lies.

import { SLICE_LINES } from '../job/limits.ts';
import { shardOf } from './store/newest-first.ts';

const INDEX_LENGTH = 4;
/** Crockford's base 32, which ULIDs are written in. */
const DIGITS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const BATCH_SUFFIX = '0'.repeat(INDEX_LENGTH);

/** A batch's id from any ULID: its last characters leave room for the lines' numbers. */
export function batchId(ulid: string): string {
  return ulid.slice(0, -INDEX_LENGTH) + BATCH_SUFFIX;
}

/** The batch that a job of this id would be of. */
export function batchIdOf(jobId: string): string {
  return batchId(jobId);
}

/** @param index of the record, from 1 */
export function lineJobId(id: string, index: number): string {
  let digits = '';
  for (let rest = index; digits.length < INDEX_LENGTH; rest = Math.floor(rest / 32))
    digits = DIGITS[rest % 32] + digits;
  return id.slice(0, -INDEX_LENGTH) + digits;
}

/** 0 for the id of a batch itself. */
export function lineIndexOf(jobId: string): number {
  return [...jobId.slice(-INDEX_LENGTH)].reduce((index, digit) => index * 32 + DIGITS.indexOf(digit), 0);
}

/** The slice that a record is in. @param index from 1 */
export function sliceOfLine(index: number): number {
  return Math.floor((index - 1) / SLICE_LINES);
}

/** Id of the first job of a slice, which stands for the slice where something needs an id of a job's form. */
export function sliceId(batchId: string, slice: number): string {
  return lineJobId(batchId, slice * SLICE_LINES + 1);
}

export function batchKey(tenant: string, id: string): string {
  return `tenants/${tenant}/batches/${shardOf(id)}/${id}`;
}
