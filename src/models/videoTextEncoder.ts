/**
 * A video-text encoder made of its parts: a tower for clips, one for captions, a projection of both into one space, and a fusion
 * with the head that says whether caption and clip match.
 *
 * @source Wang et al. 2024, InternVideo2, arXiv:2403.15377, section 3.2: the shape that is small here.
 */
import * as tf from '@tensorflow/tfjs-core';
import type {EncodedText, EncodedVideo, EncoderModule, VideoTextEncoder} from '../encoder.js';
import {float32, type NdArray} from '../tensor/ndarray.js';
import type {Branch, Params} from '../tensor/tree.js';
import {
  captionLength,
  captionTower,
  initialiseCaptionTower,
  pooledText,
  tokenMasks,
  withCls,
  type CaptionTowerConfig,
  type HiddenWords,
} from './captionTower.js';
import {
  convolutionTower,
  initialiseConvolutionTower,
  initialiseMaskedConvolution,
  maskedConvolutionLoss,
  type ConvolutionTowerConfig,
} from './convolutionTower.js';
import {gridGeometry} from '../transport/gridGeometry.js';
import {gridOf} from './denoiser.js';
import {fusedStates, initialiseFusion, matchOf, type FusionConfig} from './fusion.js';
import {initialiser, type Initialiser} from './initialise.js';
import {branch, linear, weight} from './layers.js';
import {initialiseMaskedVideo, maskedVideoLoss} from './maskedVideo.js';
import {initialiseMaskedWords, maskedWordsLoss} from './maskedWords.js';
import {unitLength} from './norms.js';
import {initialiseVideoTower, tubesOf, videoTower, type VideoStates, type VideoTowerConfig} from './videoTower.js';

/** The tower of patches and attention, with the width and heads of the decoder that it is trained with. */
export interface PatchTower {
  readonly kind: 'patches';
  readonly config: VideoTowerConfig;
  readonly decoder: {readonly width: number; readonly heads: number};
}

/** The tower of convolutions. */
export interface ConvolutionTower {
  readonly kind: 'convolution';
  readonly config: ConvolutionTowerConfig;
}

/** Sizes of an encoder, and the tokenizer that goes with it. */
export interface VideoTextEncoderConfig {
  readonly name: string;
  /** One line for listings. */
  readonly summary: string;
  readonly video: PatchTower | ConvolutionTower;
  readonly text: CaptionTowerConfig;
  /** Width of the common space, E. */
  readonly embeddingWidth: number;
  readonly fusion: Pick<FusionConfig, 'layers' | 'heads'>;
  /** Captions → `[B, L]` int32 without CLS; ConfigError on an unknown word. */
  readonly tokenize: (texts: readonly string[]) => NdArray<'int32'>;
  readonly weights: URL | undefined;
  /** See `EncoderModule`. */
  readonly independent?: boolean;
  /** The transport map that was fitted to those weights, if one ships. */
  readonly map?: URL;
}

/** Temperature of the similarities before training. @source Radford et al. 2021, CLIP, arXiv:2103.00020, section 2.5. */
const TEMPERATURE = 0.07;
/** What similarities are multiplied with at most, as in CLIP. */
const MAXIMUM_SCALE = 100;
/** Share of the tubes that stays visible in masked video modelling. */
const VISIBLE_SHARE = 0.25;
/** Share of a batch that is masked: a tower of convolutions has to read hidden tubes too, so that a masked clip costs a whole one. */
const MASKED_SHARE = {patches: 1, convolution: 0.25};

/** Parts of a tower that both kinds have. */
interface Tower {
  initialise(init: Initialiser): Params;
  encode(params: Branch<tf.Tensor>, videos: tf.Tensor): VideoStates;
  initialiseDecoder(init: Initialiser): Params;
  maskedLoss(params: Branch<tf.Tensor>, decoder: Branch<tf.Tensor>, videos: tf.Tensor, visible: tf.Tensor): tf.Scalar;
}

function towerOf(video: VideoTextEncoderConfig['video']): Tower {
  if (video.kind === 'convolution') {
    const {config} = video;
    return {
      initialise: (init) => initialiseConvolutionTower(init, config),
      encode: (params, videos) => convolutionTower(config, params, videos),
      initialiseDecoder: (init) => initialiseMaskedConvolution(init, config),
      maskedLoss: (params, decoder, videos, visible) => maskedConvolutionLoss(config, params, decoder, videos, visible),
    };
  }
  const {config} = video;
  const masked = {tower: config, ...video.decoder};
  return {
    initialise: (init) => initialiseVideoTower(init, config),
    encode: (params, videos) => videoTower(config, params, videos),
    initialiseDecoder: (init) => initialiseMaskedVideo(init, masked),
    maskedLoss: (params, decoder, videos, visible) => maskedVideoLoss(masked, params, decoder, videos, visible),
  };
}

/** Builds an encoder: its networks, their initial parameters, and what it is trained with. */
export function videoTextEncoder(config: VideoTextEncoderConfig): EncoderModule {
  const {name, summary, text, video, embeddingWidth, weights} = config;
  const tower = towerOf(video);
  const grid = gridOf(video.config, video.config.latentShape[0]);
  const fusion: FusionConfig = {...config.fusion, width: text.width, videoWidth: video.config.width, grid, pooling: text.pooling};
  const projected = (params: Branch<tf.Tensor>, side: 'text' | 'video', state: tf.Tensor): tf.Tensor =>
    unitLength(linear(branch(branch(params, 'projection'), side), state));

  const encodeText = (params: Branch<tf.Tensor>, tokens: tf.Tensor, hidden?: HiddenWords): EncodedText => {
    const {valid, lexical} = tokenMasks(text, tokens);
    const states = captionTower(text, branch(params, 'text'), tokens, valid, hidden);
    return {cls: projected(params, 'text', pooledText(text.pooling, states, valid)), states, valid, lexical};
  };
  const encoder: VideoTextEncoder = {
    name,
    videoShape: video.config.latentShape,
    textLength: captionLength(text),
    embeddingWidth,
    fusionLayers: fusion.layers,
    geometry: gridGeometry(...grid),
    tokenize: (texts) => withCls(text, config.tokenize(texts)),
    encodeText: (params, tokens) => encodeText(params, tokens),
    encodeVideo(params, videos): EncodedVideo {
      const {cls, tokens} = tower.encode(branch(params, 'video'), videos);
      return {cls: projected(params, 'video', cls), states: tf.concat([tf.expandDims(cls, 1), tokens], 1)};
    },
    similarityScale: (params) => tf.reshape(tf.minimum(tf.exp(weight(params, 'logScale')), MAXIMUM_SCALE), []),
    match(params, encoded, {states}, refine): tf.Tensor {
      const fused = branch(params, 'fusion');
      return matchOf(fusion, fused, fusedStates(fusion, fused, encoded, states, refine), encoded.valid);
    },
  };

  const tubes = tubesOf(video.config);
  return {
    name,
    summary,
    encoder,
    initialise(seed): Params {
      const init = initialiser(seed);
      return {
        text: initialiseCaptionTower(init, text),
        video: tower.initialise(init),
        projection: {
          text: init.linear(text.width, embeddingWidth),
          video: init.linear(video.config.width, embeddingWidth),
        },
        logScale: float32([Math.log(1 / TEMPERATURE)]),
        fusion: initialiseFusion(init, fusion),
      };
    },
    weights,
    ...(config.independent !== undefined && {independent: config.independent}),
    ...(config.map && {map: config.map}),
    maskedVideo: {
      tubes,
      visible: Math.max(1, Math.round(VISIBLE_SHARE * tubes)),
      share: MASKED_SHARE[video.kind],
      initialise: (seed) => tower.initialiseDecoder(initialiser(seed)),
      loss: (params, decoder, videos, visible) => tower.maskedLoss(branch(params, 'video'), decoder, videos, visible),
    },
    maskedWords: {
      isWord: (id) => id > 0 && id < text.words,
      initialise: (seed) => initialiseMaskedWords(initialiser(seed), text),
      loss(params, decoder, tokens, hidden, {states}): tf.Scalar {
        const encoded = encodeText(params, tokens, {places: hidden, vector: weight(decoder, 'hidden')});
        const fused = fusedStates(fusion, branch(params, 'fusion'), encoded, states);
        return maskedWordsLoss(text, decoder, fused, tokens, hidden);
      },
    },
  };
}
