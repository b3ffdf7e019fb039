/** Kernels that make one number of many. */
import {UnsupportedOpError} from '../../errors.js';
import type {Graph, GraphDType, Value} from '../graph.js';
import {onnxDataType} from '../onnx.js';
import {axesOf, cast, reshape, type Lowering, type Lowerings} from './lowering.js';

function reduced(x: Value, axes: readonly number[], keepDims: boolean): number[] {
  return x.shape.flatMap((d, i) => (axes.includes(i) ? (keepDims ? [1] : []) : [d]));
}

const reduce = (op: string, dtype?: (x: GraphDType) => GraphDType): Lowering => (graph, {x}, {axis, keepDims}) => {
  const axes = axesOf(axis, x!.shape.length);
  const keep = keepDims === true;
  const to = dtype?.(x!.dtype) ?? x!.dtype;
  const input = to === x!.dtype ? x! : cast(graph, x!, to, onnxDataType(to));
  const shape = reduced(x!, axes, keep);
  if (axes.length === 0) return input;
  // Reducing axes of size 1 is a reshape, except for sums of squares and the like, of which there are none here.
  if (axes.every((a) => x!.shape[a] === 1)) return reshape(graph, input, shape);
  return graph.op(op, [input, graph.ints(axes)], {dtype: to, shape}, {keepdims: keep ? 1 : 0});
};

const argument = (op: string): Lowering => (graph, {x}, {axis}) => {
  const at = axesOf(axis, x!.shape.length)[0]!;
  const found = graph.op(op, [x], {dtype: 'int64', shape: reduced(x!, [at], false)}, {axis: at, keepdims: 0});
  return cast(graph, found, 'int32', onnxDataType('int32'));
};

const logical = (op: string): Lowering => (graph, {x}, {axis, keepDims}) => {
  const axes = axesOf(axis, x!.shape.length);
  const ints = cast(graph, x!, 'int32', onnxDataType('int32'));
  const shape = reduced(x!, axes, keepDims === true);
  const r = graph.op(op, [ints, graph.ints(axes)], {dtype: 'int32', shape}, {keepdims: keepDims === true ? 1 : 0});
  return graph.op('Greater', [r, graph.scalar(0, 'int32')], {dtype: 'bool', shape});
};

/** Running sum along one axis; tfjs asks for the last one only, after transposing. */
function cumulative(graph: Graph, x: Value, axis: number, exclusive: boolean, reverse: boolean): Value {
  return graph.op('CumSum', [x, graph.constant([axis], [], 'int64')], {dtype: x.dtype, shape: x.shape}, {exclusive: exclusive ? 1 : 0, reverse: reverse ? 1 : 0});
}

export const reduction: Lowerings = {
  Sum: reduce('ReduceSum', (d) => (d === 'bool' ? 'int32' : d)),
  Mean: reduce('ReduceMean', () => 'float32'),
  Max: reduce('ReduceMax'),
  Min: reduce('ReduceMin'),
  Prod: reduce('ReduceProd'),
  ArgMax: argument('ArgMax'),
  ArgMin: argument('ArgMin'),
  All: logical('ReduceMin'),
  Any: logical('ReduceMax'),
  Softmax: (graph, {logits}, {dim}) => {
    const rank = logits!.shape.length;
    const axis = (dim as number | undefined) ?? -1;
    return graph.op('Softmax', [logits], {dtype: logits!.dtype, shape: logits!.shape}, {axis: axis < 0 ? axis + rank : axis});
  },
  LogSoftmax: (graph, {logits}, {axis}) => {
    const at = axesOf(axis, logits!.shape.length)[0]!;
    return graph.op('LogSoftmax', [logits], {dtype: logits!.dtype, shape: logits!.shape}, {axis: at});
  },
  Cumsum: (graph, {x}, {axis, exclusive, reverse}) =>
    cumulative(graph, x!, axesOf(axis, x!.shape.length)[0]!, exclusive === true, reverse === true),
  TopK: (graph, {x}, {k, sorted}) => {
    const at = x!.shape.length - 1;
    const shape = x!.shape.map((d, i) => (i === at ? (k as number) : d));
    if (x!.dtype !== 'float32' && x!.dtype !== 'int32') throw new UnsupportedOpError(`compile: TopK of ${x!.dtype}.`);
    const [values, indices] = graph.ops('TopK', [x, graph.ints([k as number])], [{dtype: x!.dtype, shape}, {dtype: 'int64', shape}], {
      axis: at,
      largest: 1,
      sorted: sorted === false ? 0 : 1,
    });
    return [values!, cast(graph, indices!, 'int32', onnxDataType('int32'))];
  },
};
