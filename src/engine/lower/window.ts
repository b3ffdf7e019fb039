/** Sliding windows: what convolutions and poolings of one, two and three dimensions share. */
import * as tf from '@tensorflow/tfjs-core';
import {UnsupportedOpError} from '../../errors.js';
import type {Graph, Value} from '../graph.js';
import {pad, reshape, slice, transpose} from './lowering.js';

/** Where a window of `size` stands on the spatial axes of its input, axis by axis. */
export interface Window {
  readonly input: readonly number[];
  readonly output: readonly number[];
  readonly size: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly before: readonly number[];
  /** Padding behind, as far as the last window reaches: never more than that. */
  readonly after: readonly number[];
}

type Attrs = Readonly<Record<string, unknown>>;
type Four = [number, number, number, number];
type Five = [number, number, number, number, number];

function make(
  input: number[],
  output: number[],
  size: number[],
  strides: number[],
  dilations: number[],
  before: number[],
): Window {
  const reach = output.map((n, i) => (n - 1) * strides[i] + (size[i] - 1) * dilations[i] + 1);
  return {input, output, size, strides, dilations, before, after: reach.map((r, i) => Math.max(0, r - before[i] - input[i]))};
}

function of2d(info: tf.backend_util.Conv2DInfo): Window {
  return make(
    [info.inHeight, info.inWidth],
    [info.outHeight, info.outWidth],
    [info.filterHeight, info.filterWidth],
    [info.strideHeight, info.strideWidth],
    [info.dilationHeight, info.dilationWidth],
    [info.padInfo.top, info.padInfo.left],
  );
}

function of3d(info: tf.backend_util.Conv3DInfo): Window {
  return make(
    [info.inDepth, info.inHeight, info.inWidth],
    [info.outDepth, info.outHeight, info.outWidth],
    [info.filterDepth, info.filterHeight, info.filterWidth],
    [info.strideDepth, info.strideHeight, info.strideWidth],
    [info.dilationDepth, info.dilationHeight, info.dilationWidth],
    [info.padInfo.front, info.padInfo.top, info.padInfo.left],
  );
}

/** The window of a convolution kernel, channels last; `dilated` is false for the backward kernels, which know no dilation. */
export function convolutionWindow(
  xShape: readonly number[],
  filterShape: readonly number[],
  attrs: Attrs,
  depthwise: boolean,
  dilated: boolean,
): Window {
  const {computeConv2DInfo, computeConv3DInfo} = tf.backend_util;
  const strides = attrs['strides'] as [number, number] | number;
  const dilations = dilated ? ((attrs['dilations'] as [number, number] | number | undefined) ?? 1) : 1;
  const pad = attrs['pad'] as Parameters<typeof computeConv2DInfo>[4];
  const rounding = attrs['dimRoundingMode'] as 'floor' | undefined;
  if (xShape.length === 4)
    return of2d(computeConv2DInfo([...xShape] as Four, [...filterShape] as Four, strides, dilations, pad, rounding, depthwise));
  return of3d(
    computeConv3DInfo([...xShape] as Five, [...filterShape] as Five, strides as number, dilations as number, pad as 'same'),
  );
}

/** The window of a pooling kernel. */
export function poolingWindow(xShape: readonly number[], attrs: Attrs): Window {
  const {computePool2DInfo, computePool3DInfo} = tf.backend_util;
  const size = attrs['filterSize'] as [number, number] | number;
  const strides = attrs['strides'] as [number, number] | number;
  const pad = attrs['pad'] as Parameters<typeof computePool2DInfo>[4];
  const rounding = attrs['dimRoundingMode'] as 'floor' | undefined;
  if (xShape.length === 4) return of2d(computePool2DInfo([...xShape] as Four, size, strides, 1, pad, rounding));
  return of3d(computePool3DInfo([...xShape] as Five, size as number, strides as number, 1, pad as 'same', rounding));
}

/** The attributes by which ONNX knows a window. */
export const windowAttributes = (
  w: Window,
): {kernel_shape: readonly number[]; strides: readonly number[]; dilations: readonly number[]; pads: readonly number[]} => ({
  kernel_shape: w.size,
  strides: w.strides,
  dilations: w.dilations,
  pads: [...w.before, ...w.after],
});

/** `[B, …, C]` → `[B, C, …]`, as ONNX has images. */
export const channelsFirst = (graph: Graph, x: Value): Value => {
  const rank = x.shape.length;
  return transpose(graph, x, [0, rank - 1, ...Array.from({length: rank - 2}, (_, i) => i + 1)]);
};

/** `[B, C, …]` → `[B, …, C]`. */
export const channelsLast = (graph: Graph, x: Value): Value => {
  const rank = x.shape.length;
  return transpose(graph, x, [0, ...Array.from({length: rank - 2}, (_, i) => i + 2), 1]);
};

/**
 * Refuses images whose channels come first.
 *
 * @throws UnsupportedOpError
 */
export function wantChannelsLast(kernel: string, attrs: Attrs): void {
  const format = attrs['dataFormat'] as string | undefined;
  if (format !== undefined && format !== 'NHWC' && format !== 'NDHWC') {
    throw new UnsupportedOpError(`compile: ${kernel} wants images with the channels last; got ${format}; transpose them.`);
  }
}

/** Every position inside a window, in row-major order. */
export const tapsOf = (size: readonly number[]): number[][] =>
  size.reduce<number[][]>((taps, n) => taps.flatMap((tap) => Array.from({length: n}, (_, i) => [...tap, i])), [[]]);

/** Zeros between neighbours: each position of the axes from `firstAxis` on is followed by `stride − 1` of them, the last by none. */
export function spread(graph: Graph, x: Value, strides: readonly number[], firstAxis: number): Value {
  return strides.reduce((y, stride, i) => {
    const axis = firstAxis + i;
    const {shape} = y;
    if (stride === 1 || shape[axis] === 1) return y;
    const opened = reshape(graph, y, [...shape.slice(0, axis + 1), 1, ...shape.slice(axis + 1)]);
    const behind = opened.shape.map((_, j) => (j === axis + 1 ? stride - 1 : 0));
    const spaced = pad(
      graph,
      opened,
      behind.map(() => 0),
      behind,
    );
    const long = reshape(
      graph,
      spaced,
      shape.map((d, j) => (j === axis ? d * stride : d)),
    );
    return slice(graph, long, [axis], [0], [(shape[axis] - 1) * stride + 1]);
  }, x);
}
