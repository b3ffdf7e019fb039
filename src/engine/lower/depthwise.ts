/**
 * Depthwise convolutions of video tokens in onnxruntime's blocked layout, in which a vector register holds as many channels as it
 * has lanes. The runtime itself uses these kernels only for filters that are constants; asked for by name they take any.
 *
 * They know two dimensions and the grid has three, so rows and columns lie along one axis, each row followed by a column of zeros
 * over which nothing leaks into the next row: a step in time is one along the first axis, a step between rows is X + 1 along the
 * second. The three taps of a row are three convolutions that add up, since one window has one distance between its taps.
 */
import {pad, reshape, slice, transpose} from './lowering.js';
import type {Graph, Value} from '../graph.js';

/** Frames, rows, columns. */
export type Grid = readonly [number, number, number];

const DOMAIN = 'com.microsoft.nchwc';

/** Channels last → blocked; what ONNX calls the shape is that of channels first. */
function toBlocks(graph: Graph, x: Value): Value {
  const [n, h, w, c] = x.shape as [number, number, number, number];
  return graph.op('ReorderInput', [x], {dtype: x.dtype, shape: [n, c, h, w]}, {channels_last: 1}, DOMAIN);
}

/** Blocked → channels last. */
function fromBlocks(graph: Graph, x: Value): Value {
  const [n, c, h, w] = x.shape as [number, number, number, number];
  return graph.op('ReorderOutput', [x], {dtype: x.dtype, shape: [n, h, w, c]}, {channels: c, channels_last: 1}, DOMAIN);
}

/** `[B, T·Y·X, C]` → `[B, T, Y, X, C]` with zeros around it: after the last frame, around the rows, after the last column. */
function spaced(graph: Graph, x: Value, [t, y, w]: Grid, frames: number, rows: number): Value {
  const opened = reshape(graph, x, [x.shape[0], t, y, w, x.shape[2]]);
  return pad(graph, opened, [0, 0, rows, 0, 0], [0, frames, rows, 1, 0]);
}

/** A convolution added to what another one has given. */
function convolve(
  graph: Graph,
  x: Value,
  filter: Value,
  sum: Value | undefined,
  window: {width: number; dilations: readonly number[]; pads: readonly number[]},
): Value {
  const [n, c, h] = x.shape as [number, number, number];
  return graph.op(
    'Conv',
    sum ? [x, filter, undefined, sum] : [x, filter],
    {dtype: x.dtype, shape: [n, c, h, window.width]},
    {kernel_shape: filter.shape.slice(2), dilations: window.dilations, strides: [1, 1], pads: window.pads, group: c},
    DOMAIN,
  );
}

/** y[t, r, c] = Σ w[i, j, k]·x[t + i − 1, r + j − 1, c + k − 1]; `kernel` is `[C, 27]`, or `[C, 9]` for the taps of one frame. */
export function depthwise(graph: Graph, x: Value, kernel: Value, grid: Grid): Value {
  const [frames, rows, columns] = grid;
  const [batch, , channels] = x.shape as [number, number, number];
  const span = kernel.shape[1] / 9;
  const row = columns + 1;
  const blocked = toBlocks(graph, reshape(graph, spaced(graph, x, grid, 0, 0), [batch, frames, rows * row, channels]));
  const perColumn = toBlocks(graph, transpose(graph, reshape(graph, kernel, [channels, span, 3, 3]), [3, 1, 2, 0]));
  const filter = {dtype: x.dtype, shape: [1, channels, span, 3]};
  const filters = graph.ops('Split', [perColumn, graph.ints([1, 1, 1])], [filter, filter, filter], {axis: 0});
  const inTime = (span - 1) / 2;
  const convolved = filters.reduce<Value | undefined>(
    (sum, taps, k) =>
      convolve(graph, blocked, reshape(graph, taps, [channels, 1, span, 3]), sum, {
        width: rows * row,
        dilations: [1, row],
        pads: [inTime, row + 1 - k, inTime, row - 1 + k],
      }),
    undefined,
  )!;
  const spread = reshape(graph, fromBlocks(graph, convolved), [batch, frames * rows, row, channels]);
  return reshape(graph, slice(graph, spread, [2], [0], [columns]), x.shape);
}

/**
 * dL/dw: each tap is a product of all that it has met with all of dy, so dy itself, all clips one after the other, is the filter of
 * one convolution whose few outputs are the taps.
 */
export function depthwiseFilterGradient(graph: Graph, x: Value, dy: Value, grid: Grid, taps: number): Value {
  const [frames, rows, columns] = grid;
  const [batch, , channels] = x.shape as [number, number, number];
  const span = taps / 9;
  const row = columns + 1;
  const inTime = (span - 1) / 2;
  // A frame of zeros parts the clips where the window reaches into other frames.
  const height = batch * (frames + inTime);
  const laid = (v: Value, around: number): Value => {
    const width = (rows + 2 * around) * row;
    return toBlocks(graph, reshape(graph, spaced(graph, v, grid, inTime, around), [1, height, width, channels]));
  };
  const filter = reshape(graph, laid(dy, 0), [channels, 1, height, rows * row]);
  const width = 2 * row + 3;
  const products = graph.op(
    'Conv',
    [laid(x, 1), filter],
    {dtype: x.dtype, shape: [1, channels, span, width]},
    {kernel_shape: [height, rows * row], dilations: [1, 1], strides: [1, 1], pads: [inTime, 1, inTime, 1], group: channels},
    DOMAIN,
  );
  const wanted = [0, 1, 2].flatMap((j) => [0, 1, 2].map((k) => j * row + k));
  const found = graph.op(
    'Gather',
    [fromBlocks(graph, products), graph.ints(wanted)],
    {dtype: x.dtype, shape: [1, span, 9, channels]},
    {axis: 2},
  );
  return reshape(graph, transpose(graph, found, [0, 3, 1, 2]), [channels, taps]);
}
