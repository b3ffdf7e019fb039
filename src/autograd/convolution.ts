/**
 * Derivatives of convolutions and poolings.
 *
 * The backward kernels know no dilation. A dilated filter is the plain filter with zeros between its taps, so the backward is
 * that of the widened filter, of whose gradient every dilation-th tap is taken.
 */
import * as tf from '@tensorflow/tfjs-core';
import {one, range, runKernel, type Gradient, type Gradients} from './gradient.js';

type Attrs = Readonly<Record<string, unknown>>;

/** A number for all spatial axes, or one for each. */
const perAxis = (value: unknown, rank: number): number[] => {
  if (value === undefined || value === null) return range(rank).map(() => 1);
  return Array.isArray(value) ? (value as number[]).slice(-rank) : range(rank).map(() => value as number);
};

/** Zeros between the taps of a filter `[…, in, out]`. */
function widened(filter: tf.Tensor, dilations: readonly number[]): tf.Tensor {
  return dilations.reduce((f, dilation, axis) => {
    if (dilation === 1) return f;
    const {shape} = f;
    const opened = tf.reshape(f, [...shape.slice(0, axis + 1), 1, ...shape.slice(axis + 1)]);
    const spaced = tf.pad(
      opened,
      opened.shape.map((_, i): [number, number] => (i === axis + 1 ? [0, dilation - 1] : [0, 0])),
    );
    const long = tf.reshape(spaced, [...shape.slice(0, axis), shape[axis] * dilation, ...shape.slice(axis + 1)]);
    return tf.slice(
      long,
      shape.map(() => 0),
      shape.map((d, i) => (i === axis ? (d - 1) * dilation + 1 : d)),
    );
  }, filter);
}

/** The taps of a widened filter's gradient that are the filter's own. */
function narrowed(gradient: tf.Tensor, dilations: readonly number[]): tf.Tensor {
  const {shape} = gradient;
  return tf.stridedSlice(
    gradient,
    shape.map(() => 0),
    shape,
    [...dilations, 1, 1],
  );
}

/** Attributes that all backward kernels share; a dilated convolution has stride 1. */
const common = (attrs: Attrs): Attrs => {
  const {strides, pad, dataFormat, dimRoundingMode} = attrs;
  return {strides, pad, dataFormat, dimRoundingMode};
};

/** The gradient of a convolution whose backward kernels have these names. */
const convolution = (inputKernel: string, filterKernel: string): Gradient => ({
  inputsToSave: ['x', 'filter'],
  gradFunc: (dy, [x, filter], attrs) => {
    const dilations = perAxis(attrs['dilations'], filter.rank - 2);
    const dilated = dilations.some((d) => d !== 1);
    // The depthwise kernels ask for dilations, and pay them no heed.
    const shared = {...common(attrs), dilations: 1};
    return {
      x: () =>
        runKernel(
          inputKernel,
          {dy: one(dy), filter: dilated ? widened(filter, dilations) : filter},
          {...shared, inputShape: x.shape},
        ),
      filter: () => {
        const filterShape = filter.shape.map((d, i) => (i < dilations.length ? (d - 1) * dilations[i] + 1 : d));
        const gradient = runKernel(filterKernel, {x: x, dy: one(dy)}, {...shared, filterShape});
        return dilated ? narrowed(gradient, dilations) : gradient;
      },
    };
  },
});

/** A transposed convolution is the input gradient of one: its own gradients are that convolution and its filter gradient. */
const transposedConvolution = (forwardKernel: string, filterKernel: string): Gradient => ({
  inputsToSave: ['dy', 'filter'],
  gradFunc: (ddx, [dy, filter], attrs) => {
    const shared = common(attrs);
    return {
      dy: () => runKernel(forwardKernel, {x: one(ddx), filter: filter}, {...shared, dilations: 1}),
      filter: () => runKernel(filterKernel, {x: one(ddx), dy: dy}, {...shared, filterShape: filter.shape}),
    };
  },
});

/** How many elements the mean of each output was taken over: fewer where a window sticks out into the padding. */
function windowCounts(
  input: readonly number[],
  output: readonly number[],
  size: readonly number[],
  strides: readonly number[],
  before: readonly number[],
): tf.Tensor {
  return output.reduce<tf.Tensor>((counts, n, axis) => {
    const along = range(n).map((i) => {
      const start = i * strides[axis] - before[axis];
      return Math.min(start + size[axis], input[axis]) - Math.max(start, 0);
    });
    return tf.mul(counts, tf.tensor(along, [1, ...output.map((_, i) => (i === axis ? n : 1)), 1]));
  }, tf.scalar(1));
}

/**
 * A mean's gradient is spread evenly over its window: the input gradient of a convolution by ones, each channel as an image
 * of its own. (The kernels that tfjs has for it divide by the full window in the padding too, where the forward does not.)
 */
const averagePool: Gradient = {
  inputsToSave: ['x'],
  gradFunc: (dy, [x], attrs) => ({
    x: () => {
      const {shape} = x;
      const spatial = shape.length - 2;
      const size = perAxis(attrs['filterSize'], spatial);
      const strides = perAxis(attrs['strides'], spatial);
      const output = one(dy).shape.slice(1, -1);
      const input = shape.slice(1, -1);
      const before = paddingBefore(shape, attrs);
      const shares = tf.div(one(dy), windowCounts(input, output, size, strides, before));
      const perm = [0, shape.length - 1, ...range(spatial, 1)];
      const images = tf.reshape(tf.transpose(shares, perm), [-1, ...output, 1]);
      const kernel = spatial === 2 ? 'Conv2DBackpropInput' : 'Conv3DBackpropInputV2';
      const spread = runKernel(
        kernel,
        {dy: images, filter: tf.ones([...size, 1, 1])},
        {...common(attrs), dataFormat: spatial === 2 ? 'NHWC' : 'NDHWC', inputShape: [images.shape[0], ...input, 1]},
      );
      return tf.transpose(tf.reshape(spread, [shape[0], shape.at(-1)!, ...input]), [0, ...range(spatial, 2), 1]);
    },
  }),
};

function paddingBefore(shape: readonly number[], attrs: Attrs): number[] {
  const {computePool2DInfo, computePool3DInfo} = tf.backend_util;
  const size = attrs['filterSize'] as [number, number];
  const strides = attrs['strides'] as [number, number];
  const rounding = attrs['dimRoundingMode'] as 'floor' | undefined;
  if (shape.length === 4) {
    const {top, left} = computePool2DInfo(
      [...shape] as [number, number, number, number],
      size,
      strides,
      1,
      attrs['pad'] as 'same',
      rounding,
    ).padInfo;
    return [top, left];
  }
  const five = [...shape] as [number, number, number, number, number];
  const {front, top, left} = computePool3DInfo(
    five,
    size as unknown as number,
    strides as unknown as number,
    1,
    attrs['pad'] as 'same',
    rounding,
  ).padInfo;
  return [front, top, left];
}

const maximumPool = (kernel: string): Gradient => ({
  inputsToSave: ['x'],
  outputsToSave: [true],
  gradFunc: (dy, [x, y], attrs) => {
    const {filterSize, strides, pad, dimRoundingMode} = attrs;
    return {x: () => runKernel(kernel, {dy: one(dy), input: x, output: y}, {filterSize, strides, pad, dimRoundingMode})};
  },
});

/** Their gradients. */
export const convolutions: Gradients = {
  Conv2D: convolution('Conv2DBackpropInput', 'Conv2DBackpropFilter'),
  Conv3D: convolution('Conv3DBackpropInputV2', 'Conv3DBackpropFilterV2'),
  DepthwiseConv2dNative: convolution('DepthwiseConv2dNativeBackpropInput', 'DepthwiseConv2dNativeBackpropFilter'),
  Conv2DBackpropInput: transposedConvolution('Conv2D', 'Conv2DBackpropFilter'),
  Conv3DBackpropInputV2: transposedConvolution('Conv3D', 'Conv3DBackpropFilterV2'),
  AvgPool: averagePool,
  AvgPool3D: averagePool,
  MaxPool: maximumPool('MaxPoolGrad'),
  MaxPool3D: maximumPool('MaxPool3DGrad'),
};
