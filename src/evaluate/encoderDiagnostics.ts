/**
 * What a video-text encoder is good for, before any policy is optimised with it: whether captions find their clips, whether a
 * wrong word is noticed, whether worse clips score lower, and whether samples of one prompt are ranked as the judge ranks them.
 */
import type {Environment, EncoderProbes, Judge, Prompt} from '../environment.js';
import {kendall, ranks, spearman} from '../numeric/rankCorrelation.js';
import type {NdArray} from '../tensor/ndarray.js';
import {fromBytes} from '../tensor/pixels.js';
import type {EncoderSession} from './encoderSession.js';

/** Both scores that an encoder gives to a caption and a clip: of its common space, and of its fusion. */
export interface ByScore<T> {
  /** Cosine of the two embeddings. */
  readonly similarity: T;
  /** Logit of a match. */
  readonly matching: T;
}

/** Share of clips and captions that find their own among 64. */
export interface Retrieval {
  readonly textOfVideo: number;
  readonly videoOfText: number;
  /** ‖mean text embedding − mean video embedding‖. */
  readonly modalityGap: number;
}

/** How well true captions are told from wrong ones. */
export interface Discrimination {
  readonly items: number;
  /** Share of right verdicts of the matching head, on true and wrong captions in equal number. */
  readonly accuracy: number;
  /** P(score of a true caption > score of a wrong one), over all pairs of them; ties count half. */
  readonly auc: ByScore<number>;
  /** P(the true caption of a clip scores higher than its wrong one); ties count half. */
  readonly ranked: ByScore<number>;
}

const dot = (a: NdArray<'float32'>, i: number, b: NdArray<'float32'>, j: number): number => {
  const width = a.shape[1];
  let sum = 0;
  for (let k = 0; k < width; k++) sum += a.data[i * width + k] * b.data[j * width + k];
  return sum;
};

const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;

const cosines = (texts: NdArray<'float32'>, videos: NdArray<'float32'>): number[] =>
  Array.from({length: texts.shape[0]}, (_, i) => dot(texts, i, videos, i));

/** Pairs among which one has to be found. */
const AMONG = 64;

/**
 * Retrieval among 64: in each group of 64 pairs, the share whose best partner is its own. Of equal captions any will do.
 *
 * @param texts a multiple of 64 captions, and @param videos the clip of each.
 */
export async function measureRetrieval(
  session: EncoderSession,
  texts: readonly string[],
  videos: NdArray<'uint8'>,
): Promise<Retrieval> {
  const [t, v] = [await session.embedTexts(texts), await session.embedVideos(videos)];
  let [foundTexts, foundVideos] = [0, 0];
  for (let i = 0; i < texts.length; i++) {
    const group = Array.from({length: AMONG}, (_, k) => i - (i % AMONG) + k);
    const best = (score: (j: number) => number): number => group.reduce((a, b) => (score(b) > score(a) ? b : a));
    if (texts[best((j) => dot(v, i, t, j))] === texts[i]) foundTexts++;
    if (texts[best((j) => dot(t, i, v, j))] === texts[i]) foundVideos++;
  }
  const width = t.shape[1];
  const gap = Array.from({length: width}, (_, k) => {
    const column = (a: NdArray<'float32'>): number => mean(texts.map((_text, i) => a.data[i * width + k]));
    return (column(t) - column(v)) ** 2;
  });
  return {
    textOfVideo: foundTexts / texts.length,
    videoOfText: foundVideos / texts.length,
    modalityGap: Math.sqrt(gap.reduce((a, b) => a + b)),
  };
}

/**
 * Area under the curve: P(a number of `high` > a number of `low`), ties counted half.
 *
 * @source Mann & Whitney 1947: the sum of ranks.
 */
export function areaUnderCurve(high: readonly number[], low: readonly number[]): number {
  const all = ranks([...high, ...low]);
  const sum = all.subarray(0, high.length).reduce((a, b) => a + b, 0);
  return (sum - (high.length * (high.length + 1)) / 2) / (high.length * low.length);
}

/** 1 where a difference has the right sign, 0 where it has not, ½ at 0. */
export const rightness = (x: number): number => (x > 0 ? 1 : x < 0 ? 0 : 0.5);

/**
 * Counterfactual captions, by kind and all together (`all`).
 *
 * @param count items; the kinds take turns.
 */
export async function measureDiscrimination(
  session: EncoderSession,
  probes: EncoderProbes,
  count: number,
): Promise<Readonly<Record<string, Discrimination>>> {
  const items: {kind: string; similarity: [number, number]; matching: [number, number]}[] = [];
  for (let first = 0; first < count; first += AMONG) {
    const indices = Array.from({length: Math.min(AMONG, count - first)}, (_, i) => first + i);
    const {videos, texts, wrong, kinds} = probes.counterfactuals(indices);
    const v = await session.embedVideos(videos);
    const [right, off] = [cosines(await session.embedTexts(texts), v), cosines(await session.embedTexts(wrong), v)];
    const [yes, no] = [await session.matchLogits(texts, videos), await session.matchLogits(wrong, videos)];
    kinds.forEach((kind, i) => items.push({kind, similarity: [right[i], off[i]], matching: [yes[i], no[i]]}));
  }
  const of = (kind: string): Discrimination => {
    const mine = items.filter((item) => kind === 'all' || item.kind === kind);
    const both = <T>(f: (pairs: readonly (readonly [number, number])[]) => T): ByScore<T> => ({
      similarity: f(mine.map((item) => item.similarity)),
      matching: f(mine.map((item) => item.matching)),
    });
    return {
      items: mine.length,
      accuracy: mean(mine.flatMap(({matching: [yes, no]}) => [rightness(yes), rightness(-no)])),
      auc: both((pairs) =>
        areaUnderCurve(
          pairs.map(([high]) => high),
          pairs.map(([, low]) => low),
        ),
      ),
      ranked: both((pairs) => mean(pairs.map(([high, low]) => rightness(high - low)))),
    };
  };
  return Object.fromEntries([...probes.kinds, 'all'].map((kind) => [kind, of(kind)]));
}

const finite = (values: readonly number[]): number[] => values.filter((x) => Number.isFinite(x));

/**
 * Whether worse clips score lower: within each clip, Spearman's ρ of the score and the judge's quality over its variants; the
 * mean over clips.
 *
 * @param count clips, each in all variants.
 */
export async function measureQualityRank(
  session: EncoderSession,
  probes: EncoderProbes,
  judge: Judge,
  count: number,
): Promise<ByScore<number>> {
  const perClip = probes.variants.length;
  const found: ByScore<number[]> = {similarity: [], matching: []};
  for (let index = 0; index < count; index++) {
    const {videos, texts} = probes.degraded([index]);
    const repeated = Array.from({length: perClip}, () => texts[0]);
    const prompts: Prompt[] = repeated.map((text) => ({id: text, text}));
    const judgements = await judge.judge(fromBytes(videos), prompts);
    const quality = judgements.map((j) => judge.aggregate([j])['quality']);
    const similarity = cosines(await session.embedTexts(repeated), await session.embedVideos(videos));
    found.similarity.push(spearman(similarity, quality));
    found.matching.push(spearman(await session.matchLogits(repeated, videos), quality));
  }
  return {similarity: mean(finite(found.similarity)), matching: mean(finite(found.matching))};
}

/**
 * Whether samples of one prompt are ranked as the judge ranks them: Kendall's τ within each group, the mean over groups. Groups
 * whose members the judge scores alike are left out.
 *
 * @param videos samples of one prompt side by side. @param prompts the prompt of each. @param group samples of a prompt.
 */
export async function measureSampleRank(
  session: EncoderSession,
  judge: Judge,
  videos: NdArray<'float32'>,
  prompts: readonly Prompt[],
  group: number,
): Promise<ByScore<number>> {
  const judgements = await judge.judge(videos, prompts);
  const totals = judgements.map((j) => judge.aggregate([j])['total']);
  const texts = prompts.map((p) => p.text);
  const similarity = cosines(await session.embedTexts(texts), await session.embedVideos(videos));
  const matching = Array.from(await session.matchLogits(texts, videos));
  const within = (scores: readonly number[]): number => {
    const taus: number[] = [];
    for (let first = 0; first < prompts.length; first += group) {
      taus.push(kendall(scores.slice(first, first + group), totals.slice(first, first + group)));
    }
    return mean(finite(taus));
  };
  return {similarity: within(similarity), matching: within(matching)};
}

/** How much is looked at. */
export interface DiagnosticsOptions {
  /** Pairs of the clean validation stream, a multiple of 64. */
  readonly pairs: number;
  /** Counterfactual items. */
  readonly items: number;
  /** Clips in all degraded variants; 0: none, which spares the judge. */
  readonly degraded: number;
}

/** Everything that needs no policy. */
export interface EncoderDiagnostics {
  readonly retrieval: Retrieval;
  readonly discrimination?: Readonly<Record<string, Discrimination>>;
  readonly qualityRank?: ByScore<number>;
}

/**
 * Examines an encoder on a world's clips: on all that the world offers.
 *
 * @param judge needed for the degraded clips.
 */
export async function diagnoseEncoder(
  session: EncoderSession,
  environment: Environment,
  judge: Judge | undefined,
  {pairs, items, degraded}: DiagnosticsOptions,
): Promise<EncoderDiagnostics> {
  const source = environment.openClips!('validation', 0);
  const {videos, texts} = await source.clips(
    Array.from({length: pairs}, (_, i) => i),
    false,
  );
  await source.close();
  const {encoderProbes: probes} = environment;
  return {
    retrieval: await measureRetrieval(session, texts, videos),
    ...(probes && {discrimination: await measureDiscrimination(session, probes, items)}),
    ...(probes && judge && degraded > 0 && {qualityRank: await measureQualityRank(session, probes, judge, degraded)}),
  };
}
