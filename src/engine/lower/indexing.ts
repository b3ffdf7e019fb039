/** Kernels that pick elements by index, and their counterparts that put or add elements there. */
import {UnsupportedOpError} from '../../errors.js';
import {sizeOf} from '../../tensor/ndarray.js';
import type {Graph, Value} from '../graph.js';
import {axisOf, by, cast, compare, expand, op2, reshape, transpose, where, type Lowerings} from './lowering.js';

/** Up to this many rows, adding by index is a product with a 0/1 matrix; beyond, that costs more than going element by element. */
const PRODUCT_ROWS = 512;

const range = (n: number, from = 0): number[] => Array.from({length: n}, (_, i) => from + i);

/**
 * Adds `rows [m, …]` up by `ids [m]` into `[n, …]`.
 *
 * onnxruntime's `ScatterND` with `reduction: add` splits the updates among threads without a lock: sums of repeated indices
 * change from run to run, and some updates are lost (8,749 of 13,334 were seen). `ScatterElements` goes one by one, 23 ns each.
 */
function addAt(graph: Graph, ids: Value, rows: Value, n: number): Value {
  const m = sizeOf(ids.shape);
  const rest = rows.shape.slice(1);
  const width = sizeOf(rest);
  const flat = reshape(graph, rows, [m, width]);
  let sums: Value;
  if (n <= PRODUCT_ROWS && rows.dtype === 'float32') {
    const hit = compare(graph, 'Equal', graph.constant(range(n), [n, 1], 'int32'), reshape(graph, ids, [1, m]));
    sums = graph.op('MatMul', [cast(graph, hit, 'float32'), flat], {dtype: 'float32', shape: [n, width]});
  } else {
    const spread = expand(graph, reshape(graph, ids, [m, 1]), [m, width]);
    const output = {dtype: rows.dtype, shape: [n, width]};
    sums = graph.op('ScatterElements', [graph.fill(0, [n, width], rows.dtype), spread, flat], output, {
      axis: 0,
      reduction: 'add',
    });
  }
  return reshape(graph, sums, [n, ...rest]);
}

/** Leaves out the rows whose index is not in [0, n), as tfjs does; a product with a 0/1 matrix does so by itself. */
function within(graph: Graph, ids: Value, rows: Value, n: number): [Value, Value] {
  if (n <= PRODUCT_ROWS && rows.dtype === 'float32') return [ids, rows];
  const zero = graph.scalar(0, ids.dtype);
  const inside = compare(
    graph,
    'And',
    compare(graph, 'GreaterOrEqual', ids, zero),
    compare(graph, 'Less', ids, graph.scalar(n, ids.dtype)),
  );
  const column = reshape(graph, inside, [...inside.shape, ...rows.shape.slice(1).map(() => 1)]);
  return [where(graph, inside, ids, zero), where(graph, column, rows, graph.scalar(0, rows.dtype))];
}

/** Index tuples `[…, k]` into the first k axes of `shape`, as row numbers `[m]`. */
function rowNumbers(graph: Graph, indices: Value, shape: readonly number[]): Value {
  const k = indices.shape.at(-1)!;
  if (k === 1) return reshape(graph, indices, [sizeOf(indices.shape)]);
  const strides = range(k).map((i) => sizeOf(shape.slice(i + 1, k)));
  const flat = reshape(graph, indices, [sizeOf(indices.shape.slice(0, -1)), k]);
  const weighted = op2(graph, 'Mul', flat, graph.constant(strides, [k], 'int32'));
  return graph.op('ReduceSum', [weighted, graph.ints([1])], {dtype: 'int32', shape: [flat.shape[0]]}, {keepdims: 0});
}

/** Picks along `axis`, separately for each of the `batchDims` first axes that `x` and `indices` share. */
function batchedGather(graph: Graph, x: Value, indices: Value, axis: number, batchDims: number): Value {
  const [rx, ri] = [x.shape.length, indices.shape.length];
  const outer = range(axis - batchDims, batchDims);
  const inner = range(rx - axis - 1, axis + 1);
  // The picked axis goes behind the shared ones, where GatherND wants it, and its index axes go where it was.
  const ready = transpose(graph, x, [...range(batchDims), axis, ...outer, ...inner]);
  const picked = graph.op(
    'GatherND',
    [ready, cast(graph, reshape(graph, indices, [...indices.shape, 1]), 'int64')],
    {dtype: x.dtype, shape: [...indices.shape, ...ready.shape.slice(batchDims + 1)]},
    {batch_dims: batchDims},
  );
  const chosen = range(ri - batchDims, batchDims);
  return transpose(graph, picked, [
    ...range(batchDims),
    ...range(outer.length, ri),
    ...chosen,
    ...range(inner.length, ri + outer.length),
  ]);
}

/** Their lowerings. */
export const indexing: Lowerings = {
  GatherV2: by('Gather', (graph, {x, indices}, {axis, batchDims}) => {
    const at = axisOf(axis, x.shape.length);
    const shared = (batchDims as number | undefined) ?? 0;
    if (shared !== 0) return batchedGather(graph, x, indices, at, shared < 0 ? shared + indices.shape.length : shared);
    const shape = [...x.shape.slice(0, at), ...indices.shape, ...x.shape.slice(at + 1)];
    return graph.op('Gather', [x, indices], {dtype: x.dtype, shape}, {axis: at});
  }),
  GatherNd: by('GatherND', (graph, {params, indices}) => {
    const shape = [...indices.shape.slice(0, -1), ...params.shape.slice(indices.shape.at(-1))];
    return graph.op('GatherND', [params, cast(graph, indices, 'int64')], {dtype: params.dtype, shape});
  }),
  ScatterNd: (graph, {indices, updates}, {shape}) => {
    const to = shape as number[];
    const k = indices.shape.at(-1)!;
    const ids = rowNumbers(graph, indices, to);
    const rows = reshape(graph, updates, [ids.shape[0], ...to.slice(k)]);
    return reshape(graph, addAt(graph, ids, rows, sizeOf(to.slice(0, k))), to);
  },
  TensorScatterUpdate: by('ScatterND', (graph, {tensor, indices, updates}) =>
    graph.op('ScatterND', [tensor, cast(graph, indices, 'int64'), updates], {dtype: tensor.dtype, shape: tensor.shape}),
  ),
  UnsortedSegmentSum: (graph, {x, segmentIds}, {numSegments}) => {
    if (segmentIds.shape.length !== 1)
      throw new UnsupportedOpError('compile: UnsortedSegmentSum wants segment ids of rank 1; reshape them.');
    const [ids, rows] = within(graph, segmentIds, x, numSegments as number);
    return addAt(graph, ids, rows, numSegments as number);
  },
  // A comparison and a choice: onnxruntime's OneHot takes few dtypes, and counts negative indices from the back.
  OneHot: (graph, {indices}, {depth, onValue, offValue, dtype}) => {
    const to = (dtype as 'float32' | 'int32' | undefined) ?? 'float32';
    const n = depth as number;
    const hit = compare(graph, 'Equal', reshape(graph, indices, [...indices.shape, 1]), graph.constant(range(n), [n], 'int32'));
    return where(graph, hit, graph.scalar(onValue as number, to), graph.scalar(offValue as number, to));
  },
  SearchSorted: (graph, {sortedSequence, values}, {side}) => {
    const [rows, n] = sortedSequence.shape as [number, number];
    const m = values.shape[1];
    const before = compare(
      graph,
      side === 'left' ? 'Less' : 'LessOrEqual',
      reshape(graph, sortedSequence, [rows, 1, n]),
      reshape(graph, values, [rows, m, 1]),
    );
    return graph.op(
      'ReduceSum',
      [cast(graph, before, 'int32'), graph.ints([2])],
      {dtype: 'int32', shape: [rows, m]},
      {keepdims: 0},
    );
  },
};
