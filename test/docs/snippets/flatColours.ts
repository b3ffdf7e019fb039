/** Videos of one colour: the smallest world that has everything an environment needs. */
import * as tf from '@tensorflow/tfjs-core';
import {
  ConfigError,
  float32,
  ndarray,
  zeros,
  type Branch,
  type Environment,
  type EnvironmentModule,
  type Policy,
} from '../../../src/plugin.js';

const colours: Readonly<Record<string, readonly [number, number, number]>> = {
  black: [-1, -1, -1],
  red: [1, -1, -1],
  green: [-1, 1, -1],
  white: [1, 1, 1],
};
const words = Object.keys(colours);
const latentShape = [2, 4, 4, 3]; // [F, H, W, C]

const at = (params: Branch<tf.Tensor>, name: string): tf.Tensor => params[name] as tf.Tensor;

const policy: Policy = {
  textLength: 1,
  // One word a caption; 0 is padding.
  tokenize(texts) {
    const ids = texts.map((text) => words.indexOf(text) + 1);
    const unknown = texts.find((_, i) => ids[i] === 0);
    if (unknown !== undefined) throw new ConfigError(`flatColours: a caption is one of ${words.join(', ')}; got "${unknown}".`);
    return ndarray('int32', [texts.length, 1], Int32Array.from(ids));
  },
  encode: (params, tokens) => tf.gather(at(params['text'] as Branch<tf.Tensor>, 'colour'), tokens),
  encodeNull: (_params, batch) => tf.zeros([batch, 1, 3]),
  // The predicted clean latent: the colour that the caption names, moved by what is trained, and a little of the latent, so that
  // samples of a prompt differ.
  denoise: (params, latent, _time, text) =>
    tf.add(tf.mul(latent, 0.2), tf.reshape(tf.add(text, at(params, 'shift')), [-1, 1, 1, 1, 3])),
  isText: (path) => path.startsWith('text.'),
};

const flatColours: Environment = {
  name: 'flatColours',
  preset: 'tiny',
  latentShape,
  videoShape: latentShape,
  splits: ['train', 'heldOut'],
  prompts(split, count) {
    if (!this.splits.includes(split)) throw new ConfigError(`flatColours: a split is train or heldOut; got "${split}".`);
    return Array.from({length: count}, (_, i) => ({id: `${split}-${i}`, text: words[i % words.length]}));
  },
  policy,
  initialise: () => ({
    shift: zeros('float32', [3]),
    text: {colour: float32([0, 0, 0, ...Object.values(colours).flat()], [words.length + 1, 3])},
  }),
  weights: undefined,
  // Pixels are the latent.
  decode: (latents) => ({...latents, data: latents.data.map((x) => Math.max(-1, Math.min(1, x)))}),
  decodeInGraph: (latents) => tf.clipByValue(latents, -1, 1),
};

/** The world as it is registered. */
export const flatColoursModule: EnvironmentModule = {
  name: 'flatColours',
  summary: 'videos of one colour',
  presets: ['tiny'],
  open(preset) {
    if (preset !== 'tiny') throw new ConfigError(`flatColours: the only preset is tiny; got "${preset}".`);
    return flatColours;
  },
};
