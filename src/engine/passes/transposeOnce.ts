/**
 * Writes the transposed left operand of a product out, once. The runtime's product of Aᵀ transposes A again for every panel of
 * B's columns, which costs a third of a weight's gradient; of A and B the smaller one is transposed, the product of the other
 * order being the transposed result.
 */
import {sizeOf} from '../../tensor/ndarray.js';
import {type Graph, type Node, type Value} from '../graph.js';
import {rewrite, type Program} from './rewrite.js';

/** Below this many elements the transpose is not worth a node. */
const LEAST_SIZE = 16384;
/** In stacks of matrices smaller than this one panel is all there is, and nothing is transposed twice. */
const LEAST_MATRIX = 4096;

interface Product {
  readonly a: Value;
  readonly b: Value;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly batch: readonly number[];
}

/** Aᵀ·B of matrices or of equal stacks of them, with no other factor. */
function transposedProduct(node: Node, inputs: readonly (Value | undefined)[]): Product | undefined {
  if (node.op !== 'Gemm' && node.op !== 'FusedMatMul') return undefined;
  const [a, b, c] = inputs;
  if (
    !a ||
    !b ||
    c ||
    node.attributes['transA'] !== 1 ||
    node.attributes['transB'] !== 0 ||
    node.attributes['alpha'] !== undefined
  )
    return undefined;
  const [batch, other] = [a.shape.slice(0, -2), b.shape.slice(0, -2)];
  if (batch.join() !== other.join()) return undefined;
  return {a, b, batch, k: a.shape.at(-2)!, m: a.shape.at(-1)!, n: b.shape.at(-1)!};
}

/**
 * Swaps the last two axes. A reshape stands on either side, or else the runtime would fold the transpose back into the product.
 */
function turned(graph: Graph, v: Value): Value {
  const [rows, columns] = v.shape.slice(-2);
  const stack = sizeOf(v.shape) / (rows * columns);
  const flat = graph.op('Reshape', [v, graph.ints([stack, rows, columns])], {dtype: v.dtype, shape: [stack, rows, columns]});
  const swapped = graph.op('Transpose', [flat], {dtype: v.dtype, shape: [stack, columns, rows]}, {perm: [0, 2, 1]});
  const shape = [...v.shape.slice(0, -2), columns, rows];
  return graph.op('Reshape', [swapped, graph.ints(shape)], {dtype: v.dtype, shape});
}

/** Applies the pass. */
export const transposeOnce = (program: Program): Program =>
  rewrite(program, (graph, node, inputs) => {
    const product = transposedProduct(node, inputs);
    if (!product || Math.min(sizeOf(product.a.shape), sizeOf(product.b.shape)) < LEAST_SIZE) return undefined;
    const {a, b, m, n, k, batch} = product;
    if (k * Math.min(m, n) < LEAST_MATRIX) return undefined;
    const dtype = a.dtype;
    if (sizeOf(a.shape) <= sizeOf(b.shape)) return [graph.op('MatMul', [turned(graph, a), b], {dtype, shape: [...batch, m, n]})];
    // (Bᵀ·A)ᵀ pays if the result is the smallest of the three.
    if (2 * m * n * sizeOf(batch) > sizeOf(b.shape)) return undefined;
    return [turned(graph, graph.op('MatMul', [turned(graph, b), a], {dtype, shape: [...batch, n, m]}))];
  });
