/**
 * Low-rank adaptation of a weight matrix: W' = W + (α/r)·A·B, where only A and B learn.
 *
 * Weights here are stored `[in, out]`, so A is `[in, r]` and B `[r, out]`: the transposes of the paper's A and B.
 *
 * @source Hu et al. 2022, LoRA, arXiv:2106.09685, eq. 3 and §4.1.
 */
import * as tf from '@tensorflow/tfjs-core';
import {ndarray, zeros, type NdArray} from '../tensor/ndarray.js';
import {uniforms, type NoiseKey} from '../tensor/random.js';

/** The two factors of a matrix's change. */
export interface LowRank<T> {
  /** `[in, r]`. */
  readonly A: T;
  /** `[r, out]`. */
  readonly B: T;
}

/** W + A·B `[in, out]`, differentiable in A and B. Exactly W where B is zero. */
export const adaptedWeight = (weight: tf.Tensor, {A, B}: LowRank<tf.Tensor>): tf.Tensor => tf.add(weight, tf.matMul(A, B));

/**
 * X·W' for an adapted weight W' = W + A·B. Its gradient goes to the factors by the shorter way:
 *
 *   ∂A = Xᵀ·(dY·Bᵀ),  ∂B = (X·A)ᵀ·dY
 *
 * are 2·n·r·(in + out) multiplications, where the gradient of W' itself would be n·in·out; at a rank where that is less, it is left
 * to go through W'.
 *
 * @param x `[n, in]`. @param adapted W' `[in, out]`, from {@link adaptedWeight} of the same factors.
 */
export function lowRankProduct(x: tf.Tensor, adapted: tf.Tensor, {A, B}: LowRank<tf.Tensor>): tf.Tensor {
  const [inputs, rank] = A.shape as [number, number];
  const outputs = B.shape[1]!;
  if (2 * rank * (inputs + outputs) >= inputs * outputs) return tf.matMul(x, adapted);
  const product = tf.customGrad<tf.Tensor>(((X: tf.Tensor, a: tf.Tensor, b: tf.Tensor, save: tf.GradSaveFunc) => {
    save([X, a, b, adapted]);
    const gradFunc = (dY: tf.Tensor, [rows, down, up, W]: tf.Tensor[]): tf.Tensor[] => [
      tf.matMul(dY, W, false, true),
      tf.matMul(rows, tf.matMul(dY, up, false, true), true, false),
      tf.matMul(tf.matMul(rows, down), dY, true, false),
    ];
    return {value: tf.matMul(X, adapted), gradFunc};
  }) as unknown as Parameters<typeof tf.customGrad>[0]);
  return product(x, A, B);
}

/** The same on arrays, each element summed in float64. */
export function mergedWeight(weight: NdArray, {A, B}: LowRank<NdArray>, scale: number): NdArray<'float32'> {
  const [inputs, outputs] = weight.shape;
  const rank = A.shape[1];
  const data = new Float32Array(inputs * outputs);
  for (let i = 0; i < inputs; i++) {
    for (let j = 0; j < outputs; j++) {
      let sum = 0;
      for (let k = 0; k < rank; k++) sum += A.data[i * rank + k] * B.data[k * outputs + j];
      data[i * outputs + j] = weight.data[i * outputs + j] + scale * sum;
    }
  }
  return ndarray('float32', [inputs, outputs], data);
}

/**
 * Factors that change nothing yet: A uniform in ±1/√in, which is Kaiming's with a = √5, and B zero.
 *
 * @source peft 0.21 `LoraLayer.reset_lora_parameters`; the paper draws A from a normal distribution.
 */
export function initialLowRank(inputs: number, outputs: number, rank: number, key: NoiseKey): LowRank<NdArray<'float32'>> {
  const bound = 1 / Math.sqrt(inputs);
  const drawn = uniforms(key, new Float32Array(inputs * rank)).map((u) => (2 * u - 1) * bound);
  return {A: ndarray('float32', [inputs, rank], drawn), B: zeros('float32', [rank, outputs])};
}
