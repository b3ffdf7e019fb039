/** The whole path of a layer, from features and attention to fused attention, against the released code. */
import * as tf from '@tensorflow/tfjs-core';
import type {CrossAttention} from '../../src/encoder.js';
import {fuseAttention} from '../../src/transport/fuseAttention.js';
import {gridGeometry} from '../../src/transport/gridGeometry.js';
import {refineByTransport, RELEASED_REFINEMENT, transportPrior} from '../../src/transport/refineAttention.js';
import {cases, expectOutput, numbers, tensor} from '../support/golden.js';

/** A mask of `n` with 1 where it is listed. */
const maskOf = (listed: readonly number[], n: number): tf.Tensor =>
  tf.tensor2d([Array.from({length: n}, (_, i) => (listed.includes(i) ? 1 : 0))], [1, n], 'float32');

/** f(x), and the gradient of Σ weight·f at x. */
function withGradient(f: (x: tf.Tensor) => tf.Tensor, x: tf.Tensor, weight: tf.Tensor): {fused: tf.Tensor; gradient: tf.Tensor} {
  let fused = x;
  const gradient = tf.grad((a) => tf.sum(tf.mul((fused = tf.keep(f(a))), weight)))(x);
  return {fused, gradient};
}

describe('transport: fusion', () => {
  for (const c of cases<{patches_per_frame: number}>('pot.json', 'fuse')) {
    it(`goes the way of the released code: ${c.name}`, () => {
      const {query, key, attention, valid_tokens, weight} = c.inputs;
      const [, heads, words, tokens] = attention.shape;
      const listed = numbers(valid_tokens);
      const side = Math.sqrt(c.params.patches_per_frame);
      const geometry = gridGeometry((tokens - 1) / side ** 2, side, side);
      const keys = tf.reshape(tf.transpose(tensor(key), [0, 2, 1, 3]), [1, tokens, -1]);
      const layer = (weights: tf.Tensor): CrossAttention => ({
        layer: 0,
        weights,
        queries: tensor(query),
        keys,
        text: {cls: tf.zeros([1, 1]), states: tensor(query), valid: tf.ones([1, words]), lexical: maskOf(listed, words)},
      });
      // All of them stop before the sixtieth of the released 200 rounds.
      const options = {...RELEASED_REFINEMENT, iterations: 60};
      const prior = transportPrior(layer(tensor(attention)), geometry, options);
      expectOutput(c, 'prior', tf.gather(tf.reshape(prior, [heads, words, tokens]), listed, 1));
      const {fused, gradient} = withGradient(
        (w) => refineByTransport(geometry, options)(layer(w)),
        tensor(attention),
        tensor(weight),
      );
      expectOutput(c, 'fused', fused);
      expectOutput(c, 'grad_weighted_sum_wrt_attention', gradient);
    });
  }

  for (const c of cases('pot.json', 'fuse-clamp')) {
    it(`stops the gradient below the floor as the released code does: ${c.name}`, () => {
      const {attention, prior, valid_tokens, weight} = c.inputs;
      const [, , words, tokens] = attention.shape;
      const rows = maskOf(numbers(valid_tokens), words);
      const spread = tf.broadcastTo(tf.expandDims(tensor(prior), 0), [1, 1, words, tokens]);
      const fuse = (a: tf.Tensor): tf.Tensor => fuseAttention(a, spread, {rows, floor: 'max'});
      const {fused, gradient} = withGradient(fuse, tensor(attention), tensor(weight));
      expectOutput(c, 'fused', fused);
      expectOutput(c, 'grad_weighted_sum_wrt_attention', gradient);
    });
  }
});
