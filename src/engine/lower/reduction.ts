/** Kernels that make one number of many, or a running one. */
import {UnsupportedOpError} from '../../errors.js';
import type {Graph, GraphDType, Value} from '../graph.js';
import {asSpec, axesOf, axisOf, by, cast, op2, pad, reshape, slice, type Lowering, type Lowerings} from './lowering.js';

function reduced(x: Value, axes: readonly number[], keepDims: boolean): number[] {
  return x.shape.flatMap((d, i) => (axes.includes(i) ? (keepDims ? [1] : []) : [d]));
}

const reduce = (op: string, dtype?: (x: GraphDType) => GraphDType): Lowering =>
  by(op, (graph, {x}, {axis, reductionIndices, keepDims}) => {
    // Max alone calls its axes by another name.
    const axes = axesOf(axis ?? reductionIndices, x.shape.length);
    const keep = keepDims === true;
    const to = dtype?.(x.dtype) ?? x.dtype;
    const input = cast(graph, x, to);
    const shape = reduced(x, axes, keep);
    if (axes.length === 0) return input;
    if ((op === 'ReduceMax' || op === 'ReduceMin') && axes.some((a) => x.shape[a] === 0)) {
      throw new UnsupportedOpError(`compile: ${op} over an axis of [${x.shape.join()}] that has no elements.`);
    }
    // Reducing axes of size 1 is a reshape, except for sums of squares and the like, of which there are none here.
    if (axes.every((a) => x.shape[a] === 1)) return reshape(graph, input, shape);
    return graph.op(op, [input, graph.ints(axes)], {dtype: to, shape}, {keepdims: keep ? 1 : 0});
  });

const argument = (op: string): Lowering =>
  by(op, (graph, {x}, {axis}) => {
    const at = axisOf(axis, x.shape.length);
    const found = graph.op(op, [x], {dtype: 'int64', shape: reduced(x, [at], false)}, {axis: at, keepdims: 0});
    return cast(graph, found, 'int32');
  });

const logical =
  (op: string): Lowering =>
  (graph, {x}, {axis, keepDims}) => {
    const axes = axesOf(axis, x.shape.length);
    const shape = reduced(x, axes, keepDims === true);
    if (axes.length === 0) return x;
    const r = graph.op(
      op,
      [cast(graph, x, 'int32'), graph.ints(axes)],
      {dtype: 'int32', shape},
      {keepdims: keepDims === true ? 1 : 0},
    );
    return graph.op('Greater', [r, graph.scalar(0, 'int32')], {dtype: 'bool', shape});
  };

/** Each element times all before it, by doubling: log₂ n products of the array with itself moved along by 1, 2, 4, … places. */
function cumulativeProduct(graph: Graph, x: Value, axis: number, exclusive: boolean, reverse: boolean): Value {
  const n = x.shape[axis];
  const zeros = x.shape.map(() => 0);
  const moved = (y: Value, by: number): Value => {
    const ends = x.shape.map((_, i) => (i === axis ? by : 0));
    const kept = reverse ? slice(graph, y, [axis], [by], [n]) : slice(graph, y, [axis], [0], [n - by]);
    return reverse ? pad(graph, kept, zeros, ends, 1) : pad(graph, kept, ends, zeros, 1);
  };
  let y = exclusive ? moved(x, 1) : x;
  for (let step = 1; step < n; step *= 2) y = op2(graph, 'Mul', y, moved(y, step));
  return y;
}

/** Their lowerings. */
export const reduction: Lowerings = {
  Sum: reduce('ReduceSum', (d) => (d === 'bool' ? 'int32' : d)),
  Mean: reduce('ReduceMean', () => 'float32'),
  Max: reduce('ReduceMax'),
  Min: reduce('ReduceMin'),
  Prod: reduce('ReduceProd', (d) => (d === 'bool' ? 'int32' : d)),
  ArgMax: argument('ArgMax'),
  ArgMin: argument('ArgMin'),
  All: logical('ReduceMin'),
  Any: logical('ReduceMax'),
  Softmax: by('Softmax', (graph, {logits}, {dim}) =>
    graph.op('Softmax', [logits], asSpec(logits), {axis: axisOf(dim ?? -1, logits.shape.length)}),
  ),
  Cumsum: by('CumSum', (graph, {x}, {axis, exclusive, reverse}) =>
    graph.op('CumSum', [x, graph.constant([axisOf(axis, x.shape.length)], [], 'int64')], asSpec(x), {
      exclusive: exclusive === true ? 1 : 0,
      reverse: reverse === true ? 1 : 0,
    }),
  ),
  Cumprod: (graph, {x}, {axis, exclusive, reverse}) =>
    cumulativeProduct(graph, x, axisOf(axis, x.shape.length), exclusive === true, reverse === true),
  TopK: by('TopK', (graph, {x}, {k, sorted}) => {
    const at = x.shape.length - 1;
    const shape = x.shape.map((d, i) => (i === at ? (k as number) : d));
    if (x.dtype !== 'float32' && x.dtype !== 'int32')
      throw new UnsupportedOpError(`compile: TopK wants float32 or int32; got ${x.dtype}.`);
    const [values, indices] = graph.ops(
      'TopK',
      [x, graph.ints([k as number])],
      [
        {dtype: x.dtype, shape},
        {dtype: 'int64', shape},
      ],
      {axis: at, largest: 1, sorted: sorted === false ? 0 : 1},
    );
    return [values, cast(graph, indices, 'int32')];
  }),
};
