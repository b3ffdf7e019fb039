/**
 * One pre-training update of a video-text encoder as a numeric function: contrast within the batch and with a queue that the
 * averaged weights fill, matching with hard negatives that the contrast finds, masked video and masked language modelling. Loss, backward, update and
 * queue are one graph.
 *
 * @source Li et al. 2021, ALBEF, arXiv:2107.07651, section 3.2; Wang et al. 2024, InternVideo2, arXiv:2403.15377, section 3.
 */
import * as tf from '@tensorflow/tfjs-core';
import '../autograd/index.js';
import type {EncodedText, EncodedVideo, EncoderModule} from '../encoder.js';
import {contrastiveLoss, hardNegatives, matchingCrossEntropy, pushed, type Embedded} from '../numeric/contrastive.js';
import {detach} from '../numeric/detach.js';
import {zeros} from '../tensor/ndarray.js';
import {asVideo} from '../tensor/pixels.js';
import {mapTree, type Branch, type Params} from '../tensor/tree.js';
import {at, initialState, networkTensors, optimise, type NetworkLayout} from './optimise.js';

/** What is trained: the encoder, and the decoders of what is masked, which are not shipped. */
export const trainedParameters = (module: EncoderModule, seed: number): Params => ({
  encoder: module.initialise(seed),
  ...(module.maskedVideo && {decoder: module.maskedVideo.initialise(seed + 1)}),
  ...(module.maskedWords && {wordDecoder: module.maskedWords.initialise(seed + 2)}),
});

/** State before the first update: of the optimizer, and an empty queue of `length` pairs. */
export function initialEncoderState(module: EncoderModule, params: Params, layout: NetworkLayout, length: number): Params {
  const width = module.encoder.embeddingWidth;
  return {
    optimizer: initialState(params, layout),
    queue: {
      text: zeros('float32', [length, width]),
      video: zeros('float32', [length, width]),
      captions: zeros('int32', [length]),
    },
  };
}

/** The parts of the loss. */
interface Losses {
  readonly contrast: tf.Tensor;
  readonly matching: tf.Tensor;
  readonly masked: tf.Tensor;
  readonly maskedWords: tf.Tensor;
}

const pickRows = (x: tf.Tensor, index: tf.Tensor): tf.Tensor => tf.gather(x, index);

const pickText = (text: EncodedText, index: tf.Tensor): EncodedText => ({
  cls: pickRows(text.cls, index),
  states: pickRows(text.states, index),
  valid: pickRows(text.valid, index),
  lexical: pickRows(text.lexical, index),
});

const pickVideo = (video: EncodedVideo, index: tf.Tensor): EncodedVideo => ({
  cls: pickRows(video.cls, index),
  states: pickRows(video.states, index),
});

function encoderLosses(
  {encoder, maskedVideo, maskedWords}: EncoderModule,
  params: Branch<tf.Tensor>,
  batch: Branch<tf.Tensor>,
  keys: Embedded,
  queue: Embedded,
): Losses {
  const weights = params['encoder'] as Branch<tf.Tensor>;
  const videos = asVideo(at(batch, 'video'));
  const text = encoder.encodeText(weights, at(batch, 'tokens'));
  const video = encoder.encodeVideo(weights, videos);
  const embedded = {text: text.cls, video: video.cls, captions: at(batch, 'captions')};
  const scale = encoder.similarityScale(weights);

  const similarity = detach(tf.mul(tf.matMul(video.cls, text.cls, false, true), scale));
  const wrongText = hardNegatives(similarity, embedded.captions, at(batch, 'gumbel', 'text'));
  const wrongVideo = hardNegatives(tf.transpose(similarity), embedded.captions, at(batch, 'gumbel', 'video'));
  const given = batch['wrong'] as Branch<tf.Tensor> | undefined;
  const wrong = given && {text: encoder.encodeText(weights, at(given, 'tokens')), exists: at(given, 'exists')};
  const matches = matchingCrossEntropy(encoder.match(weights, text, video), 1, tf.onesLike(wrongText.exists));
  const hard = tf.mul(
    tf.add(
      matchingCrossEntropy(encoder.match(weights, pickText(text, wrongText.index), video), 0, wrongText.exists),
      matchingCrossEntropy(encoder.match(weights, text, pickVideo(video, wrongVideo.index)), 0, wrongVideo.exists),
    ),
    0.5,
  );
  const mismatches = wrong
    ? tf.mul(tf.add(hard, matchingCrossEntropy(encoder.match(weights, wrong.text, video), 0, wrong.exists)), 0.5)
    : hard;
  const wrongCaptions = wrong && {text: wrong.text.cls, exists: wrong.exists};
  const [visible, hidden] = [batch['visible'], batch['hidden']] as (tf.Tensor | undefined)[];
  return {
    contrast: tf.mul(
      tf.add(contrastiveLoss(embedded, embedded, scale, undefined, wrongCaptions), contrastiveLoss(embedded, keys, scale, queue)),
      0.5,
    ),
    // Matches weigh as much as mismatches, so that a logit of 0 is even odds.
    matching: tf.mul(tf.add(matches, mismatches), 0.5),
    masked:
      maskedVideo && visible
        ? maskedVideo.loss(
            weights,
            params['decoder'] as Branch<tf.Tensor>,
            tf.slice(videos, [0, 0, 0, 0, 0], [visible.shape[0], ...videos.shape.slice(1)]),
            visible,
          )
        : tf.scalar(0),
    maskedWords:
      maskedWords && hidden
        ? maskedWords.loss(weights, params['wordDecoder'] as Branch<tf.Tensor>, at(batch, 'tokens'), hidden, video)
        : tf.scalar(0),
  };
}

/** The batch as the averaged weights see it. */
function keysOf({encoder}: EncoderModule, params: Branch<tf.Tensor>, batch: Branch<tf.Tensor>): Embedded {
  const weights = params['encoder'] as Branch<tf.Tensor>;
  return {
    text: encoder.encodeText(weights, at(batch, 'tokens')).cls,
    video: encoder.encodeVideo(weights, asVideo(at(batch, 'video'))).cls,
    captions: at(batch, 'captions'),
  };
}

/**
 * inputs `{state, batch, schedule}` → `{state, metrics: {loss, contrast, matching, masked, maskedWords, gradientNorm}}`.
 *
 * `batch`: `video` uint8 `[B, F, H, W, C]`, `tokens [B, N]`, `captions [B]` int32 (equal where captions are, never 0),
 * `wrong.tokens [B, N]` and
 * `wrong.exists [B]` if the world gives wrong captions, `gumbel.text` and `gumbel.video` `[B, B]`, `visible [b, V, P]` for the first b clips if videos are masked, `hidden [B, N]` if words are.
 *
 * @param masked what the two masked losses are multiplied with.
 */
export function encoderStep(
  module: EncoderModule,
  layout: NetworkLayout,
  masked: {readonly video: number; readonly words: number},
): (inputs: Branch<tf.Tensor>) => Branch<tf.Tensor> {
  return (inputs) => {
    const [state, batch, schedule] = [inputs['state'], inputs['batch'], inputs['schedule']] as Branch<tf.Tensor>[];
    const queue = state['queue'] as unknown as Embedded;
    const optimizer = state['optimizer'] as Branch<tf.Tensor>;
    const average = networkTensors(at(optimizer, 'average', 'matrices'), at(optimizer, 'average', 'rest'), layout);
    const keys = keysOf(module, average, batch);
    let kept: Branch<tf.Tensor> = {};
    const loss = (params: Branch<tf.Tensor>): tf.Scalar => {
      const losses = encoderLosses(module, params, batch, keys, queue);
      // tfjs frees what is made in here, and these are wanted outside.
      kept = mapTree<tf.Tensor, tf.Tensor>({...losses}, (t) => tf.keep(t));
      const painting = tf.add(tf.mul(losses.masked, masked.video), tf.mul(losses.maskedWords, masked.words));
      return tf.add(tf.add(losses.contrast, losses.matching), painting);
    };
    const next = optimise(layout, loss, optimizer, schedule);
    const losses = mapTree(kept, (t: tf.Tensor) => tf.clone(t));
    const found = {
      state: {optimizer: next.state, queue: {...pushed(queue, keys)}},
      metrics: {loss: next.loss, ...losses, gradientNorm: next.gradientNorm},
    };
    tf.dispose(kept);
    return found;
  };
}
