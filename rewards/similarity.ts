/** How near a video is to its caption in the encoder's common space, with no transport: what PISCES' quality reward is compared with. */
import * as tf from '@tensorflow/tfjs-core';
import {encoderReward} from '../src/plugin.js';

/** cos(y_CLS, x_CLS) of caption y and video x, in [-1, 1]. */
export const similarity = encoderReward({
  name: 'similarity',
  summary: 'cosine of video and caption in the encoder, without transport: the control of quality',
  scoreOf: ({text, video}) => tf.sum(tf.mul(text.cls, video.cls), -1),
});
