/** Pre-trains a video-text encoder on a world's captioned clips, one update after another, and yields its state. */
import type {Device, ResidentTree} from '../engine/device.js';
import type {EncoderModule, VideoTextEncoder} from '../encoder.js';
import type {ClipSource, Environment} from '../environment.js';
import {ConfigError} from '../errors.js';
import {emaDecayAt} from '../numeric/optim/ema.js';
import {float32, int32, ndarray, zeros, type NdArray} from '../tensor/ndarray.js';
import {hash32, permutation, uniforms} from '../tensor/random.js';
import type {Params} from '../tensor/tree.js';
import {encoderStep, initialEncoderState, trainedParameters} from './encoderStep.js';
import {networkLayout, refusedUpdate, scheduleOf, unpackNetwork, type PackedNetwork} from './optimise.js';
import {rateShare} from './schedule.js';

/** The length of an encoder's training and its rates. */
export interface EncoderPlan {
  /** Pairs of clip and caption that are seen. */
  readonly pairs: number;
  /** Pairs of one update. */
  readonly batch: number;
  /** Pairs of earlier updates that are contrasted with. */
  readonly queue: number;
  /** Peak learning rate of Muon, and of AdamW. */
  readonly muonRate: number;
  readonly adamRate: number;
  /** Limit of the average's decay. */
  readonly averageDecay: number;
  /** What the error of hidden pixels is multiplied with in the loss; 0: videos are not masked. */
  readonly maskedWeight: number;
  /** What the cross-entropy of hidden words is multiplied with in the loss; 0: no word is hidden. */
  readonly maskedWordsWeight: number;
}

/** One finished update. */
export interface EncoderProgress {
  /** Updates done. */
  readonly updates: number;
  /** Pairs seen so far. */
  readonly pairs: number;
  /** Share of the run that is done. */
  readonly fraction: number;
  /** `loss`, its parts `contrast`, `matching`, `masked` and `maskedWords`, and `gradientNorm`. */
  readonly metrics: Readonly<Record<string, number>>;
}

/** A trainer between two updates. */
export interface EncoderTrainer {
  readonly totalUpdates: number;
  /** Does the next update. @throws NonFiniteError if loss or gradient is not finite; the state is then as before. */
  update(): Promise<EncoderProgress>;
  /** The averaged weights of the encoder. */
  averaged(): Promise<Params>;
  /** Everything a checkpoint needs; restore it by passing it to `openEncoderTrainer` with the number of updates done. */
  state(): Promise<Params>;
  close(): Promise<void>;
}

/** Where a trainer starts. */
export interface EncoderStart {
  readonly seed: number;
  readonly updates?: number;
  readonly state?: Params;
}

/** A caption as a number: equal where captions are, never 0, which marks an empty place of the queue. */
const captionId = (text: string): number => hash32(text) | 0 || 1;

/** Wrong captions as tokens, and where they are: one that says what the clip's own says, by a mistake of that one, is none. */
const wrongCaptions = (encoder: VideoTextEncoder, texts: readonly string[], wrong: readonly string[]): Params => ({
  tokens: encoder.tokenize(wrong),
  exists: float32(wrong.map((text, i) => Number(text !== texts[i]))),
});

/** `[b, V, P]`: for each clip V tubes of P at random, a row with a single 1 for each. */
export function drawVisible(seed: number, iteration: number, clips: number, visible: number, tubes: number): NdArray<'float32'> {
  const out = zeros('float32', [clips, visible, tubes]);
  for (let clip = 0; clip < clips; clip++) {
    const order = permutation({seed, purpose: 'maskedTubes', iteration, sample: clip}, tubes);
    for (let i = 0; i < visible; i++) out.data[(clip * visible + i) * tubes + order[i]] = 1;
  }
  return out;
}

/** Share of the words that are hidden. @source Wettig et al. 2023, arXiv:2202.08005: 40 % teaches more than BERT's 15 %. */
const HIDDEN_SHARE = 0.4;

/** `[B, N]`: 1 where a word is hidden: each with a chance of its own, and of each caption one at least. */
export function drawHidden(
  seed: number,
  iteration: number,
  tokens: NdArray<'int32'>,
  isWord: (id: number) => boolean,
): NdArray<'float32'> {
  const [captions, length] = tokens.shape as [number, number];
  const out = zeros('float32', tokens.shape);
  for (let row = 0; row < captions; row++) {
    const chances = uniforms({seed, purpose: 'maskedWords', iteration, sample: row}, new Float32Array(length));
    const words = Array.from(chances.keys()).filter((i) => isWord(tokens.data[row * length + i]));
    const least = words.reduce((a, b) => (chances[b] < chances[a] ? b : a), words[0]);
    for (const i of words) out.data[row * length + i] = Number(i === least || chances[i] < HIDDEN_SHARE);
  }
  return out;
}

/** Standard Gumbel numbers. */
const gumbels = (seed: number, purpose: string, iteration: number, n: number): NdArray<'float32'> =>
  ndarray(
    'float32',
    [n, n],
    uniforms({seed, purpose, iteration}, new Float32Array(n * n)).map((u) => -Math.log(-Math.log(u))),
  );

/**
 * Builds a trainer; clips are rendered by `threads` worker threads while the device computes.
 *
 * @throws ConfigError if the world makes no clips, or the plan does not go together.
 */
export async function openEncoderTrainer(
  environment: Environment,
  module: EncoderModule,
  device: Device,
  plan: EncoderPlan,
  start: EncoderStart,
  threads: number,
): Promise<EncoderTrainer> {
  if (!environment.openClips) throw new ConfigError(`pretrain: environment "${environment.name}" makes no clips of its own.`);
  if (plan.queue < plan.batch) {
    throw new ConfigError(`pretrain: wanted a queue of at least the batch of ${plan.batch} pairs; got ${plan.queue}.`);
  }
  const {encoder} = module;
  const {maskedVideo, maskedWords, ...pairsAlone} = module;
  const trained: EncoderModule = {
    ...pairsAlone,
    ...(maskedVideo && plan.maskedWeight > 0 && {maskedVideo}),
    ...(maskedWords && plan.maskedWordsWeight > 0 && {maskedWords}),
  };
  const {maskedVideo: masked, maskedWords: words} = trained;
  const fresh = trainedParameters(trained, start.seed);
  const layout = networkLayout(fresh);
  const state: ResidentTree = await device.put(start.state ?? initialEncoderState(trained, fresh, layout, plan.queue));
  const {hardPairs} = environment;
  const ordinary = environment.openClips('pairs', threads);
  const hard = hardPairs && environment.openClips('hardPairs', threads);
  const step = device.jit(
    'pretrain/encoder',
    encoderStep(trained, layout, {video: plan.maskedWeight, words: plan.maskedWordsWeight}),
  );
  const totalUpdates = Math.ceil(plan.pairs / plan.batch);
  let updates = start.updates ?? 0;

  const sourceAt = (progress: number): ClipSource =>
    hard && progress >= hardPairs.from && progress < hardPairs.until ? hard : ordinary;

  const batchOf = async (n: number): Promise<Params> => {
    const {videos, texts, wrong} = await sourceAt(n / totalUpdates).clips(
      Array.from({length: plan.batch}, (_, i) => n * plan.batch + i),
      false,
    );
    const {seed} = start;
    const tokens = encoder.tokenize(texts);
    return {
      video: videos,
      tokens,
      ...(words && {hidden: drawHidden(seed, n, tokens, (id) => words.isWord(id))}),
      captions: int32(texts.map(captionId)),
      ...(wrong && {wrong: wrongCaptions(encoder, texts, wrong)}),
      gumbel: {text: gumbels(seed, 'wrongText', n, plan.batch), video: gumbels(seed, 'wrongVideo', n, plan.batch)},
      ...(masked && {
        visible: drawVisible(seed, n, Math.max(1, Math.round(masked.share * plan.batch)), masked.visible, masked.tubes),
      }),
    };
  };
  let next = updates < totalUpdates ? batchOf(updates) : undefined;

  return {
    totalUpdates,
    async update(): Promise<EncoderProgress> {
      const batch = await next!;
      const rate = rateShare(updates, updates / totalUpdates);
      const running = step(
        {
          state,
          batch,
          schedule: scheduleOf(plan, updates, rate, emaDecayAt(updates + 1, plan.averageDecay)),
        },
        {into: {state}, guard: ['metrics.loss', 'metrics.gradientNorm']},
      );
      // The next batch is rendered while the device works on this one.
      if (updates + 1 < totalUpdates) next = batchOf(updates + 1);
      const {outputs, applied} = await running;
      const metrics = Object.fromEntries(
        Object.entries(outputs['metrics'] as Record<string, NdArray>).map(([name, {data}]) => [name, data[0]]),
      );
      if (!applied) throw refusedUpdate(updates, metrics['loss'], metrics['gradientNorm']);
      updates++;
      return {updates, pairs: updates * plan.batch, fraction: updates / totalUpdates, metrics};
    },
    async averaged(): Promise<Params> {
      const {average} = await device.get({average: (state['optimizer'] as ResidentTree)['average']});
      return unpackNetwork(average as unknown as PackedNetwork, layout)['encoder'] as Params;
    },
    state: () => device.get(state),
    async close(): Promise<void> {
      await next?.catch(() => undefined);
      await device.free(state);
      await ordinary.close();
      await hard?.close();
    },
  };
}
