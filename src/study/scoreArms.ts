/** Counterfactual items, scored by the matching head of a frozen encoder under several kinds of attention. */
import * as tf from '@tensorflow/tfjs-core';
import type {Device} from '../engine/device.js';
import type {EncodedText, EncodedVideo, FrozenEncoder} from '../encoder.js';
import type {EncoderProbes} from '../environment.js';
import {concatRows, rows, type NdArray} from '../tensor/ndarray.js';
import {pack, packing, unpack} from '../tensor/pack.js';
import {asVideo} from '../tensor/pixels.js';
import {refineByTransport, type RefineOptions} from '../transport/refineAttention.js';
import type {ItemScores} from './itemStatistics.js';
import type {StudyProgress} from './study.js';

/** One kind of attention. */
export interface MatchingArm {
  /** Unique in its study. */
  readonly name: string;
  /** How attention is refined; undefined: it stays the encoder's own. */
  readonly refine: RefineOptions | undefined;
}

/** What was scored. */
export interface ScoredItems {
  /** What is wrong with the wrong caption of each item. */
  readonly kinds: readonly string[];
  /** By the names of the arms. */
  readonly arms: Readonly<Record<string, ItemScores>>;
}

/** What to score. */
export interface ScoringRequest {
  readonly device: Device;
  readonly frozen: FrozenEncoder;
  readonly probes: EncoderProbes;
  readonly arms: readonly MatchingArm[];
  /** The first so many items of the world. */
  readonly items: number;
  readonly report: (progress: StudyProgress) => void;
}

/** Items of one call; twice as many captions go through the fusion. */
const BATCH = 32;

/** Scores items with every arm. Towers are run once, the fusion once an arm; so all arms see the same states. */
export async function scoreArms({device, frozen, probes, arms, items, report}: ScoringRequest): Promise<ScoredItems> {
  const {encoder} = frozen;
  const layout = packing(frozen.params);
  const resident = await device.put({params: pack(frozen.params, layout)});
  const params = {params: resident['params']};
  const towers = device.jit('study/towers', (inputs) => {
    const weights = unpack(inputs['params'] as tf.Tensor, layout);
    const {cls, states} = encoder.encodeVideo(weights, asVideo(inputs['videos'] as tf.Tensor));
    // Every clip meets two captions.
    const twice = (x: tf.Tensor): tf.Tensor => tf.concat([x, x]);
    return {
      text: {...encoder.encodeText(weights, inputs['tokens'] as tf.Tensor)},
      video: {cls: twice(cls), states: twice(states)},
    };
  });
  const heads = arms.map(({name, refine}) => ({
    name,
    run: device.jit(`study/${name}`, (inputs) => {
      const weights = unpack(inputs['params'] as tf.Tensor, layout);
      const refined = refine && refineByTransport(encoder.geometry, refine);
      const text = inputs['text'] as unknown as EncodedText;
      const video = inputs['video'] as unknown as EncodedVideo;
      const [other, match] = tf.unstack(encoder.match(weights, text, video, refined), 1);
      return {scores: tf.sub(match, other)};
    }),
    parts: {yes: [] as NdArray<'float32'>[], no: [] as NdArray<'float32'>[]},
  }));
  const kinds: string[] = [];
  try {
    for (let first = 0; first < items; first += BATCH) {
      const count = Math.min(BATCH, items - first);
      // The last batch is filled up, so that there is one graph an arm.
      const {videos, texts, wrong, kinds: here} = probes.counterfactuals(Array.from({length: BATCH}, (_, i) => first + i));
      kinds.push(...here.slice(0, count));
      const {outputs} = await towers({...params, tokens: encoder.tokenize([...texts, ...wrong]), videos});
      const encoded = await device.put(outputs);
      for (const {run, parts} of heads) {
        const scores = (await run({...params, ...encoded})).outputs['scores'] as NdArray<'float32'>;
        parts.yes.push(rows(scores, 0, count));
        parts.no.push(rows(scores, BATCH, BATCH + count));
      }
      await device.free(encoded);
      report({stage: 'scoring', done: first + count, total: items});
    }
  } finally {
    await device.free(resident);
  }
  return {
    kinds,
    arms: Object.fromEntries(
      heads.map(({name, parts: {yes, no}}) => [name, {yes: concatRows(yes).data, no: concatRows(no).data}]),
    ),
  };
}
