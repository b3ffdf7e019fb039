/**
 * The fourth contract: a video-text encoder, frozen while a policy is tuned. It says where videos and captions lie in one space,
 * and whether the two match. Everything is pure tfjs, so that any device runs and differentiates it; batched throughout.
 *
 * Rewards see an encoder through this interface alone: one that offers it works with all of them.
 */
import type {Tensor} from '@tensorflow/tfjs-core';
import type {NdArray} from './tensor/ndarray.js';
import type {Branch, Params} from './tensor/tree.js';

/** Where each of the M video tokens lies in its clip; a token without a place, such as CLS, has −1 everywhere. */
export interface TokenGeometry {
  /** Index of the token's frame, from 0: frames of tokens, not of pixels. */
  readonly frames: readonly number[];
  /** Row and column, from 0 at the top left to 1 at the bottom right. */
  readonly rows: readonly number[];
  readonly columns: readonly number[];
}

/** A batch of captions, encoded. */
export interface EncodedText {
  /** The whole caption in the common space: `[B, E]`, unit length. */
  readonly cls: Tensor;
  /** A state a token: `[B, N, D]`. */
  readonly states: Tensor;
  /** `[B, N]`: 1 where there is a token, 0 where there is padding. */
  readonly valid: Tensor;
  /** `[B, N]`: 1 where the token is a word: neither padding nor CLS. */
  readonly lexical: Tensor;
}

/** A batch of videos, encoded. */
export interface EncodedVideo {
  /** The whole video in the common space: `[B, E]`, unit length. */
  readonly cls: Tensor;
  /** A state a token, in the order of the encoder's geometry: `[B, M, D]`. */
  readonly states: Tensor;
}

/** What one fusion layer looks at: captions attending over videos. */
export interface CrossAttention {
  /** Index of the fusion layer, from 0. */
  readonly layer: number;
  /** `[B, heads, N, M]`: each row sums to 1. */
  readonly weights: Tensor;
  /** Projected caption states, heads side by side: `[B, N, D]`. */
  readonly queries: Tensor;
  /** Projected video states, heads side by side: `[B, M, D]`. */
  readonly keys: Tensor;
  readonly text: EncodedText;
}

/** Puts other weights `[B, heads, N, M]` in the place of a layer's own. */
export type RefineAttention = (attention: CrossAttention) => Tensor;

/** The networks of an encoder as numeric functions. */
export interface VideoTextEncoder {
  /** Identifier, such as `a`. */
  readonly name: string;
  /** `[F, H, W, C]` of the videos it reads. */
  readonly videoShape: readonly number[];
  /** Tokens of a caption, N, padding and CLS included. */
  readonly textLength: number;
  /** Width of the common space, E. */
  readonly embeddingWidth: number;
  readonly fusionLayers: number;
  readonly geometry: TokenGeometry;
  /**
   * Captions as token ids.
   *
   * @returns `[B, N]` int32, 0 = padding.
   * @throws ConfigError naming a word outside the vocabulary.
   */
  readonly tokenize: (texts: readonly string[]) => NdArray<'int32'>;
  /** `tokens [B, N]` int32. */
  encodeText(params: Branch<Tensor>, tokens: Tensor): EncodedText;
  /** `videos [B, F, H, W, C]` in [-1, 1]. */
  encodeVideo(params: Branch<Tensor>, videos: Tensor): EncodedVideo;
  /** What similarities are multiplied with before a softmax over pairs: the inverse of the learned temperature; a scalar. */
  similarityScale(params: Branch<Tensor>): Tensor;
  /**
   * Whether caption and video of each row belong together, by fusion layers of cross-attention (caption queries, video keys).
   *
   * @param refine what to put in the place of each layer's attention weights; default: they stay as they are.
   * @returns logits `[B, 2]`: no match, match.
   */
  match(params: Branch<Tensor>, text: EncodedText, video: EncodedVideo, refine?: RefineAttention): Tensor;
}

/**
 * Masked video modelling: hidden parts of a clip are painted from the rest. Captions do not say how good a clip looks, so an
 * encoder that is trained on captions alone learns not to see it; this makes it look.
 */
export interface MaskedVideo {
  /** Tubes of a clip: places that are hidden or shown in all frames at once. */
  readonly tubes: number;
  /** How many of them are shown. */
  readonly visible: number;
  /** Share of a training batch that is masked, in (0, 1]. */
  readonly share: number;
  /** Freshly initialised parameters of the decoder, which is not part of the encoder. */
  initialise(seed: number): Params;
  /**
   * Error of the hidden pixels.
   *
   * @param videos `[B, F, H, W, C]` in [-1, 1].
   * @param visible `[B, V, P]`: a row for each of the V visible tubes, with a single 1 at its place among the P.
   * @returns a scalar.
   */
  loss(params: Branch<Tensor>, decoder: Branch<Tensor>, videos: Tensor, visible: Tensor): Tensor;
}

/** Masked language modelling: hidden words of a caption are guessed from the rest and from its clip, through the fusion. */
export interface MaskedWords {
  /** Whether a token id is a word: neither padding nor CLS. */
  isWord(id: number): boolean;
  /** Freshly initialised parameters of the decoder, which is not part of the encoder. */
  initialise(seed: number): Params;
  /**
   * Cross-entropy of the hidden words.
   *
   * @param tokens `[B, N]` int32, none hidden yet.
   * @param hidden `[B, N]`: 1 where a word is to be hidden.
   * @returns a scalar.
   */
  loss(params: Branch<Tensor>, decoder: Branch<Tensor>, tokens: Tensor, hidden: Tensor, video: EncodedVideo): Tensor;
}

/** An encoder as a world offers it. */
export interface EncoderModule {
  readonly name: string;
  /** One line for listings. */
  readonly summary: string;
  readonly encoder: VideoTextEncoder;
  /** Freshly initialised parameters; a pure function of the seed. */
  initialise(seed: number): Params;
  /** Whether it is kept independent: it measures what rewards do to a policy, so no reward may look through it. Default false. */
  readonly independent?: boolean;
  /** Where the parameters that ship with rlft lie, or undefined if none do. */
  readonly weights: URL | undefined;
  /** Where the transport map that was fitted to those parameters lies; undefined if none ships. */
  readonly map?: URL;
  /** What else it is trained on; without them, on pairs alone. */
  readonly maskedVideo?: MaskedVideo;
  readonly maskedWords?: MaskedWords;
}

/** An encoder with its trained parameters. */
export interface FrozenEncoder {
  readonly module: EncoderModule;
  readonly encoder: VideoTextEncoder;
  readonly params: Params;
  /** Where the parameters came from, for messages. */
  readonly file: string;
}
