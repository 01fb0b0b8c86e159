// Which parts of its inputs a part of the result needs: a slice of a graph, as a graph whose slices stand at the
// inputs. Rows of A·W·B need those rows of A and no others. Products keep their order, so that an element of a
// result is computed by the same operations in whatever block it lies.

import { assert } from '../assert.ts';
import { build, type Node, type Range, type Region, rebuild, topologicalOrder } from './graph.ts';
import { PRIMITIVES } from './primitives/index.ts';
import type { Shape } from './shape.ts';

/** A graph for rows and columns (half-open) of the value of `root`. */
export function sliceGraph(root: Node, rows: Range, cols: Range): Node {
  const order = topologicalOrder([root]);
  const demanded = demandRegions(root, { rows, cols }, order);
  const slices = new Map<Node, Map<string, Node>>();
  for (const node of order) {
    const regions = demanded.get(node) ?? new Map<string, Region>();
    slices.set(node, new Map([...regions].map(([key, region]) => [key, sliceNode(node, region)])));
  }
  return sliceOf(root, { rows, cols });

  function sliceNode(node: Node, region: Region): Node {
    if (isWhole(region, node.shape) && inputRegions(node, region) === undefined) return wholeNode(node);
    const regions = inputRegions(node, region);
    if (regions === undefined) return build.slice(wholeNode(node), region);
    if (node.primitive === 'slice') return sliceOf(node.inputs[0], regionAt(regions, 0));
    return rebuild(
      node,
      node.inputs.map((input, index) => sliceOf(input, regionAt(regions, index))),
    );
  }

  /** A node that slices do not enter: all of each input. */
  function wholeNode(node: Node): Node {
    return rebuild(
      node,
      node.inputs.map(input => sliceOf(input, wholeOf(input.shape))),
    );
  }

  function sliceOf(node: Node, region: Region): Node {
    const slice = slices.get(node)?.get(keyOf(region));
    assert(slice !== undefined, 'regions are demanded before they are cut');
    return slice;
  }
}

/** The regions of every node that the region of the root needs, found from users to inputs. */
function demandRegions(
  root: Node,
  region: Region,
  order: readonly Node[],
): ReadonlyMap<Node, ReadonlyMap<string, Region>> {
  const demanded = new Map<Node, Map<string, Region>>([[root, new Map([[keyOf(region), region]])]]);
  for (const node of order.toReversed()) {
    for (const own of demanded.get(node)?.values() ?? []) {
      const regions = inputRegions(node, own) ?? node.inputs.map(input => wholeOf(input.shape));
      for (const [index, input] of node.inputs.entries()) demand(input, regionAt(regions, index));
    }
  }
  return demanded;

  function demand(node: Node, wanted: Region): void {
    const known = demanded.get(node) ?? new Map<string, Region>();
    demanded.set(node, known.set(keyOf(wanted), wanted));
  }
}

function inputRegions(node: Node, region: Region): readonly Region[] | undefined {
  return PRIMITIVES[node.primitive].region(node, region);
}

function regionAt(regions: readonly Region[], index: number): Region {
  const region = regions[index];
  assert(region !== undefined, 'a rule names a region for every input');
  return region;
}

function wholeOf({ rows, cols }: Shape): Region {
  return { rows: [0, rows], cols: [0, cols] };
}

function isWhole({ rows, cols }: Region, shape: Shape): boolean {
  return rows[0] === 0 && rows[1] === shape.rows && cols[0] === 0 && cols[1] === shape.cols;
}

function keyOf({ rows, cols }: Region): string {
  return `${rows[0]} ${rows[1]} ${cols[0]} ${cols[1]}`;
}
