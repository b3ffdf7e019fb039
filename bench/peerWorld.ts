/** The peer's network as a world: what the training loop and the learner need to run its iterations. */
import * as tf from '@tensorflow/tfjs-core';
import type {Environment, Prompt} from '../src/environment.js';
import type {DifferentiableReward, Reward} from '../src/reward.js';
import {float32, ndarray, take} from '../src/tensor/ndarray.js';
import {normals} from '../src/tensor/random.js';
import {
  denoisePeer,
  encodePeer,
  encoderReward,
  initialiseEncoder,
  initialisePeer,
  isText,
  PATCH_SIZE,
  presets,
  tokensOf,
  type PeerConfig,
} from './peerNetwork.js';
import {randomCaptions} from './train.js';

const CHANNELS = 3;

/**
 * A preset of the peer's network with so many prompts, called by their numbers. Its videos are the patch tokens themselves with the
 * channels apart, since the peer's rewards read those.
 */
export function peerWorld(preset: string, count: number): {world: Environment; config: PeerConfig} {
  const config = presets[preset];
  const latentShape = [tokensOf(config), PATCH_SIZE];
  const videoShape = [1, tokensOf(config), PATCH_SIZE / CHANNELS, CHANNELS];
  const captions = randomCaptions(count, config.text);
  const prompts = Array.from({length: count}, (_, i): Prompt => ({id: String(i), text: String(i)}));
  const world: Environment = {
    name: 'peer',
    preset,
    latentShape,
    videoShape,
    splits: ['train', 'heldOut'],
    prompts: (_, n) => prompts.slice(0, n),
    policy: {
      textLength: config.text,
      tokenize: (texts) => take(captions, texts.map(Number)),
      // The bias of each word as an attention key is one more column of its state.
      encode: (params, tokens) => {
        const {states, keyBias} = encodePeer(config, params, tokens);
        return tf.concat([states, tf.expandDims(keyBias, -1)], -1);
      },
      encodeNull: () => {
        throw new Error('bench: the peer has no guidance.');
      },
      denoise: (params, latent, time, text) => {
        const [states, keyBias] = tf.split(text, [config.width, 1], -1);
        return denoisePeer(config, params, latent, time, {states, keyBias: tf.squeeze(keyBias, [-1])});
      },
      isText,
    },
    initialise: (seed) => initialisePeer(config, seed),
    weights: undefined,
    decode: (latents) => ndarray('float32', [latents.shape[0], ...videoShape], latents.data),
    decodeInGraph: (latents) => tf.reshape(latents, [latents.shape[0], ...videoShape]),
  };
  return {world, config};
}

/** The peer's closed-form reward: the mean of one channel, chosen by the prompt, against the others. */
export const channelReward: Reward = {
  name: 'channel',
  unit: '1',
  score: (videos, prompts) => {
    const size = videos.data.length / prompts.length;
    const scores = prompts.map(({id}, row) => {
      const means = new Float64Array(CHANNELS);
      for (let i = 0; i < size; i++) means[i % CHANNELS] += videos.data[row * size + i];
      const [r, g, b] = means.map((sum) => (sum * CHANNELS) / size);
      return 1.5 * [r, g, b][Number(id) % CHANNELS] - 0.5 * (r + g + b);
    });
    return Promise.resolve(float32(scores).data);
  },
};

/** The peer's reward with a gradient: the cosine of a clip's embedding and a goal of its prompt's own. */
export function embeddingReward(config: PeerConfig): DifferentiableReward {
  const GOAL = 64;
  return {
    params: initialiseEncoder(config, 1),
    encode: (prompts) => {
      const goals = prompts.map(({id}) => {
        const goal = normals({seed: 0, purpose: 'goal', prompt: id}, new Float32Array(GOAL));
        const length = Math.hypot(...goal);
        return goal.map((x) => x / length);
      });
      return {goal: ndarray('float32', [prompts.length, GOAL], Float32Array.from(goals.flatMap((g) => [...g])))};
    },
    score: (params, video, prompts) =>
      encoderReward(params, tf.reshape(video, [video.shape[0], tokensOf(config), PATCH_SIZE]), prompts['goal'] as tf.Tensor),
  };
}
