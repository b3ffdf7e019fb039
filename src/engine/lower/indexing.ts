/** Kernels that pick elements by index, and their gradients that add them back. */
import {sizeOf} from '../../tensor/ndarray.js';
import {onnxDataType} from '../onnx.js';
import {cast, reshape, type Lowerings} from './lowering.js';

export const indexing: Lowerings = {
  GatherV2: (graph, {x, indices}, {axis, batchDims}) => {
    const rank = x!.shape.length;
    const at = (axis as number) < 0 ? (axis as number) + rank : (axis as number);
    if (((batchDims as number | undefined) ?? 0) !== 0) throw new Error('internal: batched gather has no lowering yet.');
    const shape = [...x!.shape.slice(0, at), ...indices!.shape, ...x!.shape.slice(at + 1)];
    return graph.op('Gather', [x, indices], {dtype: x!.dtype, shape}, {axis: at});
  },
  UnsortedSegmentSum: (graph, {x, segmentIds}, {numSegments}) => {
    const rest = x!.shape.slice(1);
    const n = numSegments as number;
    const ids = reshape(graph, cast(graph, segmentIds!, 'int64', onnxDataType('int64')), [sizeOf(segmentIds!.shape), 1]);
    return graph.op('ScatterND', [graph.fill(0, [n, ...rest], x!.dtype), ids, x], {dtype: x!.dtype, shape: [n, ...rest]}, {reduction: 'add'});
  },
  OneHot: (graph, {indices}, {depth, onValue, offValue, dtype}) => {
    const to = (dtype as 'float32' | 'int32' | undefined) ?? 'float32';
    const values = graph.constant([offValue as number, onValue as number], [2], to);
    const d = graph.constant([depth as number], [], 'int64');
    return graph.op('OneHot', [indices, d, values], {dtype: to, shape: [...indices!.shape, depth as number]}, {axis: -1});
  },
};
