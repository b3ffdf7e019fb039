/**
 * The first contract: generation as a finite-horizon decision process.
 *
 * The state is (prompt, noisy latent, step), the action is the next latent. An environment owns what is particular to a
 * world: its prompts, the denoising policy's network, how a latent becomes a video and, where the world knows the truth, a
 * judge. It does not own the sampler: every sampler of rlft is affine in (latent, predicted clean latent), so one compiled
 * transition serves them all (`numeric/transition.ts`).
 */
import type {Tensor} from '@tensorflow/tfjs-core';
import type {EncoderModule} from './encoder.js';
import type {NdArray} from './tensor/ndarray.js';
import type {Branch, Params} from './tensor/tree.js';

/** What the policy is asked to show. */
export interface Prompt {
  /** Stable name: the key of per-prompt statistics and of the noise of its samples. */
  readonly id: string;
  /** The caption as the policy reads it. */
  readonly text: string;
  /** What the world's judge needs to know about it; opaque to everybody else. */
  readonly truth?: unknown;
}

/** The denoising network as numeric functions; pure tfjs, so that any device runs and differentiates them. */
export interface Policy {
  /** Longest caption in tokens, L. */
  readonly textLength: number;
  /**
   * Captions as token ids.
   *
   * @returns `[B, L]` int32, 0 = padding.
   * @throws ConfigError naming a word outside the vocabulary.
   */
  readonly tokenize: (texts: readonly string[]) => NdArray<'int32'>;
  /** Text tower: `tokens [B, L]` int32 → text states `[B, L, D]`. Run once a prompt, not once a step. */
  encode(params: Branch<Tensor>, tokens: Tensor): Tensor;
  /** Text states of "no prompt" `[B, L, D]`, for classifier-free guidance. */
  encodeNull(params: Branch<Tensor>, batch: number): Tensor;
  /**
   * The predicted clean latent.
   *
   * @param latent `[B, …latentShape]` = (1 − t)·x0 + t·ε.
   * @param time `[B]` t in (0, 1]: 1 is pure noise.
   * @param text `[B, L, D]` from `encode`.
   * @returns `[B, …latentShape]`.
   */
  denoise(params: Branch<Tensor>, latent: Tensor, time: Tensor, text: Tensor): Tensor;
  /** Whether a parameter, by its path, belongs to the text tower (frozen while the policy is fine-tuned). */
  readonly isText: (path: string) => boolean;
}

/** Scores of one clip by a world that knows the truth: each in [0, 1], `null` where the prompt does not ask for it. */
export type Judgement = Readonly<Record<string, number | null>>;

/** Closed-form truth of a world. Never a network, never fitted to a reward. */
export interface Judge {
  /** Names of the scores of a judgement, in reading order. */
  readonly dimensions: readonly string[];
  /**
   * Scores clips one by one.
   *
   * @param videos `[B, F, H, W, C]` float32 in [-1, 1].
   */
  judge(videos: NdArray<'float32'>, prompts: readonly Prompt[]): Promise<readonly Judgement[]>;
  /** Scores of a set of clips; always holds `quality`, `semantic` and `total` in [0, 1]. */
  aggregate(judgements: readonly Judgement[]): Readonly<Record<string, number>>;
  /** Ends the worker threads, if there are any. */
  close(): Promise<void>;
}

/** The streams of clips that a world makes. */
export type ClipStreamName = 'train' | 'validation' | 'pairs' | 'hardPairs' | 'curated';

/** Captioned clips to pre-train on: pure functions of an index, so that a run can be resumed at any of them. */
export interface ClipSource {
  /**
   * Clips `indices` of the stream.
   *
   * @param stills only one random run of `stillFrames` frames of each clip, for the still-image stage.
   * @returns videos `[B, F, H, W, C]` uint8, the caption of each and, in the stream `pairs` of a world that can tell, a caption that
   * is wrong in a single respect.
   */
  clips(
    indices: readonly number[],
    stills: boolean,
  ): Promise<{videos: NdArray<'uint8'>; texts: readonly string[]; wrong?: readonly string[]}>;
  /** Ends the worker threads, if there are any. */
  close(): Promise<void>;
}

/** Clips to examine a video-text encoder with: what is wrong with them, and how much, is known. Pure functions of indices. */
export interface EncoderProbes {
  /** What can be wrong with a caption, such as `noun`. */
  readonly kinds: readonly string[];
  /**
   * Clean clips, each with a caption that is true and one that is wrong in a single respect.
   *
   * @returns videos `[B, F, H, W, C]` uint8, and of each its true caption, its wrong one, and which of the kinds that is.
   */
  counterfactuals(indices: readonly number[]): {
    videos: NdArray<'uint8'>;
    texts: readonly string[];
    wrong: readonly string[];
    kinds: readonly string[];
  };
  /**
   * What a caption says, by attribute: `{noun: 'cat', color: 'red'}`; what it leaves open is left out. A world that cannot tell
   * leaves the function out.
   */
  attributesOf?(caption: string): Readonly<Record<string, string>>;
  /** Names of the variants of a degraded clip; the first is the clean one. */
  readonly variants: readonly string[];
  /**
   * Held-out clips, spoilt by degrees.
   *
   * @returns videos `[B·variants, F, H, W, C]` uint8, variants of one clip side by side, and the caption of each clip.
   */
  degraded(indices: readonly number[]): {videos: NdArray<'uint8'>; texts: readonly string[]};
}

/** A world to generate in. */
export interface Environment {
  readonly name: string;
  /** Which of its sizes this is, such as `nano` or `mini`. */
  readonly preset: string;
  /** Shape of one latent, without the batch. */
  readonly latentShape: readonly number[];
  /** `[F, H, W, C]` of one decoded video. */
  readonly videoShape: readonly number[];
  /** Names accepted by `prompts`: always `train` and `heldOut`. */
  readonly splits: readonly string[];
  /** The first `count` prompts of a split; the same ones every time. */
  prompts(split: string, count: number): readonly Prompt[];
  readonly policy: Policy;
  /** Freshly initialised parameters; a pure function of the seed. */
  initialise(seed: number): Params;
  /** Where the parameters that ship with rlft lie, or undefined if this preset ships none. */
  readonly weights: URL | undefined;
  /** Latents `[B, …latentShape]` → videos `[B, F, H, W, C]` float32 in [-1, 1]. */
  decode(latents: NdArray<'float32'>): NdArray<'float32'>;
  /**
   * The same as a numeric function, so that the gradient of a reward reaches the latents: `[B, …latentShape]` →
   * `[B, F, H, W, C]`. Without it, algorithms that need that gradient are refused in this world.
   */
  decodeInGraph?(latents: Tensor): Tensor;
  /**
   * Videos `[B, F, H, W, C]` float32 in [-1, 1] → latents `[B, …latentShape]`, which `decode` turns into those videos as well as it can.
   * Without it, algorithms that learn from the world's own clips are refused in this world.
   */
  readonly encode?: (videos: NdArray<'float32'>) => NdArray<'float32'>;
  /** The truth of this world, if it has one; starts its workers, so call it once and close it. */
  openJudge?(threads: number): Judge;
  /** Video-text encoders that were trained for this world and size. The first is the one that rewards use by default. */
  readonly encoders?: readonly EncoderModule[];
  /** Clips to examine encoders with, if the world makes them. */
  readonly encoderProbes?: EncoderProbes;
  /**
   * Clips to train on, if the world makes its own.
   *
   * @param stream which of them: `train` for a policy, `validation` to measure it on, `pairs` for a video-text encoder and
   * `hardPairs` for a stretch of its training, `curated` the clean ones that a reward takes for real videos. No two streams share
   * a clip.
   */
  openClips?(stream: ClipStreamName, threads: number): ClipSource;
  /**
   * The stretch of an encoder's training that `hardPairs` are for, as shares of the whole, if the world has such pairs: captions
   * that all ask for what is not learnt while it is one of many things.
   */
  readonly hardPairs?: {readonly from: number; readonly until: number};
}

/** A world as it is registered: opened once a run, at one of its sizes. */
export interface EnvironmentModule {
  readonly name: string;
  /** One line for listings. */
  readonly summary: string;
  readonly presets: readonly string[];
  /** @throws ConfigError naming the presets, if `preset` is none of them. */
  open(preset: string): Environment;
}
