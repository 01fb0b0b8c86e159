import { linear } from '../rules.ts';
import { transposeShape } from '../shape.ts';

/** C = Aᵀ: a view. Its adjoint is itself. */
export const transpose = linear<'transpose'>({
  shape: ([a]) => transposeShape(a),
  flops: () => 0n,
  isView: true,
  region: (_node, { rows, cols }) => [{ rows: cols, cols: rows }],
  bound: ([a]) => a,
  apply: (build, a) => build.transpose(a),
  adjoint: (build, g) => build.transpose(g),
});
