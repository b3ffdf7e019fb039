/**
 * Held-out evaluation: the deterministic sampler, prompts that are never trained on, and noise of its own that is the same
 * before and after, so that differences are paired.
 */
import type {ResidentTree} from '../engine/device.js';
import type {Judge, Judgement, Prompt} from '../environment.js';
import type {Reward} from '../reward.js';
import type {Generator} from '../rollout/generate.js';
import {noiseless} from '../rollout/noiseless.js';
import {scoreParts} from '../rollout/scoreVideos.js';
import {concatRows, type NdArray} from '../tensor/ndarray.js';
import {bootstrap, type Interval} from './bootstrap.js';

/** What to evaluate on. */
export interface Suite {
  /** `split/count`. */
  readonly name: string;
  readonly prompts: readonly Prompt[];
  /** Sampling steps. */
  readonly steps: number;
  readonly seed: number;
}

/** Scores of every prompt of a suite. */
export interface SuiteScores {
  readonly videos: NdArray<'float32'>;
  /** The optimised reward of each prompt. */
  readonly rewards: Float32Array;
  /** The parts of a composed reward for each prompt, by their names. */
  readonly parts?: Readonly<Record<string, Float32Array>>;
  /** Whether the reward compares samples of one prompt alone, of which there is one here: then only its parts say something. */
  readonly relative?: boolean;
  /** Scores of the parts of what is measured independently of the reward, by their names. */
  readonly independent?: Readonly<Record<string, Float32Array>>;
  /** The judge's word on each, if the world has a judge. */
  readonly judgements: readonly Judgement[] | undefined;
}

/** What scores the clips of a suite. */
export interface Measures {
  readonly reward: Reward;
  /** A composed reward that is not optimised; its parts are reported. Default: none. */
  readonly independent?: Reward | undefined;
  readonly judge: Judge | undefined;
}

/** Clips that are generated at once. */
const BATCH = 32;

/**
 * Generates and scores a suite.
 *
 * @throws as `scoreVideos`.
 */
export async function evaluateSuite(
  generate: Generator,
  policy: ResidentTree,
  suite: Suite,
  {reward, independent, judge}: Measures,
): Promise<SuiteScores> {
  const videos: NdArray<'float32'>[] = [];
  const rewards = new Float32Array(suite.prompts.length);
  const [parts, others]: Record<string, Float32Array>[] = [{}, {}];
  const keep = (into: Record<string, Float32Array>, from: Readonly<Record<string, Float32Array>>, first: number): void => {
    for (const [name, scores] of Object.entries(from)) (into[name] ??= new Float32Array(suite.prompts.length)).set(scores, first);
  };
  const judgements: Judgement[] = [];
  for (let first = 0; first < suite.prompts.length; first += BATCH) {
    const prompts = suite.prompts.slice(first, first + BATCH);
    const request = noiseless({prompts, steps: suite.steps, seed: suite.seed, purpose: 'evaluation'});
    const made = (await generate(policy, request)).videos;
    videos.push(made);
    const scored = await scoreParts(reward, made, prompts);
    rewards.set(scored.scores, first);
    keep(parts, scored.parts, first);
    if (independent) keep(others, (await scoreParts(independent, made, prompts)).parts, first);
    if (judge) judgements.push(...(await judge.judge(made, prompts)));
  }
  return {
    ...{videos: concatRows(videos), rewards, parts, relative: reward.relative === true},
    ...(independent && {independent: others}),
    judgements: judge && judgements,
  };
}

/** How a suite changed: the optimised reward, its parts, and the judge's totals. */
export interface Comparison {
  readonly metric: string;
  readonly before: number;
  readonly after: number;
  readonly difference: Interval;
}

const meanOf = (values: ArrayLike<number>, indices: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < indices.length; i++) sum += values[indices[i]];
  return sum / indices.length;
};

/** Paired comparison of two evaluations of one suite, with 95 % bootstrap intervals over prompts. */
export function compare(before: SuiteScores, after: SuiteScores, judge: Judge | undefined, seed: number): Comparison[] {
  const n = before.rewards.length;
  const all = Array.from({length: n}, (_, i) => i);
  const of = (metric: string, value: (scores: SuiteScores, indices: ArrayLike<number>) => number): Comparison => ({
    metric,
    before: value(before, all),
    after: value(after, all),
    difference: bootstrap(n, (indices) => value(after, indices) - value(before, indices), seed),
  });
  const comparisons = before.relative ? [] : [of('reward/mean', (s, indices) => meanOf(s.rewards, indices))];
  for (const name of Object.keys(before.parts ?? {})) {
    comparisons.push(of(`reward/${name}`, (s, indices) => meanOf(s.parts![name], indices)));
  }
  for (const name of Object.keys(before.independent ?? {})) {
    comparisons.push(of(`independent/${name}`, (s, indices) => meanOf(s.independent![name], indices)));
  }
  if (judge && before.judgements && after.judgements) {
    for (const metric of ['total', 'quality', 'semantic', 'strict']) {
      comparisons.push(
        of(`judge/${metric}`, (s, indices) => judge.aggregate(Array.from(indices, (i) => s.judgements![i]))[metric] ?? NaN),
      );
    }
  }
  return comparisons;
}
