/** How near a video's mean is to a grey level: with `gaussianToy`, a problem whose solution is known in closed form. */
import * as tf from '@tensorflow/tfjs-core';
import {sizeOf, type DifferentiableReward, type RewardModule} from '../src/plugin.js';

/** The grey level τ, in [-1, 1], at which the reward is largest. */
export const nearTargetLevel = 0.25;

const differentiable: DifferentiableReward = {
  params: {},
  encode: () => ({}),
  score: (_params, video) =>
    tf.neg(tf.square(tf.sub(tf.mean(tf.reshape(video, [video.shape[0], sizeOf(video.shape.slice(1))]), 1), nearTargetLevel))),
};

/** −(x̄ − τ)², where x̄ is the mean of all pixels in [-1, 1]; 0 at best. */
export const nearTarget: RewardModule = {
  name: 'nearTarget',
  unit: '1',
  summary: `minus the squared distance of the mean pixel from ${nearTargetLevel}: a toy with a known optimum`,
  open: async () => ({
    name: 'nearTarget',
    unit: '1',
    score: async (videos) => {
      const size = sizeOf(videos.shape.slice(1));
      return Float32Array.from({length: videos.shape[0]}, (_, i) => {
        const sum = videos.data.subarray(i * size, (i + 1) * size).reduce((s, x) => s + x, 0);
        return -((sum / size - nearTargetLevel) ** 2);
      });
    },
    differentiable,
  }),
};
