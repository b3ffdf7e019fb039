/** How much more red than green and blue a video is. */
import * as tf from '@tensorflow/tfjs-core';
import {sizeOf, type DifferentiableReward, type RewardModule} from '../../../src/plugin.js';

// Weights of the channels: red less the mean of green and blue, halved so that the score lies in [-1, 1].
const weights = [0.5, -0.25, -0.25];

const differentiable: DifferentiableReward = {
  params: {},
  encode: () => ({}),
  // video [B, F, H, W, 3] → [B]
  score: (_params, video) => tf.mul(tf.mean(tf.mul(video, tf.tensor1d(weights)), [1, 2, 3, 4]), 3),
};

/** Red less the mean of green and blue: -1 (cyan) to 1 (pure red). */
export const redness: RewardModule = {
  name: 'redness',
  unit: '1',
  summary: 'red less the mean of green and blue, -1 to 1',
  open: async () => ({
    name: 'redness',
    unit: '1',
    score: async (videos) => {
      const size = sizeOf(videos.shape.slice(1));
      return Float32Array.from({length: videos.shape[0]}, (_, video) => {
        const numbers = videos.data.subarray(video * size, (video + 1) * size);
        return numbers.reduce((sum, x, i) => sum + weights[i % 3] * x, 0) / (size / 3);
      });
    },
    differentiable,
  }),
};
