/**
 * A one-dimensional diffusion whose best fine-tuned policy is known in closed form: the world that every optimizer has to solve.
 *
 * The clean latent is one number x0, the grey level of a one-pixel video. Prompt c names a mean m_c, and the data are
 * x0 ~ N(m_c, s²). With x_t = (1 − t)·x0 + t·ε the clean latent that the flow policy has to predict is
 *
 *   E[x0 | x_t] = μ + k(t)·(x_t − (1 − t)·μ),   k(t) = (1 − t)·s² / ((1 − t)²·s² + t²),   μ = m_c.
 *
 * The policy is this formula with one trained number a prompt, μ_c, which starts at m_c: every policy of the family is exact for
 * N(μ_c, s²), and every sampler is affine in x, so what it generates is normal too. A flow sampler of any number of steps
 * generates the mean μ_c exactly, because its rows obey a·(1 − t) + b = 1 − t'; the variance comes from the recursion
 * v' = (a + b·k(t))²·v + std² and tends to s² with the number of steps.
 *
 * What is to be reached, for an expected reward J(μ) of what is generated:
 *
 *   - reward r = −(x − τ)², no regularisation: μ* = τ for every prompt.
 *   - max J − β·KL(N(μ, s²) ‖ N(m, s²)): the mean of the tilted Gaussian p ∝ N(m, s²)·exp(r/β). For r = x that is m + s²/β,
 *     for r = −(x − τ)² it is (m/s² + 2τ/β) / (1/s² + 2/β).
 *   - DDPO with its penalty per step: x̂0 moves by g(t)·δ, g(t) = 1 − (1 − t)·k(t), where δ = μ − m, so step i costs
 *     κ_i·δ²/2 nats with κ_i = (b_i·g(t_i)/std_i)². With K noisy steps it stops where J'(μ)/(K·σ_r) = β·mean(κ)·δ, σ_r being
 *     the standard deviation of the reward and J' the part of the derivative that goes through noisy steps.
 *
 * Guidance with scale w generates N(w·μ_c, s²), since the prediction without a prompt is that for N(0, s²).
 *
 * @source E[x0 | x_t] of a normal: Bishop 2006, "Pattern recognition and machine learning", eq. 2.113-2.117. Tilting:
 * Levine 2018, arXiv:1805.00909, §2.3.
 */
import * as tf from '@tensorflow/tfjs-core';
import {ConfigError, float32, ndarray, zeros, type Environment, type EnvironmentModule, type Policy} from '../src/plugin.js';

/** The captions and the mean m_c of each: grey levels in [-1, 1]. */
export const gaussianToyMeans: Readonly<Record<string, number>> = {dark: -0.3, dim: -0.1, pale: 0.1, bright: 0.3};

/** Standard deviation s of the data: small enough that ±1 is too far away to matter. */
export const gaussianToyDeviation = 0.2;

const words = Object.keys(gaussianToyMeans);
const preset = 'pixel';
const splits = ['train', 'heldOut'];
const variance = gaussianToyDeviation ** 2;

/** x̂0 = (1 − (1 − t)·k)·μ + k·x. */
function predict(latent: tf.Tensor, time: tf.Tensor, mean: tf.Tensor): tf.Tensor {
  const kept = tf.sub(1, time);
  const gain = tf.div(tf.mul(kept, variance), tf.add(tf.mul(tf.square(kept), variance), tf.square(time)));
  return tf.add(tf.mul(tf.sub(1, tf.mul(kept, gain)), mean), tf.mul(gain, latent));
}

const policy: Policy = {
  textLength: 1,
  tokenize(texts) {
    const ids = texts.map((text) => {
      const unknown = text.split(/\s+/).find((word) => !words.includes(word)) ?? (words.includes(text) ? undefined : text);
      if (unknown === undefined) return words.indexOf(text) + 1;
      throw new ConfigError(`gaussianToy: a caption is one of ${words.join(', ')}; got "${unknown}" in "${text}".`);
    });
    return ndarray('int32', [texts.length, 1], Int32Array.from(ids));
  },
  // One-hot rows, from a table that is frozen like any text tower.
  encode: (params, tokens) => tf.gather((params['text'] as {embedding: tf.Tensor}).embedding, tokens),
  encodeNull: (_, batch) => tf.zeros([batch, 1, words.length]),
  denoise(params, latent, time, text) {
    const batch = latent.shape[0];
    const mean = tf.matMul(tf.reshape(text, [batch, words.length]), tf.reshape(params['mean'] as tf.Tensor, [words.length, 1]));
    const rows = [batch, 1, 1, 1, 1];
    return predict(latent, tf.reshape(time, rows), tf.reshape(mean, rows));
  },
  isText: (path) => path.startsWith('text.'),
};

/** One row of zeros for padding, then one row a word with a 1 in its place. */
function oneHot(): ReturnType<typeof zeros<'float32'>> {
  const table = zeros('float32', [words.length + 1, words.length]);
  words.forEach((_, i) => (table.data[(i + 1) * words.length + i] = 1));
  return table;
}

/**
 * The world. Both splits hold the same four captions: there is nothing to generalise to.
 *
 * @param name `pixel`, the only size.
 * @throws ConfigError if it is another.
 */
export function gaussianToy(name: string = preset): Environment {
  if (name !== preset) throw new ConfigError(`gaussianToy: the only preset is ${preset}; got "${name}".`);
  return {
    name: 'gaussianToy',
    preset,
    latentShape: [1, 1, 1, 1],
    videoShape: [1, 1, 1, 3],
    splits,
    prompts(split, count) {
      if (!splits.includes(split)) {
        throw new ConfigError(`gaussianToy: a split is one of ${splits.join(', ')}; got "${split}".`);
      }
      return words.slice(0, count).map((text) => ({id: `${split}-${text}`, text}));
    },
    policy,
    // The base is the exact policy; there is nothing to draw.
    initialise: () => ({mean: float32(Object.values(gaussianToyMeans)), text: {embedding: oneHot()}}),
    weights: undefined,
    decode(latents) {
      const grey = (_: unknown, i: number): number => Math.max(-1, Math.min(1, latents.data[Math.floor(i / 3)]));
      return ndarray('float32', [latents.shape[0], 1, 1, 1, 3], Float32Array.from({length: latents.data.length * 3}, grey));
    },
    decodeInGraph: (latents) => tf.tile(tf.clipByValue(latents, -1, 1), [1, 1, 1, 1, 3]),
  };
}

/** The world as it is registered. */
export const gaussianToyModule: EnvironmentModule = {
  name: 'gaussianToy',
  summary: 'one grey pixel drawn from a normal distribution: the best policy is known in closed form',
  presets: [preset],
  open: gaussianToy,
};
