/** Rewards that look at videos through a frozen video-text encoder: all but the formula is the same in each. */
import * as tf from '@tensorflow/tfjs-core';
import type {EncodedText, EncodedVideo, VideoTextEncoder} from '../encoder.js';
import type {DifferentiableReward, RewardModule} from '../reward.js';
import {scoreOnDevice} from '../rollout/scoreOnDevice.js';
import type {Branch} from '../tensor/tree.js';

/** What a formula is given, inside the graph. */
export interface EncodedPairs {
  readonly encoder: VideoTextEncoder;
  /** Parameters of the encoder. */
  readonly params: Branch<tf.Tensor>;
  readonly text: EncodedText;
  readonly video: EncodedVideo;
  /** The fitted map `[B, E]` → `[B, E]`; the identity unless the reward is `transported`. */
  readonly transport: (text: tf.Tensor) => tf.Tensor;
}

/** A reward of captions and videos as the encoder sees them. */
export interface EncoderRewardParts {
  readonly name: string;
  /** One line for listings. */
  readonly summary: string;
  /** See `DifferentiableReward`. */
  readonly heldConstant?: string;
  /** Whether captions are carried over by the transport map. Default false. */
  readonly transported?: boolean;
  /** `[B]`, differentiable in the video. */
  readonly scoreOf: (pairs: EncodedPairs) => tf.Tensor;
}

/** The probability of a match, softmax(logits)[1]: `[B, 2]` → `[B]`. */
export function matchProbability(logits: tf.Tensor): tf.Tensor {
  const [other, match] = tf.unstack(logits, 1);
  return tf.sigmoid(tf.sub(match, other));
}

/** Makes the module of such a reward. */
export const encoderReward = ({name, summary, heldConstant, transported = false, scoreOf}: EncoderRewardParts): RewardModule => ({
  name,
  unit: '1',
  summary,
  open: async (context) => {
    const {encoder, params} = await context.encoder();
    const map = transported ? await context.transportMap() : undefined;
    const differentiable: DifferentiableReward = {
      ...(heldConstant !== undefined && {heldConstant}),
      params: {encoder: params, ...(map && {map: map.params})},
      encode: (prompts) => ({tokens: encoder.tokenize(prompts.map((p) => p.text))}),
      score: (given, video, prompts) => {
        const params = given['encoder'] as Branch<tf.Tensor>;
        return scoreOf({
          encoder,
          params,
          text: encoder.encodeText(params, prompts['tokens'] as tf.Tensor),
          video: encoder.encodeVideo(params, video),
          transport: (text) => (map ? map.apply(given['map'] as Branch<tf.Tensor>, text) : text),
        });
      },
    };
    return {name, unit: '1', differentiable, ...(await scoreOnDevice(context.device, name, differentiable))};
  },
});
