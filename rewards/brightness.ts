/** How bright a video is: a toy whose optimum everybody knows. The first reward to read, and the one to copy. */
import * as tf from '@tensorflow/tfjs-core';
import {sizeOf, type DifferentiableReward, type RewardModule} from '../src/plugin.js';

const differentiable: DifferentiableReward = {
  params: {},
  encode: () => ({}),
  score: (_params, video) => tf.mul(tf.add(tf.mean(video, video.shape.map((_, i) => i).slice(1)), 1), 0.5),
};

/** Mean of all pixels, from 0 (black) to 1 (white). */
export const brightness: RewardModule = {
  name: 'brightness',
  unit: '1',
  summary: 'mean of all pixels, 0 black to 1 white: a toy with a known optimum',
  open: async () => ({
    name: 'brightness',
    unit: '1',
    score: async (videos) => {
      const size = sizeOf(videos.shape.slice(1));
      return Float32Array.from({length: videos.shape[0]}, (_, i) => {
        const sum = videos.data.subarray(i * size, (i + 1) * size).reduce((s, x) => s + x, 0);
        return (sum / size + 1) / 2;
      });
    },
    differentiable,
  }),
};
