/**
 * The second contract: a reward looks at finished videos and says how good each is. Higher is better, always.
 *
 * Any reward works with the policy-gradient algorithms. One that also offers `differentiable` works with every algorithm.
 */
import type {Tensor} from '@tensorflow/tfjs-core';
import type {Device} from './engine/device.js';
import type {Environment, Judge, Prompt} from './environment.js';
import type {NdArray} from './tensor/ndarray.js';
import type {Branch, Params} from './tensor/tree.js';

/** The differentiable form of a reward: a numeric function with its frozen parameters. */
export interface DifferentiableReward {
  readonly params: Params;
  /** What the function needs to know about the prompts, as arrays. */
  encode(prompts: readonly Prompt[]): Params;
  /** `video [B, F, H, W, C]` in [-1, 1] → `[B]`. */
  score(params: Branch<Tensor>, video: Tensor, prompts: Branch<Tensor>): Tensor;
}

/** A judge of videos that a policy is optimised for. */
export interface Reward {
  /** A JavaScript identifier: file, registry name and symbol in expressions. */
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
