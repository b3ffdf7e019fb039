/**
 * The second contract: a reward looks at finished videos and says how good each is. Higher is better, always.
 *
 * Any reward works with the policy-gradient algorithms. One that also offers `differentiable` works with every algorithm.
 */
import type {Tensor} from '@tensorflow/tfjs-core';
import type {FrozenEncoder} from './encoder.js';
import type {Device} from './engine/device.js';
import type {Environment, Judge, Prompt} from './environment.js';
import type {EncoderView} from './rewards/encoderView.js';
import type {PreferenceModel} from './run/preferenceModel.js';
import type {NdArray} from './tensor/ndarray.js';
import type {Branch, Params} from './tensor/tree.js';
import type {TransportMap} from './transport/maps/transportMap.js';

/** The differentiable form of a reward: a numeric function with its frozen parameters. */
export interface DifferentiableReward {
  /**
   * What the gradient takes as constant although it depends on the video, such as `the transport plan`; default: nothing, and the
   * gradient is that of the score.
   */
  readonly heldConstant?: string;
  /** How it looks through a video-text encoder, if it does: rewards that look through the same one are computed together. */
  readonly through?: EncoderView;
  readonly params: Params;
  /** What the function needs to know about the prompts, as arrays. */
  encode(prompts: readonly Prompt[]): Params;
  /** `video [B, F, H, W, C]` in [-1, 1] → `[B]`. */
  score(params: Branch<Tensor>, video: Tensor, prompts: Branch<Tensor>): Tensor;
}

/** The scores of a reward that is made of others. */
export interface PartScores {
  /** `[B]`, as `score` gives them. */
  readonly scores: Float32Array;
  /** `[B]` of each part, by its name. */
  readonly parts: Readonly<Record<string, Float32Array>>;
}

/** What was found when a reward with weights was opened; one that finds less does not open. */
export interface Verification {
  /** Tensors that the reward's networks are made of; all were in the file. */
  readonly tensors: number;
  /** Tensors of the file that nothing uses, by name. */
  readonly unused: readonly string[];
  /** Fixed clips that were scored, and the largest difference from the scores that the file holds for them. */
  readonly clips: number;
  readonly largestGap: number;
  /** The difference that is let through. */
  readonly tolerance: number;
}

/** A judge of videos that a policy is optimised for. */
export interface Reward {
  /** A JavaScript identifier: file, registry name and symbol in expressions. A composed reward is called by its expression. */
  readonly name: string;
  /** Unit of the score, such as `1` or `px`. */
  readonly unit: string;
  /**
   * Scores finished videos.
   *
   * @param videos `[B, F, H, W, C]` float32 in [-1, 1].
   * @returns `[B]` float32; each finite, or the run stops with the prompt's name and applies nothing.
   */
  score(videos: NdArray<'float32'>, prompts: readonly Prompt[]): Promise<Float32Array>;
  readonly differentiable?: DifferentiableReward;
  /** The rewards that this one is composed of, in the order of its expression. */
  readonly parts?: readonly Reward[];
  /** The weight of each part by its name, if the reward is a weighted sum of its parts, a constant aside. */
  readonly weights?: Readonly<Record<string, number>>;
  /** As `score`, with what each part contributed: composed rewards offer it, so that every part keeps a curve of its own. */
  scoreParts?(videos: NdArray<'float32'>, prompts: readonly Prompt[]): Promise<PartScores>;
  /** Whether scores compare the samples of one prompt alone, so that those of different times say nothing; default: they do not. */
  readonly relative?: boolean;
  /** What was verified about the reward's weights, if it has any; `verifiedReward` sets it. */
  readonly verification?: Verification;
  /** Ends worker threads and connections, if there are any. */
  close?(): Promise<void>;
}

/** What a reward may ask of the run it serves. */
export interface RewardContext {
  readonly environment: Environment;
  /** Where a reward's own networks run: the device of the run, shared with the policy. The reward does not close it. */
  readonly device: Device;
  /**
   * The world's judge, shared with the evaluation.
   *
   * @throws ConfigError if this world has none.
   */
  judge(): Judge;
  /**
   * The world's video-text encoder, frozen; read once a run.
   *
   * @throws ConfigError if this world has none, or ships no weights for it.
   */
  encoder(): Promise<FrozenEncoder>;
  /**
   * The map that carries captions over to where the encoder's videos lie.
   *
   * @throws ConfigError if none ships with the encoder.
   */
  transportMap(): Promise<TransportMap>;
  /**
   * The network of the preference reward.
   *
   * @throws ConfigError if none is named: none ships.
   */
  preferenceModel(): Promise<PreferenceModel>;
}

/** A reward as it is registered: opened once a run. */
export interface RewardModule {
  readonly name: string;
  readonly unit: string;
  /** One line for listings, with what the reward may not be used to claim. */
  readonly summary: string;
  /** Loads what scoring needs and starts its threads. */
  open(context: RewardContext): Promise<Reward>;
}
