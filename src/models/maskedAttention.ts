/** Attention under any mask, for networks whose masks are not a bias on keys (`layers.ts` has that one, and its fast backward). */
import * as tf from '@tensorflow/tfjs-core';

/** What is added to a logit that must not count: finite, so that a row without any key gives the mean value and not NaN. */
const NEVER = -1e9;

/** A mask of truth values (true = may attend) as numbers to add to logits. */
export const maskOf = (allowed: tf.Tensor): tf.Tensor =>
  tf.where(allowed, tf.zeros(allowed.shape), tf.fill(allowed.shape, NEVER));

/** `[queries, keys]`: a query sees the keys up to its own position. */
export const causalMask = (queries: number, keys = queries): tf.Tensor =>
  tf.tensor2d(Array.from({length: queries}, (_, i) => Array.from({length: keys}, (_unused, j) => (j <= i ? 0 : NEVER))));

/**
 * Scaled dot-product attention.
 *
 *   O = softmax(s·Q·Kᵀ + mask)·V
 *
 * @param q `[B, H, N, D]`, @param k and @param v `[B, H, M, D]`.
 * @param scale s, usually 1/√D.
 * @param mask broadcasts to `[B, H, N, M]`; gradients flow into it too.
 * @source Vaswani et al. 2017, arXiv:1706.03762, eq. 1.
 */
export const maskedAttention = (q: tf.Tensor, k: tf.Tensor, v: tf.Tensor, scale: number, mask: tf.Tensor): tf.Tensor =>
  tf.matMul(tf.softmax(tf.add(tf.mul(tf.matMul(q, k, false, true), scale), mask)), v);
