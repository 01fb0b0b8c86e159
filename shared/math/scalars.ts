// Scale factors on top of a node: taken off, gathered and put back in one normal order, the number first.

import { build, type Node } from './graph.ts';

/** c·s₁·s₂·…·core. A core that is a number is 1: the number is in the coefficient. */
export interface Scaled {
  readonly coefficient: number;
  /** 1×1 nodes; a number among them is one that could not be folded into the coefficient. */
  readonly scalars: readonly Node[];
  readonly core: Node;
}

/**
 * a·b, where scaling by it is scaling by b and then by a; undefined where the product overflows or is lost to
 * underflow, for then it says another thing than its factors.
 */
export function foldCoefficients(a: number, b: number): number | undefined {
  const product = a * b;
  const isFaithful = Number.isFinite(product) && (Math.abs(product) >= 2 ** -1022 || a === 0 || b === 0);
  return isFaithful ? product : undefined;
}

/** Takes the scale factors off a node. */
export function peel(node: Node): Scaled {
  const factors: Node[] = [];
  let core = node;
  for (; core.primitive === 'scale'; core = core.inputs[1]) factors.push(core.inputs[0]);
  if (core.primitive === 'constant') factors.push(core);
  return fold(factors, core.primitive === 'constant' ? build.constant(1) : core);
}

/** The factors of several nodes together, over a new core. */
export function gather(parts: readonly Scaled[], core: Node): Scaled {
  const factors = parts.flatMap(part => [build.constant(part.coefficient), ...part.scalars]);
  return fold(factors, core);
}

/** Puts scale factors on a node; a coefficient of 1 is nothing to put, and neither is a core of 1. */
export function wrap({ coefficient, scalars, core }: Scaled): Node {
  const isNumber = core.primitive === 'constant' && core.params.value === 1;
  const last = isNumber ? scalars.at(-1) : core;
  if (last === undefined) return build.constant(coefficient);
  const others = isNumber ? scalars.slice(0, -1) : scalars;
  const withScalars = others.reduceRight((node, s) => build.scale(s, node), last);
  return coefficient === 1 ? withScalars : build.scale(build.constant(coefficient), withScalars);
}

function fold(factors: readonly Node[], core: Node): Scaled {
  let coefficient = 1;
  const scalars: Node[] = [];
  for (const factor of factors) {
    const folded =
      factor.primitive === 'constant' ? foldCoefficients(coefficient, factor.params.value) : undefined;
    if (folded === undefined) scalars.push(factor);
    else coefficient = folded;
  }
  return { coefficient, scalars, core };
}
