/**
 * Convolutions and their two backward kernels.
 *
 * tfjs keeps channels last and filters as `[…, in, out]`; ONNX wants channels first and `[out, in, …]`. So there is a transpose
 * at each edge, which adjacent convolutions share and cancel, and none where the filter is a single point: that is a product.
 */
import {sizeOf} from '../../tensor/ndarray.js';
import type {Graph, Value} from '../graph.js';
import {activate} from './elementwise.js';
import {matMul} from './linalg.js';
import {op2, pad, reshape, slice, transpose, type Lowering, type Lowerings} from './lowering.js';
import {
  channelsFirst,
  channelsLast,
  convolutionWindow,
  tapsOf,
  wantChannelsLast,
  windowAttributes,
  type Window,
} from './window.js';

type Attrs = Readonly<Record<string, unknown>>;

const spatial = (rank: number, from: number): number[] => Array.from({length: rank - 2}, (_, i) => from + i);

/** A 1×1 filter moved by one is a product over the channels. */
const isPoint = (w: Window): boolean =>
  w.size.every((n) => n === 1) && w.strides.every((n) => n === 1) && w.before.every((n) => n === 0);

const rowsOf = (graph: Graph, x: Value): Value => reshape(graph, x, [sizeOf(x.shape.slice(0, -1)), x.shape.at(-1)!]);

/** `[…, in, out]` → `[out, in, …]`. */
const denseFilter = (graph: Graph, f: Value): Value => {
  const rank = f.shape.length;
  return transpose(graph, f, [rank - 1, rank - 2, ...spatial(rank, 0)]);
};

/** `[…, channels, multiplier]` → `[channels·multiplier, 1, …]`. */
const depthwiseFilter = (graph: Graph, f: Value): Value => {
  const rank = f.shape.length;
  const moved = transpose(graph, f, [rank - 2, rank - 1, ...spatial(rank, 0)]);
  return reshape(graph, moved, [f.shape[rank - 2] * f.shape[rank - 1], 1, ...f.shape.slice(0, -2)]);
};

function conv(graph: Graph, x: Value, filter: Value, w: Window, groups: number): Value {
  return graph.op(
    'Conv',
    [x, filter],
    {dtype: x.dtype, shape: [x.shape[0], filter.shape[0], ...w.output]},
    {...windowAttributes(w), group: groups},
  );
}

function forward(graph: Graph, x: Value, filter: Value, attrs: Attrs, depthwise: boolean): Value {
  const w = convolutionWindow(x.shape, filter.shape, attrs, depthwise, true);
  if (!depthwise && isPoint(w)) {
    const product = matMul(graph, rowsOf(graph, x), reshape(graph, filter, filter.shape.slice(-2)), false, false);
    return reshape(graph, product, [...x.shape.slice(0, -1), filter.shape.at(-1)!]);
  }
  const weights = depthwise ? depthwiseFilter(graph, filter) : denseFilter(graph, filter);
  return channelsLast(graph, conv(graph, channelsFirst(graph, x), weights, w, depthwise ? x.shape.at(-1)! : 1));
}

/** The filter turned round along its spatial axes, which are the last ones. */
function flipped(graph: Graph, filter: Value): Value {
  const axes = spatial(filter.shape.length, 2).filter((a) => filter.shape[a] !== 1);
  return axes.length === 0
    ? filter
    : slice(
        graph,
        filter,
        axes,
        axes.map((a) => filter.shape[a] - 1),
        axes.map(() => -1),
        axes.map(() => -1),
      );
}

/** dL/dx. With stride 1 it is a convolution with the filter turned round; else each output is spread over its window. */
function inputGradient(
  graph: Graph,
  dy: Value,
  filter: Value,
  xShape: readonly number[],
  attrs: Attrs,
  depthwise: boolean,
): Value {
  const w = convolutionWindow(xShape, filter.shape, attrs, depthwise, false);
  const channels = xShape.at(-1)!;
  if (!depthwise && isPoint(w)) {
    const product = matMul(graph, rowsOf(graph, dy), reshape(graph, filter, filter.shape.slice(-2)), false, true);
    return reshape(graph, product, xShape);
  }
  const groups = depthwise ? channels : 1;
  const first = channelsFirst(graph, dy);
  if (w.strides.every((s) => s === 1)) {
    const rank = filter.shape.length;
    // Seen from dy, what was "in" is "out".
    const turned = transpose(graph, filter, [rank - 2, rank - 1, ...spatial(rank, 0)]);
    const before = w.size.map((k, i) => k - 1 - w.before[i]);
    const after = w.input.map((n, i) => n + w.size[i] - 1 - w.output[i] - before[i]);
    if ([...before, ...after].every((p) => p >= 0)) {
      return channelsLast(
        graph,
        conv(graph, first, flipped(graph, turned), {...w, input: w.output, output: w.input, before, after}, groups),
      );
    }
  }
  const covered = w.output.map((n, i) => (n - 1) * w.strides[i] + w.size[i] - w.before[i] - w.after[i]);
  const dx = graph.op(
    'ConvTranspose',
    [first, depthwise ? depthwiseFilter(graph, filter) : denseFilter(graph, filter)],
    {dtype: dy.dtype, shape: [dy.shape[0], channels, ...w.input]},
    {...windowAttributes(w), group: groups, output_padding: w.input.map((n, i) => n - covered[i])},
  );
  return channelsLast(graph, dx);
}

/**
 * dL/dfilter, one tap after the other: the inputs that a tap has met, times dy, summed over batch and space.
 *
 * Each is a product of tall matrices, channels last as they are. As a convolution with dy for a filter, which is the other
 * way to say it, dense ones took 1.3 times and depthwise ones two to three times as long.
 */
function filterGradient(
  graph: Graph,
  x: Value,
  dy: Value,
  filterShape: readonly number[],
  attrs: Attrs,
  depthwise: boolean,
): Value {
  const w = convolutionWindow(x.shape, filterShape, attrs, depthwise, false);
  const axes = spatial(x.shape.length, 1);
  const padded = pad(graph, x, [0, ...w.before, 0], [0, ...w.after, 0]);
  const [channels, multiplier] = filterShape.slice(-2) as [number, number];
  const gradients = tapsOf(w.size).map((tap) => {
    const ends = tap.map((at, i) => at + (w.output[i] - 1) * w.strides[i] + 1);
    const met = rowsOf(graph, slice(graph, padded, axes, tap, ends, w.strides));
    if (!depthwise) return matMul(graph, met, rowsOf(graph, dy), true, false);
    const rows = met.shape[0];
    const products = op2(
      graph,
      'Mul',
      reshape(graph, dy, [rows, channels, multiplier]),
      reshape(graph, met, [rows, channels, 1]),
    );
    return graph.op('ReduceSum', [products, graph.ints([0])], {dtype: x.dtype, shape: [channels, multiplier]}, {keepdims: 0});
  });
  if (gradients.length === 1) return reshape(graph, gradients[0], filterShape);
  const shape = [gradients.length * gradients[0].shape[0], gradients[0].shape[1]];
  return reshape(graph, graph.op('Concat', gradients, {dtype: x.dtype, shape}, {axis: 0}), filterShape);
}

const fused =
  (depthwise: boolean): Lowering =>
  (graph, {x, filter, bias, preluActivationWeights}, attrs) => {
    wantChannelsLast(depthwise ? 'FusedDepthwiseConv2D' : 'FusedConv2D', attrs);
    const y = forward(graph, x, filter, attrs, depthwise);
    return activate(
      graph,
      bias ? op2(graph, 'Add', y, bias) : y,
      attrs['activation'],
      attrs['leakyreluAlpha'],
      preluActivationWeights,
    );
  };

const convolve =
  (kernel: string, depthwise: boolean): Lowering =>
  (graph, {x, filter}, attrs) => {
    wantChannelsLast(kernel, attrs);
    return forward(graph, x, filter, attrs, depthwise);
  };

const backInput =
  (kernel: string, depthwise: boolean): Lowering =>
  (graph, {dy, filter}, attrs) => {
    wantChannelsLast(kernel, attrs);
    return inputGradient(graph, dy, filter, attrs['inputShape'] as number[], attrs, depthwise);
  };

const backFilter =
  (kernel: string, depthwise: boolean): Lowering =>
  (graph, {x, dy}, attrs) => {
    wantChannelsLast(kernel, attrs);
    return filterGradient(graph, x, dy, attrs['filterShape'] as number[], attrs, depthwise);
  };

/** Their lowerings. */
export const convolution: Lowerings = {
  Conv2D: convolve('Conv2D', false),
  Conv2DBackpropInput: backInput('Conv2DBackpropInput', false),
  Conv2DBackpropFilter: backFilter('Conv2DBackpropFilter', false),
  Conv3D: convolve('Conv3D', false),
  Conv3DBackpropInputV2: backInput('Conv3DBackpropInputV2', false),
  Conv3DBackpropFilterV2: backFilter('Conv3DBackpropFilterV2', false),
  DepthwiseConv2dNative: convolve('DepthwiseConv2dNative', true),
  DepthwiseConv2dNativeBackpropInput: backInput('DepthwiseConv2dNativeBackpropInput', true),
  DepthwiseConv2dNativeBackpropFilter: backFilter('DepthwiseConv2dNativeBackpropFilter', true),
  FusedConv2D: fused(false),
  FusedDepthwiseConv2D: fused(true),
};
