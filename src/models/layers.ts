/** The layers that the networks here are made of: pure functions of (parameters, inputs), weights stored `[in, out]`. */
import * as tf from '@tensorflow/tfjs-core';
import {geluWithoutGradient, layerNormParts} from '../autograd/fused.js';
import {lowRankProduct, type LowRank} from '../numeric/lora.js';
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

/** The last axis times a matrix: `x [..., in]`, `w [in, out]` → `[..., out]`. */
function product(x: tf.Tensor, w: tf.Tensor): tf.Tensor {
  const [inputs, outputs] = w.shape as [number, number];
  return tf.reshape(tf.matMul(tf.reshape(x, [-1, inputs]), w as tf.Tensor2D), [...x.shape.slice(0, -1), outputs]);
}

/** Affine map of the last axis: `x [..., in]` → `[..., out]`. A weight that is adapted lies beside its factors. */
export function linear(params: Branch<tf.Tensor>, x: tf.Tensor): tf.Tensor {
  const w = weight(params, 'weight');
  const [inputs, outputs] = w.shape as [number, number];
  const rows = tf.reshape(x, [-1, inputs]);
  const {A, B} = params as Partial<LowRank<tf.Tensor>>;
  const product = A && B ? lowRankProduct(rows, w, {A, B}) : tf.matMul(rows, w);
  return tf.reshape(tf.add(product, weight(params, 'bias')), [...x.shape.slice(0, -1), outputs]);
}

/** x · sigmoid(x). */
export const silu = (x: tf.Tensor): tf.Tensor => tf.mul(x, tf.sigmoid(x));

/**
 * Squared ReLU, with the backward written out: d = 2·relu(x)·dy needs no mask.
 *
 * @source So et al. 2021, Primer, arXiv:2109.08668.
 */
export const reluSquared = tf.customGrad<tf.Tensor>(((x: tf.Tensor, save: tf.GradSaveFunc) => {
  const r = tf.relu(x);
  save([r]);
  return {value: tf.square(r), gradFunc: (dy: tf.Tensor, [saved]: tf.Tensor[]) => tf.mul(tf.mul(dy, saved), 2)};
}) as unknown as Parameters<typeof tf.customGrad>[0]);

/** A custom gradient of several tensors, which tfjs' types do not spell. */
type Differentiable = (...args: tf.Tensor[]) => tf.Tensor;
const withGradient = (
  f: (
    inputs: tf.Tensor[],
    save: (tensors: tf.Tensor[]) => void,
  ) => {value: tf.Tensor; gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => tf.Tensor | tf.Tensor[]},
): Differentiable =>
  tf.customGrad<tf.Tensor>((...args: unknown[]) => f(args.slice(0, -1) as tf.Tensor[], args.at(-1) as tf.GradSaveFunc));

/** `x [..., D]` with one more column. */
const widened = (x: tf.Tensor, column: tf.Tensor): tf.Tensor => tf.concat([x, column], -1);

/**
 * Scaled dot-product attention.
 *
 *   O = P·V,  P = softmax(s·Q·Kᵀ + b)
 *
 * The backward uses rowsum(dP ∘ P) = rowsum(dO ∘ O), which spares two passes over the largest array. What is constant along a
 * row or a column of the logits (that sum, the bias) rides in the product as one more column, which spares two more. The
 * gradients of keys and values are made transposed, since a product transposes its left operand and that one is then small.
 *
 * @param q `[B, H, N, D]`, @param k and @param v `[B, H, M, D]`.
 * @param scale s, usually 1/√D.
 * @param keyBias b, `[B, M]`: added to the logits of a key, such as -1e4 for padding. No gradient flows into it.
 * @source Dao et al. 2022, FlashAttention, arXiv:2205.14135, eq. 4.
 */
export function attention(q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, scale: number, keyBias?: tf.Tensor): tf.Tensor {
  const [batch, heads, queries] = q.shape as [number, number, number];
  const keys = k.shape[2]!;
  const logits = (a: tf.Tensor, b: tf.Tensor): tf.Tensor => {
    if (!keyBias) return tf.matMul(a, b, false, true);
    const bias = tf.broadcastTo(tf.reshape(tf.div(keyBias, scale), [batch, 1, keys, 1]), [batch, heads, keys, 1]);
    return tf.matMul(widened(a, tf.ones([batch, heads, queries, 1])), widened(b, bias), false, true);
  };
  const op = withGradient(([a, b, c], save) => {
    const p = tf.softmax(tf.mul(logits(a, b), scale));
    const o = tf.matMul(p, c);
    save([a, b, c, p, o]);
    const gradFunc = (dy: tf.Tensor, [Q, K, V, P, O]: tf.Tensor[]): tf.Tensor[] => {
      const along = tf.neg(tf.sum(tf.mul(dy, O), -1, true));
      const dS = tf.mul(P, tf.matMul(widened(dy, along), widened(V, tf.ones([batch, heads, keys, 1])), false, true));
      const back = (x: tf.Tensor): tf.Tensor => tf.transpose(x, [0, 1, 3, 2]);
      return [
        tf.mul(tf.matMul(dS, K), scale),
        back(tf.mul(tf.matMul(Q, dS, true, false), scale)),
        back(tf.matMul(dy, P, true, false)),
      ];
    };
    return {value: o, gradFunc};
  });
  return op(q, k, v);
}

/**
 * Layer normalisation with a scale and a shift for each sample: adaptive norm.
 *
 *   y = n·(1 + scale) + shift,  n = (x − mean x) / √(var x + ε)
 *
 * @param x `[B, N, D]`. @param scale and @param shift `[B, 1, D]`.
 * @source Peebles & Xie 2023, DiT, arXiv:2212.09748.
 */
export function modulatedNorm(x: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor): tf.Tensor {
  const op = withGradient(([a, factor, offset], save) => {
    const {y: n, inverseDeviation} = layerNormParts(a);
    const f = tf.add(factor, 1);
    save([n, inverseDeviation, f]);
    const gradFunc = (dy: tf.Tensor, [N, inverse, F]: tf.Tensor[]): tf.Tensor[] => {
      const dyN = tf.mul(dy, N);
      const dn = tf.mul(dy, F);
      // The mean of dy·F·n over a row is a product of dy·n with F: no third array of this size.
      const along = tf.matMul(dyN, tf.mul(F, 1 / F.shape.at(-1)!), false, true);
      const dx = tf.mul(tf.sub(tf.sub(dn, tf.mean(dn, -1, true)), tf.mul(N, along)), inverse);
      return [dx, tf.sum(dyN, 1, true), tf.sum(dy, 1, true)];
    };
    return {value: tf.add(tf.mul(n, f), offset), gradFunc};
  });
  return op(x, scale, shift);
}

/** s·(1 + erf s) = √2·gelu(√2·s), and its derivative in as few passes as the operators allow. */
const scaledGelu = withGradient(([s], save) => {
  const twice = tf.add(tf.erf(s), 1);
  save([s, twice]);
  // d = 1 + erf s + (2/√π)·s·e^{−s²}, with the constant inside the exponent.
  const gradFunc = (dy: tf.Tensor, [S, e]: tf.Tensor[]): tf.Tensor =>
    tf.mul(dy, tf.add(e, tf.mul(S, tf.exp(tf.sub(Math.log(2 / Math.sqrt(Math.PI)), tf.mul(S, S))))));
  return {value: tf.mul(s, twice), gradFunc};
});

/** x·Φ(x) with Φ the normal distribution function: the exact GELU. */
export const gelu = (x: tf.Tensor): tf.Tensor => tf.mul(scaledGelu(tf.mul(x, Math.SQRT1_2)), Math.SQRT1_2);

/**
 * Two affine maps with a GELU between them. Where gradients are recorded, its factors √½ go into the
 * weights, which are smaller than what they multiply.
 *
 * @param params `in` and `out`, each weight `[in, out]` and bias.
 * @source Hendrycks & Gimpel 2016, arXiv:1606.08415.
 */
export function geluFeedForward(params: Branch<tf.Tensor>, x: tf.Tensor): tf.Tensor {
  const [inner, outer] = [branch(params, 'in'), branch(params, 'out')];
  const quick = geluWithoutGradient(product(x, weight(inner, 'weight')), weight(inner, 'bias'));
  if (quick) return linear(outer, quick);
  const half = (t: tf.Tensor): tf.Tensor => tf.mul(t, Math.SQRT1_2);
  const hidden = scaledGelu(linear({weight: half(weight(inner, 'weight')), bias: half(weight(inner, 'bias'))}, x));
  return linear({weight: half(weight(outer, 'weight')), bias: weight(outer, 'bias')}, hidden);
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
