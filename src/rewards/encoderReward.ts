/** Rewards that look at videos through a frozen video-text encoder: all but the formula is the same in each. */
import * as tf from '@tensorflow/tfjs-core';
import type {Device} from '../engine/device.js';
import type {DifferentiableReward, Reward, RewardModule} from '../reward.js';
import {scoreOnDevice} from '../rollout/scoreOnDevice.js';
import type {EncoderView, SeenPairs} from './encoderView.js';
import {viewForm} from './jointForm.js';

/** What a formula is given, inside the graph. */
export interface EncodedPairs extends SeenPairs {
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

/** A reward made of a view. Nothing is put on the device before it scores: within a composed reward it never does so itself. */
export function rewardThrough(device: Device, name: string, view: EncoderView, heldConstant?: string): Reward {
  const form = viewForm(view.frozen, {[name]: view});
  const differentiable: DifferentiableReward = {
    ...(heldConstant !== undefined && {heldConstant}),
    through: view,
    params: form.params,
    encode: (prompts) => form.encode(prompts),
    score: (params, video, prompts) => form.scores(params, video, prompts)[name],
  };
  const scorer = scoreOnDevice(device, name, form);
  return {
    name,
    unit: '1',
    differentiable,
    score: async (videos, prompts) => (await scorer.scores(videos, prompts))[name],
    close: () => scorer.close(),
  };
}

/** Makes the module of such a reward. */
export const encoderReward = ({name, summary, heldConstant, transported = false, scoreOf}: EncoderRewardParts): RewardModule => ({
  name,
  unit: '1',
  summary,
  open: async (context) => {
    const frozen = await context.encoder();
    const map = transported ? await context.transportMap() : undefined;
    const view: EncoderView = {
      frozen,
      files: [frozen.file, ...(map ? [map.file] : [])],
      comparesCaptions: true,
      params: map?.params ?? {},
      scoreOf: (own, seen) => scoreOf({...seen, transport: (text) => (map ? map.apply(own, text) : text)}),
    };
    return rewardThrough(context.device, name, view, heldConstant);
  },
});
