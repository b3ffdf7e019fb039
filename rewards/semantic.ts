/**
 * PISCES' discrete, token-level reward: whether video and caption match once each word's attention has been moved, by optimal
 * transport, to the places in the video that fit it.
 *
 * @source PISCES, arXiv:2602.01624, §3.3. The plan is a constant; gradients flow through the attention, as in the released code.
 */
import {encoderReward, matchProbability, refineByTransport} from '../src/plugin.js';

/** softmax(logits)[match] with the attention of every fusion layer refined by transport, in [0, 1]. */
export const semantic = encoderReward({
  name: 'semantic',
  summary: 'probability of a match with attention refined by optimal transport, token by token (PISCES)',
  heldConstant: 'the transport plan',
  scoreOf: ({encoder, params, text, video}) =>
    matchProbability(encoder.match(params, text, video, refineByTransport(encoder.geometry))),
});
