/** Whether a map's reward ranks samples of one prompt as the judge ranks them: what a policy would be taught. */
import type {Device} from '../engine/device.js';
import type {Environment, Judge} from '../environment.js';
import type {EncoderSession} from '../evaluate/encoderSession.js';
import {applyMap} from '../fit/measureMap.js';
import {kendall} from '../numeric/rankCorrelation.js';
import {policySamples} from '../rollout/policySamples.js';
import {concatRows, type NdArray} from '../tensor/ndarray.js';
import type {Params} from '../tensor/tree.js';
import type {TransportMap} from '../transport/maps/transportMap.js';
import {unitRows} from '../transport/metrics/distances.js';
import type {StudyProgress} from './study.js';

/** Which samples are ranked. */
export interface SamplesPlan {
  /** Weights of the policy. */
  readonly policy: Params;
  readonly judge: Judge;
  /** Held-out prompts. */
  readonly prompts: number;
  /** Samples of each. */
  readonly samples: number;
  /** Denoising steps. */
  readonly steps: number;
  readonly seed: number;
}

/** What the judge ranks by. */
export const judgedBy = ['total', 'quality', 'semantic'] as const;
/** One of them. */
export type JudgedBy = (typeof judgedBy)[number];

/** Samples as the encoder sees them, and what the judge says. */
export interface JudgedSamples {
  /** Captions of the prompts, `[P, E]`. */
  readonly text: NdArray<'float32'>;
  /** `[P·samples, E]`, those of one prompt side by side. */
  readonly video: NdArray<'float32'>;
  readonly samples: number;
  readonly scores: Readonly<Record<JudgedBy, readonly number[]>>;
}

/** Prompts that are generated at once. */
const PROMPTS_AT_ONCE = 4;

/** Draws samples, judges and embeds them. */
export async function judgedSamples(
  environment: Environment,
  device: Device,
  session: EncoderSession,
  {policy, judge, prompts: count, samples, steps, seed}: SamplesPlan,
  report: (progress: StudyProgress) => void,
): Promise<JudgedSamples> {
  const prompts = environment.prompts('heldOut', count);
  const videos: NdArray<'float32'>[] = [];
  const scores: Record<JudgedBy, number[]> = {total: [], quality: [], semantic: []};
  const how = {policy, prompts, samples, steps, seed, purpose: 'study', atOnce: PROMPTS_AT_ONCE};
  let done = 0;
  for await (const made of policySamples({environment, device, ...how})) {
    for (const judgement of await judge.judge(made.videos, made.prompts)) {
      const aggregate = judge.aggregate([judgement]);
      for (const name of judgedBy) scores[name].push(aggregate[name]);
    }
    videos.push(await session.embedVideos(made.videos));
    report({stage: 'sampling', done: (done += made.prompts.length / samples), total: count});
  }
  return {text: await session.embedTexts(prompts.map(({text}) => text)), video: concatRows(videos), samples, scores};
}

/**
 * Kendall's τ of the reward cos(T(y), x) and the judge within the samples of each prompt: `[P]`, NaN where the judge finds all
 * samples of a prompt alike.
 */
export async function rankAgreement(
  device: Device,
  map: TransportMap,
  {text, video, samples, scores}: JudgedSamples,
  by: JudgedBy,
): Promise<readonly number[]> {
  const [captions, clips] = [unitRows(await applyMap(device, map, text)).data, unitRows(video).data];
  const width = text.shape[1];
  return Array.from({length: text.shape[0]}, (_, p) => {
    const own = Array.from({length: samples}, (_sample, s) => p * samples + s);
    const rewards = own.map((row) => {
      let sum = 0;
      for (let d = 0; d < width; d++) sum += captions[p * width + d] * clips[row * width + d];
      return sum;
    });
    return kendall(
      rewards,
      own.map((row) => scores[by][row]),
    );
  });
}
