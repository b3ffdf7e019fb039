/**
 * Operators that the compiling engine has one node for and tfjs has none: layer normalisation, rotary embedding, GELU.
 *
 * On any other backend they are composed of plain tfjs operators, whose own gradients apply; so eager and compiled runs of the
 * same function check each other, closed-form backward against composed one.
 */
import * as tf from '@tensorflow/tfjs-core';
import {one, type Gradient} from './gradient.js';

/** Kernel names as the engine's lowering table spells them. */
export const LAYER_NORM = 'RlftLayerNorm';
/** Rotary embedding. */
export const ROTARY = 'RlftRotary';
/** GELU of a sum with a bias, where no gradient is wanted. */
export const GELU = 'RlftGelu';
/** Depthwise convolution of tokens on their grid. */
export const DEPTHWISE = 'RlftDepthwise';
/** The gradient of its kernel. */
export const DEPTHWISE_FILTER = 'RlftDepthwiseFilter';

/** Channels lie in memory in blocks of 8 or 16, as wide as the processor's vectors; a multiple of both serves everywhere. */
const BLOCK = 16;

let blocked = true;

/** Traces `fn` for a provider that has onnxruntime's convolutions of blocked channels, or for one that has not. */
export function withBlockedConvolutions<T>(available: boolean, fn: () => T): T {
  const before = blocked;
  blocked = available;
  try {
    return fn();
  } finally {
    blocked = before;
  }
}

const has = (kernel: string): boolean => tf.getKernel(kernel, tf.getBackend()) !== undefined;

const run = (kernel: string, inputs: Record<string, tf.Tensor>, attrs: tf.NamedAttrMap): tf.Tensor[] =>
  tf.engine().runKernel(kernel, inputs, attrs) as unknown as tf.Tensor[];

/**
 * Layer normalisation over the last axis, without scale and shift.
 *
 *   y = (x − mean x) / √(var x + ε)
 *
 * @param x `[…, D]`.
 * @param epsilon added to the population variance.
 * @source Ba et al. 2016, arXiv:1607.06450.
 */
export const layerNorm = (x: tf.Tensor, epsilon = 1e-5): tf.Tensor => layerNormParts(x, epsilon).y;

/** `layerNorm` with the factor 1/√(var x + ε) `[…, 1]` that its gradient needs. */
export function layerNormParts(x: tf.Tensor, epsilon = 1e-5): {y: tf.Tensor; inverseDeviation: tf.Tensor} {
  if (has(LAYER_NORM)) {
    const [y, inverseDeviation] = run(LAYER_NORM, {x}, {epsilon}) as [tf.Tensor, tf.Tensor];
    return {y, inverseDeviation};
  }
  const centred = tf.sub(x, tf.mean(x, -1, true));
  const inverseDeviation = tf.rsqrt(tf.add(tf.mean(tf.square(centred), -1, true), epsilon));
  return {y: tf.mul(centred, inverseDeviation), inverseDeviation};
}

/** GELU of x + bias as one operator, x·Φ(x) with Φ the normal distribution function, if there is one and no gradient is recorded. */
export function geluWithoutGradient(x: tf.Tensor, bias: tf.Tensor): tf.Tensor | undefined {
  return has(GELU) && !tf.engine().isTapeOn() ? run(GELU, {x, bias}, {})[0] : undefined;
}

/**
 * Rotary position embedding in the rotate-half form: element i of a head is paired with element i + D/2.
 *
 *   y[i] = x[i]·cos − x[i + D/2]·sin,   y[i + D/2] = x[i + D/2]·cos + x[i]·sin
 *
 * @param x `[B, H, N, D]`, D even.
 * @param angles `[N, D/2]` radians, plain numbers: a constant of the graph.
 * @source Su et al. 2021, arXiv:2104.09864.
 */
export function rotary(x: tf.Tensor, angles: readonly (readonly number[])[], inverse = false): tf.Tensor {
  const sign = inverse ? -1 : 1;
  const cos = tf.tensor2d(angles.map((row) => row.map(Math.cos)));
  const sin = tf.tensor2d(angles.map((row) => row.map((a) => sign * Math.sin(a))));
  if (has(ROTARY)) return run(ROTARY, {x, cos, sin}, {})[0];
  const [a, b] = tf.split(x, 2, -1) as [tf.Tensor, tf.Tensor];
  return tf.concat([tf.sub(tf.mul(a, cos), tf.mul(b, sin)), tf.add(tf.mul(b, cos), tf.mul(a, sin))], -1);
}

/**
 * Depthwise convolution with zero padding, every channel with its own kernel of 3×3 taps in space, or 3×3×3 in time and space; or
 * undefined where there is no operator for it.
 *
 * @param kernel `[C, 9]` or `[C, 27]`, taps ordered (time, row, column).
 * @param x `[B, T·Y·X, C]`, tokens ordered (t, y, x).
 * @param grid `[T, Y, X]`.
 */
export const depthwiseBlocked = (kernel: tf.Tensor, x: tf.Tensor, grid: readonly number[]): tf.Tensor | undefined =>
  blocked && has(DEPTHWISE) && kernel.shape[0] % BLOCK === 0 ? run(DEPTHWISE, {x, kernel}, {grid: [...grid]})[0] : undefined;

/** Their gradients. */
export const fused: Readonly<Record<string, Gradient>> = {
  [LAYER_NORM]: {
    outputsToSave: [true, true],
    gradFunc: (dys, [y, inverseStd]) => ({
      x: () => {
        const dy = (dys as tf.Tensor[])[0];
        const along = tf.mean(tf.mul(dy, y), -1, true);
        return tf.mul(tf.sub(tf.sub(dy, tf.mean(dy, -1, true)), tf.mul(y, along)), inverseStd);
      },
    }),
  },
  [ROTARY]: {
    inputsToSave: ['cos', 'sin'],
    gradFunc: (dy, [cos, sin]) => ({
      x: () => run(ROTARY, {x: dy as tf.Tensor, cos: cos, sin: tf.neg(sin)}, {})[0],
      cos: () => tf.zerosLike(cos),
      sin: () => tf.zerosLike(sin),
    }),
  },
  [DEPTHWISE]: {
    inputsToSave: ['x', 'kernel'],
    gradFunc: (dys, [x, kernel], attrs) => {
      const dy = one(dys);
      return {
        // The gradient of the input is the convolution with the reversed kernel.
        x: () => run(DEPTHWISE, {x: dy, kernel: tf.reverse(kernel, 1)}, attrs)[0],
        kernel: () => run(DEPTHWISE_FILTER, {x, dy}, {...attrs, taps: kernel.shape[1]!})[0],
      };
    },
  },
};
