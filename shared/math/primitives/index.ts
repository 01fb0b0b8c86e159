// The table of primitives. A new one is a file beside this, a line in Signatures, a line in the table that fits, and a
// constructor in `build`; a hole does not compile. Differentiable primitives are what expressions are made of;
// structural ones appear only in what is derived from them (blocks, Jacobians), and no derivative passes them.

import type { Node, Range, Role } from '../graph.ts';
import type { AnyDifferentiable, AnyPrimitive, Differentiable, Primitive } from '../rules.ts';
import { add } from './add.ts';
import { constant } from './constant.ts';
import { identity } from './identity.ts';
import { inner } from './inner.ts';
import { input } from './input.ts';
import { kron } from './kron.ts';
import { matmul } from './matmul.ts';
import { scale } from './scale.ts';
import { slice } from './slice.ts';
import { transpose } from './transpose.ts';
import { vec } from './vec.ts';

type Nothing = Readonly<Record<never, never>>;

interface DifferentiableSignatures {
  input: {
    inputs: readonly [];
    params: { readonly name: string; readonly role: Role; readonly rows: number; readonly cols: number };
  };
  constant: {
    inputs: readonly [];
    /** `error`: how far a rounded sum of numbers may be from what it stands for; absent where it is exact. */
    params: { readonly value: number; readonly error?: number };
  };
  identity: { inputs: readonly []; params: { readonly size: number } };
  matmul: { inputs: readonly [Node, Node]; params: Nothing };
  add: { inputs: readonly [Node, Node]; params: Nothing };
  scale: { inputs: readonly [Node, Node]; params: Nothing };
  transpose: { inputs: readonly [Node]; params: Nothing };
  inner: { inputs: readonly [Node, Node]; params: Nothing };
}

interface StructuralSignatures {
  slice: { inputs: readonly [Node]; params: { readonly rows: Range; readonly cols: Range } };
  kron: { inputs: readonly [Node, Node]; params: { readonly swap: boolean } };
  vec: { inputs: readonly [Node]; params: Nothing };
}

/** Inputs and params of each primitive. */
export interface Signatures extends DifferentiableSignatures, StructuralSignatures {}

export type DifferentiableName = keyof DifferentiableSignatures;
export type StructuralName = keyof StructuralSignatures;
export type PrimitiveName = keyof Signatures;

export type DifferentiableTable = Readonly<Record<DifferentiableName, AnyDifferentiable>>;

export const DIFFERENTIABLE: DifferentiableTable = {
  input,
  constant,
  identity,
  matmul,
  add,
  scale,
  transpose,
  inner,
} satisfies { [P in DifferentiableName]: Differentiable<P> };

const STRUCTURAL = {
  slice,
  kron,
  vec,
} satisfies { [P in StructuralName]: Primitive<P> };

export const PRIMITIVES: Readonly<Record<PrimitiveName, AnyPrimitive>> = { ...DIFFERENTIABLE, ...STRUCTURAL };
