/** Pooling over windows, channels first at the edges as for convolutions. */
import type {Value} from '../graph.js';
import {compare, op1, op2, pad, slice, where, type Lowering, type Lowerings} from './lowering.js';
import {channelsFirst, channelsLast, poolingWindow, spread, tapsOf, wantChannelsLast, windowAttributes} from './window.js';

const maxPool =
  (kernel: string): Lowering =>
  (graph, {x}, attrs) => {
    wantChannelsLast(kernel, attrs);
    const first = channelsFirst(graph, x);
    const w = poolingWindow(x.shape, attrs);
    const spec = {dtype: x.dtype, shape: [...first.shape.slice(0, 2), ...w.output]};
    return channelsLast(graph, graph.op('MaxPool', [first], spec, windowAttributes(w)));
  };

/**
 * Sends each gradient to the first element that reached the maximum of its window, as tfjs does, one position of the window
 * after the other. (The runtime could tell where the maxima are, on the CPU only; adding up at places goes element by element.)
 */
const maxPoolGradient =
  (kernel: string): Lowering =>
  (graph, {dy, input, output}, attrs) => {
    wantChannelsLast(kernel, attrs);
    const w = poolingWindow(input.shape, attrs);
    const axes = w.size.map((_, i) => i + 1);
    const padded = pad(graph, input, [0, ...w.before, 0], [0, ...w.after, 0], -Infinity);
    let taken: Value | undefined;
    const shares = tapsOf(w.size).map((tap) => {
      const ends = tap.map((at, i) => at + (w.output[i] - 1) * w.strides[i] + 1);
      const reached = compare(graph, 'Equal', slice(graph, padded, axes, tap, ends, w.strides), output);
      const first = taken ? compare(graph, 'And', reached, op1(graph, 'Not', taken)) : reached;
      taken = taken ? compare(graph, 'Or', taken, reached) : reached;
      const share = spread(graph, where(graph, first, dy, graph.scalar(0, dy.dtype)), w.strides, 1);
      const behind = axes.map((axis, i) => padded.shape[axis] - tap[i] - share.shape[axis]);
      return pad(graph, share, [0, ...tap, 0], [0, ...behind, 0]);
    });
    const sum = shares.reduce((a, b) => op2(graph, 'Add', a, b));
    return slice(
      graph,
      sum,
      axes,
      w.before,
      axes.map((axis, i) => w.before[i] + input.shape[axis]),
    );
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
