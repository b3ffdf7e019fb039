/**
 * Fluent clips: captioned clips drawn from a seed, small enough to train on a laptop, with a judge that solves for the truth.
 * docs/world.md tells what can be in a clip, how the splits are made and what the judge measures.
 */
import * as tf from '@tensorflow/tfjs-core';
import {textPolicy, type Environment, type EnvironmentModule, type NdArray} from '../../src/plugin.js';
import {miniAsset} from './assets.js';
import {tokenizerOf, vocabularyOf} from './caption.js';
import {openClips} from './clips.js';
import {encodersOf} from './encoders.js';
import {openJudge} from './judge/judge.js';
import {probesOf} from './probes.js';
import {presetNamed, presets, type Preset} from './spec.js';
import {promptsOf, promptSplits} from './streams.js';

/** Width, depth and heads of the policy of each preset. */
const networks: Readonly<Record<string, {width: number; depth: number; heads: number}>> = {
  nano: {width: 64, depth: 2, heads: 2},
  mini: {width: 96, depth: 4, heads: 3},
};

/** When an encoder learns relations: it knows nouns by then, the rates begin to fall, and what it forgets of the rest comes back. */
const hardPairsWhen = {from: 0.55, until: 0.75};

/**
 * The world at one of its sizes.
 *
 * @param presetName `nano` (16×16×4, for tests) or `mini` (24×24×8).
 * @throws ConfigError naming the presets, if it is none of them.
 */
export function fluentClips(presetName: string): Environment {
  const preset = presetNamed(presetName);
  const {side, frames} = preset;
  const latentShape = [frames, side, side, 3] as const;
  return {
    name: 'fluentClips',
    preset: preset.name,
    latentShape,
    videoShape: latentShape,
    splits: promptSplits,
    prompts: (split, count) => promptsOf(preset, split, count),
    ...policyOf(preset),
    weights: preset.name === 'mini' ? miniAsset('policy') : undefined,
    // Pixels are the latent: at 24×24 a patch of 96 numbers is already what a decoder would start from.
    decode: (latents) => clamp(latents),
    decodeInGraph: (latents) => tf.clipByValue(latents, -1, 1),
    encode: (videos) => videos,
    encoders: encodersOf(preset),
    encoderProbes: probesOf(preset),
    openJudge: (threads) => openJudge(preset, threads),
    openClips: (stream, threads) => openClips(preset, stream, threads),
    ...(preset.pairShare > 0 && {hardPairs: hardPairsWhen}),
  };
}

/** The world as it is registered. */
export const fluentClipsModule: EnvironmentModule = {
  name: 'fluentClips',
  summary: 'captioned clips of emoji in simple scenes, with a judge that solves for the truth',
  presets: Object.keys(presets),
  open: fluentClips,
};

function policyOf(preset: Preset): ReturnType<typeof textPolicy> {
  const {side, frames, textLength} = preset;
  const size = networks[preset.name];
  return textPolicy({
    network: {
      latentShape: [frames, side, side, 3],
      patch: [2, 4, 4],
      ...size,
      text: {vocabulary: vocabularyOf(preset).length, length: textLength, width: size.width, depth: 1, heads: size.heads},
    },
    tokenize: tokenizerOf(preset),
  });
}

const clamp = (a: NdArray<'float32'>): NdArray<'float32'> => ({...a, data: a.data.map((x) => Math.max(-1, Math.min(1, x)))});
