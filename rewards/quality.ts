/**
 * PISCES' distributional quality reward: how near a video lies to where optimal transport carries its caption. The map knows
 * where good videos lie as a whole, so nearness to its image is nearness to them.
 *
 * @source PISCES, arXiv:2602.01624, §3.2.
 */
import * as tf from '@tensorflow/tfjs-core';
import {encoderReward, unitLength} from '../src/plugin.js';

/** cos(T(y_CLS), x_CLS) of caption y and video x, in [-1, 1]; differentiable in the video. */
export const quality = encoderReward({
  name: 'quality',
  summary: 'cosine of the video and of its caption carried over by optimal transport (PISCES)',
  transported: true,
  scoreOf: ({text, video, transport}) => tf.sum(tf.mul(unitLength(transport(text.cls)), video.cls), -1),
});
