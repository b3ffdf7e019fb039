/** The layers that the networks here are made of: pure functions of (parameters, inputs), weights stored `[in, out]`. */
import * as tf from '@tensorflow/tfjs-core';
import type {Branch, Tree} from '../tensor/tree.js';

/** The leaf `name` of a branch of parameters; `internal` error if the tree is not what the network was initialised with. */
export function weight(params: Branch<tf.Tensor>, name: string): tf.Tensor {
  const leaf = params[name];
  if (!(leaf instanceof tf.Tensor)) throw new Error(`internal: parameter "${name}" is missing.`);
  return leaf;
}

/** The branch `name` of a branch of parameters. */
export function branch(params: Branch<tf.Tensor>, name: string): Branch<tf.Tensor> {
  const node: Tree<tf.Tensor> | undefined = params[name];
  if (node === undefined || node instanceof tf.Tensor) throw new Error(`internal: parameters "${name}" are missing.`);
  return node;
}

/** Affine map of the last axis: `x [..., in]` → `[..., out]`. */
export function linear(params: Branch<tf.Tensor>, x: tf.Tensor): tf.Tensor {
  const w = weight(params, 'weight');
  const [inputs, outputs] = w.shape as [number, number];
  const y = tf.add(tf.matMul(tf.reshape(x, [-1, inputs]), w as tf.Tensor2D), weight(params, 'bias'));
  return tf.reshape(y, [...x.shape.slice(0, -1), outputs]);
}

/** x · sigmoid(x). */
export const silu = (x: tf.Tensor): tf.Tensor => tf.mul(x, tf.sigmoid(x));

/**
 * Squared ReLU, with the backward written out: d = 2·relu(x)·dy needs no mask.
 *
 * @source So et al. 2021, Primer, arXiv:2109.08668.
 */
export const reluSquared = tf.customGrad(((x: tf.Tensor, save: tf.GradSaveFunc) => {
  const r = tf.relu(x);
  save([r]);
  return {value: tf.square(r), gradFunc: (dy: tf.Tensor, [saved]: tf.Tensor[]) => tf.mul(tf.mul(dy, saved!), 2)};
}) as unknown as Parameters<typeof tf.customGrad>[0]) as (x: tf.Tensor) => tf.Tensor;

/**
 * Scaled dot-product attention.
 *
 *   O = P·V,  P = softmax(s·Q·Kᵀ)
 *
 * The backward uses rowsum(dP ∘ P) = rowsum(dO ∘ O), which spares two passes over the largest array.
 *
 * @param q `[B, H, N, D]`, @param k and @param v `[B, H, M, D]`.
 * @param scale s, usually 1/√D.
 * @source Dao et al. 2022, FlashAttention, arXiv:2205.14135, eq. 4.
 */
export function attention(q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, scale: number): tf.Tensor {
  const op = tf.customGrad(((...args: unknown[]) => {
    const [a, b, c, save] = args as [tf.Tensor, tf.Tensor, tf.Tensor, tf.GradSaveFunc];
    const p = tf.softmax(tf.mul(tf.matMul(a, b, false, true), scale));
    const o = tf.matMul(p, c);
    save([a, b, c, p, o]);
    const gradFunc = (dy: tf.Tensor, saved: tf.Tensor[]): tf.Tensor[] => {
      const [Q, K, V, P, O] = saved as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
      const dP = tf.matMul(dy, V, false, true);
      const dS = tf.mul(P, tf.sub(dP, tf.sum(tf.mul(dy, O), -1, true)));
      return [tf.mul(tf.matMul(dS, K), scale), tf.mul(tf.matMul(dS, Q, true, false), scale), tf.matMul(P, dy, true, false)];
    };
    return {value: o, gradFunc};
  }) as Parameters<typeof tf.customGrad>[0]);
  return op(q, k, v);
}

/**
 * Sines and cosines of a time in [0, 1] at geometric frequencies.
 *
 * @param time `[B]`.
 * @param width even; the result is `[B, width]`: cosines, then sines.
 * @source Vaswani et al. 2017, arXiv:1706.03762, section 3.5, on 1000·t as in DDPM.
 */
export function timeEmbedding(time: tf.Tensor, width: number): tf.Tensor {
  const half = width / 2;
  const frequencies = Array.from({length: half}, (_, i) => 1000 * Math.exp((-Math.log(1e4) * i) / half));
  const angles = tf.mul(tf.reshape(time, [-1, 1]), tf.tensor2d(frequencies, [1, half]));
  return tf.concat([tf.cos(angles), tf.sin(angles)], -1);
}
