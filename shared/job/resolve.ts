// From a validated request and the shapes of what it refers to, to a spec: every name has a shape, every value that
// the operation needs is there, and nothing is kept that it does not need. Pure; all refusals of contract §4 but size.

import { FrechetError } from '../errors.ts';
import { buildGraph } from '../math/build-graph.ts';
import type { Node } from '../math/graph.ts';
import { inferShape } from '../math/infer.ts';
import { parseExpression, type Syntax } from '../math/parse.ts';
import { formatShape, type Shape, sameShape } from '../math/shape.ts';
import { blockLimitsFor } from './block-limits.ts';
import { deriveJob } from './derivation.ts';
import { STACK_MEMBERS_MAX } from './limits.ts';
import type { BlockLimits, JobRequest, JobSpec, MatrixSpec, Operation, ValueSource } from './spec.ts';

/** A value a request refers to, looked up or parsed: its dimensions (rank 0 to 3), and where the bytes are, if anywhere. */
export interface ResolvedValue {
  readonly dims: readonly number[];
  readonly source?: ValueSource;
}

export interface ResolvedValues {
  readonly operands: ReadonlyMap<string, ResolvedValue>;
  readonly direction?: ResolvedValue;
  readonly cotangent?: ResolvedValue;
}

export interface JobIdentity {
  readonly id: string;
  readonly tenant: string;
  readonly createdAt: string;
}

/**
 * The spec of a request.
 *
 * @throws expression-syntax, expression-too-large, unknown-symbol, operand-missing, operand-unused,
 * operand-value-needed, shape-mismatch, columns-out-of-range, job-too-large (of a stack), schema
 */
export function resolveSpec(
  request: JobRequest,
  values: ResolvedValues,
  identity: JobIdentity,
  blockLimits: BlockLimits = blockLimitsFor(),
): JobSpec {
  requireFields(request);
  const syntax = parseExpression(request.expression);
  requireNames(request, syntax);
  const shapes = resolveShapes(request, values, syntax);
  const value = buildGraph(syntax, shapes);
  const wrtShape = shapes.get(request.wrt)!;
  const wrtDims = values.operands.get(request.wrt)?.dims;
  const direction = matchStack(values.direction, wrtShape, wrtDims, `the direction`, request.wrt);
  const cotangent = matchStack(values.cotangent, value.shape, undefined, 'the cotangent', 'F');
  requireEqualStacks(direction, cotangent);
  if (request.operation === 'check') requireMembers(direction, cotangent);
  const columns = resolveColumns(request, value, wrtShape);
  const { jacobian: _, operands: __, direction: ___, cotangent: ____, ...fields } = request;
  const spec: JobSpec = {
    version: 1,
    ...identity,
    ...fields,
    operands: Object.fromEntries(
      [...shapes].map(([name, shape]) => [name, matrixSpec(shape, values.operands.get(name))]),
    ),
    ...(direction && { direction }),
    ...(cotangent && { cotangent }),
    ...(columns && { columns }),
    blockLimits,
  };
  return keepNeeded(spec);
}

const NEEDS: Record<
  Operation,
  { direction: 'needed' | 'allowed' | 'refused'; cotangent: 'needed' | 'allowed' | 'refused' }
> = {
  value: { direction: 'refused', cotangent: 'refused' },
  jvp: { direction: 'needed', cotangent: 'refused' },
  vjp: { direction: 'refused', cotangent: 'needed' },
  jacobian: { direction: 'refused', cotangent: 'refused' },
  check: { direction: 'allowed', cotangent: 'allowed' },
};

function requireFields(request: JobRequest): void {
  const { operation } = request;
  for (const field of ['direction', 'cotangent'] as const) {
    const need = NEEDS[operation][field];
    const given = request[field] !== undefined;
    if (need === 'needed' && !given) throw schemaFault(field, 'required', `${operation} needs a ${field}`);
    if (need === 'refused' && given) throw schemaFault(field, 'unexpected', `${operation} takes no ${field}`);
  }
  if (request.errorBound === 'componentwise' && operation === 'check') {
    throw schemaFault('errorBound', 'unexpected', 'a check says itself what rounding is');
  }
  if (request.jacobian !== undefined && operation !== 'jacobian') {
    throw schemaFault('jacobian', 'unexpected', `${operation} has no Jacobian columns`);
  }
}

function schemaFault(field: string, code: string, detail: string): FrechetError {
  return new FrechetError('schema', detail, { errors: [{ pointer: `/${field}`, code, detail }] });
}

function requireNames(request: JobRequest, syntax: Syntax): void {
  if (!syntax.names.includes(request.wrt)) {
    throw new FrechetError('unknown-symbol', `"${request.wrt}" does not occur in ${request.expression}`);
  }
  for (const name of Object.keys(request.operands)) {
    if (syntax.names.includes(name)) continue;
    const detail = `operand "${name}" does not occur in ${request.expression}`;
    throw new FrechetError('operand-unused', detail, {
      errors: [{ pointer: `/operands/${name}`, code: 'operand-unused', detail }],
    });
  }
}

/** The shape of every name: given, that of the direction for the variable, or what the cotangent's shape implies. */
function resolveShapes(request: JobRequest, values: ResolvedValues, syntax: Syntax): Map<string, Shape> {
  const shapes = new Map<string, Shape>();
  for (const name of syntax.names) {
    const value = values.operands.get(name);
    if (value !== undefined) shapes.set(name, matrixShape(value.dims, `operand "${name}"`));
  }
  const missing = syntax.names.filter(name => !shapes.has(name));
  if (missing.length === 1 && missing[0] === request.wrt) {
    const shape = impliedShape(request, values, syntax, shapes);
    if (shape !== undefined) shapes.set(request.wrt, shape);
  }
  const unknown = syntax.names.find(name => !shapes.has(name));
  if (unknown !== undefined) {
    const detail = `operand "${unknown}" is missing; give an array, or { "shape" } where its value does not matter`;
    throw new FrechetError('operand-missing', detail, {
      errors: [{ pointer: `/operands/${unknown}`, code: 'operand-missing', detail }],
    });
  }
  // In the order of the expression, so that the spec of a request is always the same.
  return new Map(syntax.names.map(name => [name, shapes.get(name)!]));
}

function impliedShape(
  request: JobRequest,
  { direction, cotangent }: ResolvedValues,
  syntax: Syntax,
  known: ReadonlyMap<string, Shape>,
): Shape | undefined {
  if (direction !== undefined) return matrixShape(direction.dims.slice(-2), 'the direction');
  if (cotangent === undefined) return undefined;
  return inferShape(syntax, known, request.wrt, matrixShape(cotangent.dims.slice(-2), 'the cotangent'));
}

/** Rank 0 is 1×1, rank 1 of length n is n×1. */
function matrixShape(dims: readonly number[], what: string): Shape {
  if (dims.length > 2) {
    throw new FrechetError(
      'shape-mismatch',
      `${what} is a stack (${dims.join('×')}) where a matrix is needed`,
    );
  }
  return { rows: dims[0] ?? 1, cols: dims[1] ?? 1 };
}

/** A direction or cotangent is one matrix of the given shape, or a stack of them. */
function matchStack(
  value: ResolvedValue | undefined,
  shape: Shape,
  dims: readonly number[] | undefined,
  what: string,
  of: string,
): MatrixSpec | undefined {
  if (value === undefined) return undefined;
  const source = value.source === undefined ? {} : { source: value.source };
  if (value.dims.length <= 2 && sameShape(matrixShape(value.dims, what), shape)) return { shape, ...source };
  const [members, ...rest] = value.dims;
  // A stack of k columns may come as k×n where the variable itself came as rank 1.
  const isStack = value.dims.length === 3 || dims === undefined || dims.length === rest.length;
  if (members === undefined || !isStack || !sameShape(matrixShape(rest, what), shape)) {
    const detail = `${what} has shape ${value.dims.join('×') || '1×1'}, but ${of} is ${formatShape(shape)}`;
    throw new FrechetError('shape-mismatch', detail);
  }
  if (members > STACK_MEMBERS_MAX) {
    throw new FrechetError('job-too-large', 'too many members in a stack', {
      limit: STACK_MEMBERS_MAX,
      requested: members,
    });
  }
  return { shape, members, ...source };
}

function requireEqualStacks(direction: MatrixSpec | undefined, cotangent: MatrixSpec | undefined): void {
  if (direction?.members === undefined || cotangent?.members === undefined) return;
  if (direction.members === cotangent.members) return;
  throw new FrechetError(
    'shape-mismatch',
    `the direction has ${direction.members} members and the cotangent ${cotangent.members}`,
  );
}

/** The verdict of a check is that of its worst member. */
function requireMembers(direction: MatrixSpec | undefined, cotangent: MatrixSpec | undefined): void {
  if (direction?.members !== 0 && cotangent?.members !== 0) return;
  throw new FrechetError('shape-mismatch', 'a check needs a direction: this stack has no members');
}

function resolveColumns(request: JobRequest, value: Node, wrt: Shape): readonly [number, number] | undefined {
  if (request.operation !== 'jacobian') return undefined;
  const total = wrt.rows * wrt.cols;
  const [start, stop] = request.jacobian?.columns ?? [0, total];
  if (start <= stop && stop <= total) return [start, stop];
  throw new FrechetError(
    'columns-out-of-range',
    `columns [${start}, ${stop}) of a Jacobian of ${value.shape.rows * value.shape.cols}×${total}`,
    { limit: total, requested: stop },
  );
}

function matrixSpec(shape: Shape, value: ResolvedValue | undefined): MatrixSpec {
  return value?.source === undefined ? { shape } : { shape, source: value.source };
}

/** Drops the values that the derivative does not depend on, and refuses a spec that lacks one it does. */
function keepNeeded(spec: JobSpec): JobSpec {
  const needed = deriveJob(spec).inputs;
  const operands = Object.entries(spec.operands).map(([name, operand]): [string, MatrixSpec] => {
    const isNeeded = needed.some(input => input.role === 'operand' && input.name === name);
    if (isNeeded && operand.source === undefined) throw valueNeeded(`operands/${name}`, `operand "${name}"`);
    return [name, isNeeded ? operand : { shape: operand.shape }];
  });
  if (spec.operation !== 'check') {
    for (const field of ['direction', 'cotangent'] as const) {
      if (spec[field] !== undefined && spec[field].source === undefined)
        throw valueNeeded(field, `the ${field}`);
    }
  }
  return { ...spec, operands: Object.fromEntries(operands) };
}

function valueNeeded(path: string, what: string): FrechetError {
  const detail = `the value of ${what} is needed, a shape is not enough`;
  return new FrechetError('operand-value-needed', detail, {
    errors: [{ pointer: `/${path}`, code: 'operand-value-needed', detail }],
  });
}
