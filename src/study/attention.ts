/**
 * Where words look: the paper's figure 9, pictures of the encoder's attention, of attention refined by transport, and of the same
 * with constraints of time and place. The pictures prove nothing, so how sharp each kind is gets measured besides: a plan that
 * moves every word everywhere (flat costs, or an entropy that blurs them) cannot refine anything.
 *
 * @source PISCES, arXiv:2602.01624, figure 9.
 */
import * as tf from '@tensorflow/tfjs-core';
import type {EncodedText, EncodedVideo, FrozenEncoder, TokenGeometry} from '../encoder.js';
import type {Device} from '../engine/device.js';
import type {EncoderProbes} from '../environment.js';
import {intervalOf, resample, type Interval} from '../evaluate/bootstrap.js';
import {attentionSheet, type AttentionExample} from '../report/attentionSheet.js';
import {clipOf, type Picture} from '../report/pictures.js';
import {rows, type NdArray} from '../tensor/ndarray.js';
import {pack, packing, unpack} from '../tensor/pack.js';
import {asVideo} from '../tensor/pixels.js';
import {fuseAttention} from '../transport/fuseAttention.js';
import {transportPrior, type RefineOptions} from '../transport/refineAttention.js';
import {constraints} from './attentionSettings.js';
import {meanOver} from './itemStatistics.js';
import type {Study, StudyProgress} from './study.js';
import {allOf, claim} from './verdict.js';

/** What to look at and how. */
export interface AttentionStudyRequest {
  readonly device: Device;
  readonly frozen: FrozenEncoder;
  readonly probes: EncoderProbes;
  /** Clips with their true captions that are measured, and how many of them are drawn. */
  readonly items: number;
  readonly shown: number;
  readonly solver: NonNullable<RefineOptions['solver']>;
  readonly mass: number;
  readonly epsilon: number;
  readonly seed: number;
  readonly draws: number;
  readonly report: (progress: StudyProgress) => void;
}

/** Kinds of weights that are measured. */
const kinds = ['vanilla', 'plan', 'plan with constraints', 'refined', 'refined with constraints'] as const;
type Kind = (typeof kinds)[number];
/** Those that are drawn. */
const drawn: readonly Kind[] = ['vanilla', 'refined', 'refined with constraints'];

/** Clips of one call. */
const BATCH = 16;

/**
 * The share of tokens that a row of weights is spread over: exp of its entropy over M, 1 for a uniform row, 1/M for a single
 * token; the mean over heads and words.
 *
 * @param weights `[B, heads, N, M]`, rows summing to 1. @param words `[B, N]`: 1 for rows that count, at least one.
 * @returns `[B]`.
 */
export function spreadOf(weights: tf.Tensor, words: tf.Tensor): tf.Tensor {
  const [, , , tokens] = weights.shape;
  const entropy = tf.neg(tf.sum(tf.mul(weights, tf.log(tf.add(weights, 1e-12))), -1));
  const perRow = tf.mean(tf.div(tf.exp(entropy), tokens), 1);
  return tf.div(tf.sum(tf.mul(perRow, words), -1), tf.sum(words, -1));
}

/** Half the sum of differences of two rows: the share of attention that moved elsewhere; the mean over heads and words, `[B]`. */
export function movedShare(before: tf.Tensor, after: tf.Tensor, words: tf.Tensor): tf.Tensor {
  const perRow = tf.mean(tf.mul(tf.sum(tf.abs(tf.sub(after, before)), -1), 0.5), 1);
  return tf.div(tf.sum(tf.mul(perRow, words), -1), tf.sum(words, -1));
}

/** What one call gives of each clip. */
interface Looked {
  /** `[B]` each. */
  readonly spread: Readonly<Record<Kind, NdArray<'float32'>>>;
  readonly moved: Readonly<Record<'plain' | 'constrained', NdArray<'float32'>>>;
  /** Weights of the last layer, mean over heads: `[B, N, M]`. */
  readonly maps: Readonly<Record<string, NdArray<'float32'>>>;
  /** `[B, N]`. */
  readonly lexical: NdArray<'float32'>;
}

/** Sums of maps over the cells of the grid: `[frames][rows][columns]` of one word. */
function onGrid({frames, rows: ys, columns: xs}: TokenGeometry, weights: ArrayLike<number>): number[][][] {
  const levels = (values: readonly number[]): number[] => [...new Set(values.filter((v) => v >= 0))].sort((a, b) => a - b);
  const [times, downs, acrosses] = [levels(frames), levels(ys), levels(xs)];
  const out = times.map(() => downs.map(() => acrosses.map(() => 0)));
  frames.forEach((frame, j) => {
    if (frame >= 0) out[times.indexOf(frame)][downs.indexOf(ys[j])][acrosses.indexOf(xs[j])] += weights[j];
  });
  return out;
}

/** Runs the study. */
export async function attentionStudy(request: AttentionStudyRequest): Promise<Study> {
  const {device, frozen, probes, items, shown, solver, mass, epsilon, seed, draws, report} = request;
  const {encoder} = frozen;
  const layout = packing(frozen.params);
  const resident = await device.put({params: pack(frozen.params, layout)});
  const options = (constraint: 'none' | 'both'): RefineOptions => ({
    solver,
    ...(solver !== 'balanced' && {mass}),
    epsilon,
    ...constraints[constraint],
  });
  const look = device.jit('study/attention', (inputs) => {
    const weights = unpack(inputs['params'] as tf.Tensor, layout);
    const text: EncodedText = encoder.encodeText(weights, inputs['tokens'] as tf.Tensor);
    const video: EncodedVideo = encoder.encodeVideo(weights, asVideo(inputs['videos'] as tf.Tensor));
    const words = text.lexical;
    const layers: Record<Kind, tf.Tensor>[] = [];
    // Every layer is looked at as the encoder's own attention leaves it, so that all kinds see the same states.
    encoder.match(weights, text, video, (attention) => {
      const fused = (plan: tf.Tensor): tf.Tensor => fuseAttention(attention.weights, plan, {rows: tf.expandDims(words, 1)});
      const [plain, constrained] = (['none', 'both'] as const).map((constraint) =>
        transportPrior(attention, encoder.geometry, options(constraint)),
      );
      layers.push({
        vanilla: attention.weights,
        plan: plain,
        'plan with constraints': constrained,
        refined: fused(plain),
        'refined with constraints': fused(constrained),
      });
      return attention.weights;
    });
    const overLayers = (value: (layer: Record<Kind, tf.Tensor>) => tf.Tensor): tf.Tensor =>
      tf.mean(tf.stack(layers.map(value)), 0);
    const last = layers[layers.length - 1];
    return {
      spread: Object.fromEntries(kinds.map((kind) => [kind, overLayers((layer) => spreadOf(layer[kind], words))])),
      moved: {
        plain: overLayers((layer) => movedShare(layer.vanilla, layer.refined, words)),
        constrained: overLayers((layer) => movedShare(layer.vanilla, layer['refined with constraints'], words)),
      },
      maps: Object.fromEntries(drawn.map((kind) => [kind, tf.mean(last[kind], 1)])),
      lexical: tf.mul(words, 1),
    };
  });
  const spread = Object.fromEntries(kinds.map((kind) => [kind, [] as number[]])) as Record<Kind, number[]>;
  const moved = {plain: [] as number[], constrained: [] as number[]};
  const examples: AttentionExample[] = [];
  try {
    for (let first = 0; first < items; first += BATCH) {
      const count = Math.min(BATCH, items - first);
      const {videos, texts} = probes.counterfactuals(Array.from({length: BATCH}, (_, i) => first + i));
      const {outputs} = await look({params: resident['params'], tokens: encoder.tokenize(texts), videos});
      const found = outputs as unknown as Looked;
      for (const kind of kinds) spread[kind].push(...rows(found.spread[kind], 0, count).data);
      for (const key of ['plain', 'constrained'] as const) moved[key].push(...rows(found.moved[key], 0, count).data);
      for (let i = 0; i < count && examples.length < shown; i++) {
        examples.push({
          caption: texts[i],
          clip: clipOf(videos, i),
          panels: drawn.map((kind) => ({title: kind, words: wordsOf(encoder.geometry, texts[i], found, kind, i)})),
        });
      }
      report({stage: 'looking', done: first + count, total: items});
    }
  } finally {
    await device.free(resident);
  }
  const columns = [...kinds.map((kind) => spread[kind]), moved.plain, moved.constrained].map((values) =>
    meanOver(Float64Array.from(values)),
  );
  const resampled = resample(items, (indices) => columns.map((statistic) => statistic(indices)), seed, draws);
  const at = (kind: Kind): number => kinds.indexOf(kind);
  const less = (more: Kind, fewer: Kind): Interval => intervalOf(resampled, (all) => all[at(more)] - all[at(fewer)]);
  const claims = [
    claim({
      name: 'transport sharpens',
      says: 'refined attention is spread over fewer tokens than vanilla',
      paper: '',
      measured: less('vanilla', 'refined'),
      threshold: 0,
    }),
    claim({
      name: 'constraints sharpen',
      says: 'with constraints it is spread over fewer tokens than without',
      paper: '',
      measured: less('refined', 'refined with constraints'),
      threshold: 0,
    }),
  ];
  const pictures: Record<string, Picture> = {};
  for (const [i, example] of examples.entries()) pictures[`attention-${i}.png`] = await attentionSheet(example);
  return {
    name: 'attention',
    source: 'PISCES, figure 9',
    tables: [
      {
        title: 'share of the video tokens that a word is spread over (1: all alike); share of its attention that moved',
        rows: kinds.map((kind, k) => ({
          weights: kind,
          spread: intervalOf(resampled, (all) => all[k]),
          'moved from vanilla':
            kind === 'refined'
              ? intervalOf(resampled, (all) => all[kinds.length])
              : kind === 'refined with constraints'
                ? intervalOf(resampled, (all) => all[kinds.length + 1])
                : null,
        })),
      },
    ],
    claims,
    verdict: {
      question: 'does transport, and do its constraints, make words look at fewer places, as the pictures of the paper suggest?',
      answer: allOf(claims.map(({verdict}) => verdict)),
    },
    pictures,
  };
}

/** The words of a caption, each with its weights on the grid. */
function wordsOf(
  geometry: TokenGeometry,
  caption: string,
  {lexical, maps}: Looked,
  kind: string,
  row: number,
): AttentionExample['panels'][number]['words'] {
  const weights = maps[kind];
  const [, tokens, places] = weights.shape;
  const own = Array.from({length: tokens}, (_, n) => n).filter((n) => lexical.data[row * tokens + n] > 0);
  const spelt = caption.split(/\s+/);
  return own.map((n, k) => ({
    // An encoder may cut words into pieces; then they have numbers.
    word: spelt.length === own.length ? spelt[k] : String(k),
    cells: onGrid(geometry, weights.data.subarray((row * tokens + n) * places, (row * tokens + n + 1) * places)),
  }));
}
