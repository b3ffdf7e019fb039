import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import {movedShare, spreadOf} from '../../src/study/attention.js';
import {float32, type NdArray} from '../../src/tensor/ndarray.js';
import {runEagerly} from '../support/eager.js';

/** Two clips, one head, three rows of four tokens. */
const weights = float32(
  [
    [0.25, 0.25, 0.25, 0.25],
    [1, 0, 0, 0],
    [0.5, 0.5, 0, 0],
    [0, 0, 0, 1],
    [0.5, 0, 0.5, 0],
    [0.25, 0.25, 0.25, 0.25],
  ].flat(),
  [2, 1, 3, 4],
);
const words = float32([1, 1, 0, 0, 1, 0], [2, 3]);
const run = (fn: (inputs: Record<string, tf.Tensor>) => tf.Tensor): number[] =>
  Array.from(
    (runEagerly((inputs) => ({out: fn(inputs as Record<string, tf.Tensor>)}), {weights, words})['out'] as NdArray<'float32'>)
      .data,
  );

describe('measures of attention', () => {
  it('spread is the number of tokens that are looked at alike, over all tokens, for words alone', () => {
    const [first, second] = run(({weights: w, words: rows}) => spreadOf(w, rows));
    expect(first).to.be.closeTo((1 + 1 / 4) / 2, 1e-5);
    expect(second).to.be.closeTo(1 / 2, 1e-5);
  });

  it('moved is what left its place', () => {
    const turned = run(({weights: w, words: rows}) => movedShare(w, tf.reverse(w, -1), rows));
    // A uniform row stays as it is; a single token moves away entirely; of two, those that come back are not moved.
    expect(turned[0]).to.be.closeTo(0.5, 1e-6);
    expect(turned[1]).to.be.closeTo(1, 1e-6);
    expect(run(({weights: w, words: rows}) => movedShare(w, w, rows))).to.deep.equal([0, 0]);
  });
});
