/** The verification card of a reward: what can be known about it before a policy is optimised for it. */
import type {Environment, Prompt} from '../environment.js';
import {NonFiniteError} from '../errors.js';
import type {Reward, Verification} from '../reward.js';
import {scoreVideos} from '../rollout/scoreVideos.js';
import type {NdArray} from '../tensor/ndarray.js';
import {fromBytes} from '../tensor/pixels.js';
import {fixedClips} from './fixedClips.js';

/** Patterns that are scored: two for each prompt, so that rewards which compare samples of a prompt have something to compare. */
const PATTERNS = 8;
/** Clips of the world itself that are scored. */
const CLIPS = 32;

/** Where scores lie. */
export interface Spread {
  readonly low: number;
  readonly mean: number;
  readonly high: number;
}

/** What was found. */
export interface RewardCard {
  readonly name: string;
  readonly unit: string;
  /** Whether algorithms that need its gradient can use it. */
  readonly differentiable: boolean;
  /** Whether it compares samples of one prompt alone. */
  readonly relative: boolean;
  /** What was verified about its weights, if it has any. */
  readonly verification?: Verification;
  /** Scores of fixed patterns, or what is wrong with them. */
  readonly patterns: Spread | {readonly problem: string};
  /** Whether the same clips got the same scores twice. */
  readonly repeatable: boolean;
  /** Speed after a first batch: on the world's clips if they were scored, on patterns if not. */
  readonly clipsPerSecond: number;
  /** Scores of the world's own clips with their captions, and with each other's. */
  readonly clips?: {readonly own: Spread; readonly swapped: Spread};
  /** The same of each part of a composed reward. */
  readonly parts: readonly RewardCard[];
}

/**
 * Tries a reward on fixed patterns, and if asked on clips of the world.
 *
 * @param options.clips also score the world's own clips, if it makes any. Default false: it takes a second.
 * @throws whatever the reward throws, but for scores that are not finite, which are part of the card: patterns show nothing.
 */
export async function rewardCard(
  reward: Reward,
  environment: Environment,
  options: {readonly clips?: boolean} = {},
): Promise<RewardCard> {
  const source = options.clips ? environment.openClips?.('validation', 1) : undefined;
  try {
    const indices = Array.from({length: CLIPS}, (_, i) => i);
    return await cardOf(reward, environment, await source?.clips(indices, false));
  } finally {
    await source?.close();
  }
}

type Captioned = {readonly videos: NdArray<'uint8'>; readonly texts: readonly string[]};

async function cardOf(reward: Reward, environment: Environment, captioned: Captioned | undefined): Promise<RewardCard> {
  const videos = fixedClips(PATTERNS, environment.videoShape);
  const known = environment.prompts('heldOut', PATTERNS / 2);
  const prompts = Array.from({length: PATTERNS}, (_, i) => known[i % known.length]);
  const tried = await attempt(reward, videos, prompts);
  const began = performance.now();
  const again = await attempt(reward, videos, prompts);
  const seconds = (performance.now() - began) / 1000;
  const parts: RewardCard[] = [];
  for (const part of reward.parts ?? []) parts.push(await cardOf(part, environment, captioned));
  return {
    name: reward.name,
    unit: reward.unit,
    differentiable: reward.differentiable !== undefined,
    relative: reward.relative === true,
    ...(reward.verification && {verification: reward.verification}),
    patterns: 'problem' in tried ? tried : spreadOf(tried.scores),
    repeatable: JSON.stringify(tried) === JSON.stringify(again),
    clipsPerSecond: PATTERNS / seconds,
    ...(captioned && !reward.relative && (await clipsOf(reward, captioned))),
    parts,
  };
}

async function attempt(
  reward: Reward,
  videos: NdArray<'float32'>,
  prompts: readonly Prompt[],
): Promise<{readonly scores: number[]} | {readonly problem: string}> {
  try {
    return {scores: Array.from(await scoreVideos(reward, videos, prompts))};
  } catch (error) {
    if (error instanceof NonFiniteError) return {problem: error.message.replace('; nothing was applied', '')};
    throw error;
  }
}

async function clipsOf(reward: Reward, {videos, texts}: Captioned): Promise<Pick<RewardCard, 'clips' | 'clipsPerSecond'>> {
  const floats = fromBytes(videos);
  const prompts = texts.map((text) => ({id: text, text}));
  const others = prompts.map((_, i) => prompts[(i + 1) % prompts.length]);
  const swapped = await scoreVideos(reward, floats, others);
  const began = performance.now();
  const own = await scoreVideos(reward, floats, prompts);
  const seconds = (performance.now() - began) / 1000;
  return {
    clips: {own: spreadOf(Array.from(own)), swapped: spreadOf(Array.from(swapped))},
    clipsPerSecond: texts.length / seconds,
  };
}

const spreadOf = (scores: readonly number[]): Spread => ({
  low: Math.min(...scores),
  mean: scores.reduce((sum, x) => sum + x, 0) / scores.length,
  high: Math.max(...scores),
});
