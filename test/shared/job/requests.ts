// Requests and specs for tests: values by shape alone, as a gateway would resolve them.

import { type ResolvedValue, type ResolvedValues, resolveSpec } from '../../../shared/job/resolve.ts';
import { type BlockLimits, type JobSpec, jobRequest } from '../../../shared/job/spec.ts';
import type { Dtype } from '../../../shared/math/dtype.ts';
import type { Order } from '../../../shared/math/view.ts';

export const ARRAY_ID = 'a'.repeat(64);

/** An uploaded array of these dimensions. */
export function array(dims: readonly number[], dtype: Dtype = 'float64', order: Order = 'C'): ResolvedValue {
  return { dims, source: { array: ARRAY_ID, dtype, order } };
}

/** A `{ "shape" }`. */
export function shapeOnly(...dims: readonly number[]): ResolvedValue {
  return { dims };
}

export interface Wanted {
  readonly operation: string;
  readonly expression?: string;
  readonly wrt?: string;
  readonly operands?: Readonly<Record<string, ResolvedValue>>;
  readonly direction?: ResolvedValue;
  readonly cotangent?: ResolvedValue;
  readonly columns?: readonly [number, number];
  readonly dtype?: Dtype;
  readonly blockLimits?: BlockLimits;
  /** Further fields of the request. */
  readonly fields?: Readonly<Record<string, unknown>>;
}

/** The spec of a request whose references were looked up already. */
export function specOf(wanted: Wanted): JobSpec {
  const { operands = {}, direction, cotangent, columns, blockLimits, fields, ...rest } = wanted;
  const request = jobRequest.parse({
    ...rest,
    operands: Object.fromEntries(Object.keys(operands).map(name => [name, ARRAY_ID])),
    ...(direction && { direction: ARRAY_ID }),
    ...(cotangent && { cotangent: ARRAY_ID }),
    ...(columns && { jacobian: { columns } }),
    ...fields,
  });
  const values: ResolvedValues = {
    operands: new Map(Object.entries(operands)),
    ...(direction && { direction }),
    ...(cotangent && { cotangent }),
  };
  const identity = {
    id: '01JE0000000000000000000000',
    tenant: 'default',
    createdAt: '2026-11-23T00:00:00.000Z',
  };
  return resolveSpec(request, values, identity, blockLimits);
}
