/** Whether rewards rank samples of one prompt as the judge ranks them: what a policy would be taught. */
import type {Device} from '../engine/device.js';
import type {Environment, Judge, Prompt} from '../environment.js';
import {resample, type Resampled} from '../evaluate/bootstrap.js';
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

/** Something for each. */
export const forEachJudged = <T>(of: (by: JudgedBy) => T): Record<JudgedBy, T> => ({
  total: of('total'),
  quality: of('quality'),
  semantic: of('semantic'),
});

/** Some prompts' samples, those of one prompt side by side, and what the judge says of each. */
export interface JudgedBatch {
  readonly videos: NdArray<'float32'>;
  readonly prompts: readonly Prompt[];
  readonly scores: Readonly<Record<JudgedBy, readonly number[]>>;
}

/** Prompts that are generated at once. */
const PROMPTS_AT_ONCE = 4;

/** Draws samples of held-out prompts and judges them, some prompts at a time. */
export async function* judgedSamples(
  environment: Environment,
  device: Device,
  {policy, judge, prompts: count, samples, steps, seed}: SamplesPlan,
  report: (progress: StudyProgress) => void,
): AsyncGenerator<JudgedBatch> {
  const prompts = environment.prompts('heldOut', count);
  const how = {policy, prompts, samples, steps, seed, purpose: 'study', atOnce: PROMPTS_AT_ONCE};
  let done = 0;
  for await (const {videos, prompts: each} of policySamples({environment, device, ...how})) {
    const aggregates = (await judge.judge(videos, each)).map((one) => judge.aggregate([one]));
    yield {videos, prompts: each, scores: forEachJudged((by) => aggregates.map((aggregate) => aggregate[by]))};
    report({stage: 'sampling', done: (done += each.length / samples), total: count});
  }
}

/** Samples as the encoder sees them, and what the judge says. */
export interface EmbeddedSamples {
  /** Captions of the prompts, `[P, E]`. */
  readonly text: NdArray<'float32'>;
  /** `[P·samples, E]`, those of one prompt side by side. */
  readonly video: NdArray<'float32'>;
  readonly scores: Readonly<Record<JudgedBy, readonly number[]>>;
}

/** Embeds judged samples. */
export async function embedSamples(
  judged: AsyncIterable<JudgedBatch>,
  session: EncoderSession,
  samples: number,
): Promise<EmbeddedSamples> {
  const videos: NdArray<'float32'>[] = [];
  const captions: string[] = [];
  const scores = forEachJudged((): number[] => []);
  for await (const batch of judged) {
    for (const by of judgedBy) scores[by].push(...batch.scores[by]);
    videos.push(await session.embedVideos(batch.videos));
    captions.push(...batch.prompts.filter((_, i) => i % samples === 0).map(({text}) => text));
  }
  return {text: await session.embedTexts(captions), video: concatRows(videos), scores};
}

/** The reward cos(T(y), x) of each sample, T the map. */
export async function mapRewards(
  device: Device,
  map: TransportMap,
  {text, video}: EmbeddedSamples,
  samples: number,
): Promise<readonly number[]> {
  const [captions, clips] = [unitRows(await applyMap(device, map, text)).data, unitRows(video).data];
  const width = text.shape[1];
  return Array.from({length: video.shape[0]}, (_, row) => {
    const caption = Math.floor(row / samples);
    let sum = 0;
    for (let d = 0; d < width; d++) sum += captions[caption * width + d] * clips[row * width + d];
    return sum;
  });
}

/**
 * Whether rewards rank as the judge does: of each, the mean over prompts of Kendall's τ within the samples of a prompt, resampled
 * over prompts. A prompt whose samples are all alike to the judge says nothing and is left out; of one that a reward finds all
 * alike, that reward's τ is 0.
 *
 * @param rewards of each, the rewards of all samples. @param judged what the judge gave the same samples.
 */
export function rankAgreement(
  rewards: readonly (readonly number[])[],
  judged: readonly number[],
  samples: number,
  seed: number,
  draws: number,
): Resampled {
  const groups = Array.from({length: judged.length / samples}, (_, p) => [p * samples, (p + 1) * samples] as const).filter(
    ([from, to]) => new Set(judged.slice(from, to)).size > 1,
  );
  const taus = rewards.map((own) =>
    groups.map(([from, to]) =>
      new Set(own.slice(from, to)).size > 1 ? kendall(own.slice(from, to), judged.slice(from, to)) : 0,
    ),
  );
  const mean = (own: readonly number[], indices: ArrayLike<number>): number =>
    Array.from(indices, (i) => own[i]).reduce((a, b) => a + b, 0) / indices.length;
  return resample(groups.length, (indices) => taus.map((own) => mean(own, indices)), seed, draws);
}
