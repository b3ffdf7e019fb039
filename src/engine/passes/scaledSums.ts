/**
 * a·x + z in one pass over memory, for the CPU. Its element-wise operators take one each for the product and the sum; a convolution
 * of one channel with a filter of one element, to which onnxruntime adds a sum, takes one, and writes where z lay if nobody else
 * wants z. Optimizers and averages are made of such sums.
 */
import {sizeOf} from '../../tensor/ndarray.js';
import {sameShape, type Graph, type Value} from '../graph.js';
import {op1, reshape} from '../lower/lowering.js';
import {rewrite, type Program} from './rewrite.js';

/** Below this many elements a pass costs less than the reshapes around the convolution. */
const LEAST = 65_536;

/** The factor and the array of a product of both. */
function scaled(v: Value): {factor: Value; x: Value} | undefined {
  if (v.node?.op !== 'Mul') return undefined;
  const [a, b] = v.node.inputs as readonly [Value, Value];
  if (sizeOf(a.shape) === 1 && sameShape(b.shape, v.shape)) return {factor: a, x: b};
  return sizeOf(b.shape) === 1 && sameShape(a.shape, v.shape) ? {factor: b, x: a} : undefined;
}

/** a·x + z. */
function scaledSum(graph: Graph, factor: Value, x: Value, z: Value): Value {
  const line = [1, 1, 1, sizeOf(x.shape)];
  const found = graph.op(
    'FusedConv',
    [reshape(graph, x, line), reshape(graph, factor, [1, 1, 1, 1]), undefined, reshape(graph, z, line)],
    {dtype: x.dtype, shape: line},
    {kernel_shape: [1, 1], pads: [0, 0, 0, 0], strides: [1, 1], dilations: [1, 1], group: 1},
    'com.microsoft',
  );
  return reshape(graph, found, x.shape);
}

/** How often each value is used. */
function usesOf({graph, outputs}: Program): ReadonlyMap<Value, number> {
  const uses = new Map<Value, number>();
  const count = (v: Value | undefined): void => {
    if (v) uses.set(v, (uses.get(v) ?? 0) + 1);
  };
  graph.nodes.forEach(({inputs}) => inputs.forEach(count));
  outputs.forEach(count);
  return uses;
}

/** Applies the pass. */
export function scaledSums(program: Program): Program {
  const uses = usesOf(program);
  return rewrite(program, (graph, node, inputs) => {
    const [output] = node.outputs;
    if ((node.op !== 'Add' && node.op !== 'Sub') || output.dtype !== 'float32' || sizeOf(output.shape) < LEAST) return undefined;
    // Of a difference only what is taken off can be the product.
    for (const at of node.op === 'Add' ? [0, 1] : [1]) {
      const [product, z] = [inputs[at]!, inputs[1 - at]!];
      const parts = uses.get(node.inputs[at]!) === 1 ? scaled(product) : undefined;
      if (!parts || !sameShape(z.shape, output.shape) || !sameShape(product.shape, output.shape)) continue;
      return [scaledSum(graph, node.op === 'Add' ? parts.factor : op1(graph, 'Neg', parts.factor), parts.x, z)];
    }
    return undefined;
  });
}
