/** Pooling over windows, channels first at the edges as for convolutions. */
import {sizeOf} from '../../tensor/ndarray.js';
import type {Graph, Value} from '../graph.js';
import {reshape, type Lowering, type Lowerings} from './lowering.js';
import {channelsFirst, channelsLast, poolingWindow, wantChannelsLast, windowAttributes} from './window.js';

type Attrs = Readonly<Record<string, unknown>>;

/** The maxima, and where each lies in the flattened input. */
function maxima(graph: Graph, first: Value, xShape: readonly number[], attrs: Attrs): readonly Value[] {
  const w = poolingWindow(xShape, attrs);
  const shape = [...first.shape.slice(0, 2), ...w.output];
  return graph.ops(
    'MaxPool',
    [first],
    [
      {dtype: first.dtype, shape},
      {dtype: 'int64', shape},
    ],
    windowAttributes(w),
  );
}

const maxPool =
  (kernel: string): Lowering =>
  (graph, {x}, attrs) => {
    wantChannelsLast(kernel, attrs);
    return channelsLast(graph, maxima(graph, channelsFirst(graph, x), x.shape, attrs)[0]);
  };

/** Sends each gradient to the first element that reached the maximum of its window, as tfjs does. */
const maxPoolGradient =
  (kernel: string): Lowering =>
  (graph, {dy, input}, attrs) => {
    wantChannelsLast(kernel, attrs);
    const first = channelsFirst(graph, input);
    const [, at] = maxima(graph, first, input.shape, attrs);
    const flat = (v: Value): Value => reshape(graph, v, [sizeOf(v.shape)]);
    const size = sizeOf(input.shape);
    const sums = graph.op(
      'ScatterElements',
      [graph.fill(0, [size], dy.dtype), flat(at), flat(channelsFirst(graph, dy))],
      {dtype: dy.dtype, shape: [size]},
      {axis: 0, reduction: 'add'},
    );
    return channelsLast(graph, reshape(graph, sums, first.shape));
  };

const averagePool =
  (kernel: string): Lowering =>
  (graph, {x}, attrs) => {
    wantChannelsLast(kernel, attrs);
    const first = channelsFirst(graph, x);
    const w = poolingWindow(x.shape, attrs);
    const spec = {dtype: x.dtype, shape: [...first.shape.slice(0, 2), ...w.output]};
    return channelsLast(graph, graph.op('AveragePool', [first], spec, {...windowAttributes(w), count_include_pad: 0}));
  };

/** Their lowerings. */
export const pooling: Lowerings = {
  AvgPool: averagePool('AvgPool'),
  AvgPool3D: averagePool('AvgPool3D'),
  MaxPool: maxPool('MaxPool'),
  MaxPool3D: maxPool('MaxPool3D'),
  MaxPoolGrad: maxPoolGradient('MaxPoolGrad'),
  MaxPool3DGrad: maxPoolGradient('MaxPool3DGrad'),
};
