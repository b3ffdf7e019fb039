/** The encoder's own opinion on whether video and caption match, with no transport: what PISCES' semantic reward is compared with. */
import {encoderReward, matchProbability} from '../src/plugin.js';

/** softmax(logits)[match] after plain cross-attention, in [0, 1]. */
export const matching = encoderReward({
  name: 'matching',
  summary: "probability of a match by the encoder's own attention, without transport: the control of semantic",
  scoreOf: ({encoder, params, text, video}) => matchProbability(encoder.match(params, text, video)),
});
