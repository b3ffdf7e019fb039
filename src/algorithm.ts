/**
 * The third contract: an algorithm turns scored trajectories into a better policy.
 *
 * It gives its options with their defaults, its loss as a numeric function of one batch of transitions, and `learn`, which
 * reads like the paper: collect, advantages, minibatches, updates, metrics. What all algorithms share (accumulating gradients,
 * clipping, AdamW, averaging, residency on the device) is the `Learner` that it is given.
 */
import type {Scalar, Tensor} from '@tensorflow/tfjs-core';
import type {Observable} from 'rxjs';
import type {z} from 'zod';
import type {ClipStreamName} from './environment.js';
import type {Trajectories} from './rollout/generate.js';
import type {DifferentiableReward, Reward} from './reward.js';
import type {RunConfig} from './run/runSchema.js';
import type {WindowPlan} from './learn/windows.js';
import type {Density} from './numeric/transition.js';
import type {NdArray} from './tensor/ndarray.js';
import type {Branch, Params} from './tensor/tree.js';

/** Trajectories with the reward of each. */
export interface Scored {
  readonly trajectories: Trajectories;
  /** `[B]`, higher is better; `[0]` of a world's own clips ({@link ConfiguredAlgorithm.clips}), which nobody scores. */
  readonly rewards: Float32Array;
  /** `[B]` of each part of a composed reward, by its name. */
  readonly parts?: Readonly<Record<string, Float32Array>>;
  /** The weight of each part, if the reward is a weighted sum of its parts. */
  readonly weights?: Readonly<Record<string, number>>;
}

/** State that is not on the device: a checkpoint keeps it as JSON. */
export type Memory = null | boolean | number | string | readonly Memory[] | {readonly [key: string]: Memory};

/** What is known after an iteration. */
export interface TrainState {
  /** Iterations done. */
  readonly iteration: number;
  /** The algorithm's own memory, such as per-prompt statistics. */
  readonly memory: Memory;
  /** Metrics of the last iteration. */
  readonly metrics: Readonly<Record<string, number>>;
}

/** What a loss may ask of the policy, inside the graph. */
export interface PolicyInGraph {
  /** Predicted clean latent of the trained policy, differentiable: of `latent`, `time`, `scale` and `text` of a batch. */
  predict(batch: Branch<Tensor>): Tensor;
  /** The same, computed again in the backward pass instead of kept for it: less memory, for one more forward pass. */
  predictRecomputed(batch: Branch<Tensor>): Tensor;
  /** The same of the policy that training began with; no gradient. */
  predictReference(batch: Branch<Tensor>): Tensor;
  /**
   * The same of the old policy, for algorithms that keep one ({@link ConfiguredAlgorithm.keepsOld}); no gradient. Where rollouts
   * overlap updates it is the old policy as it was when it sampled what is learnt from.
   *
   * @throws ContractError for the others.
   */
  predictOld(batch: Branch<Tensor>): Tensor;
  /** The same of the trained policy as it stands, no gradient: "sg(x̂0)" in the papers. */
  predictHeld(batch: Branch<Tensor>): Tensor;
  /** The same of the average of the trained policy, over the updates so far; no gradient. */
  predictAverage(batch: Branch<Tensor>): Tensor;
  /**
   * The reward of clean latents, decoded and scored inside the graph, differentiable in them; its frozen parameters stay on the
   * device. Only where the algorithm `needs` it.
   *
   * @param latents `[n, …latentShape]`.
   * @param prompts what `LearnContext.reward.encode` made of the prompt of each.
   * @returns `[n]`.
   */
  reward(latents: Tensor, prompts: Branch<Tensor>): Tensor;
  /** How a step of the run's sampler is scored. */
  readonly density: Density;
}

/** A loss and the scalars to report: sums over the batch, which the learner divides by the transitions of the update. */
export interface LossSums {
  readonly loss: Scalar;
  readonly metrics: Readonly<Record<string, Scalar>>;
}

/** The loss of one batch of transitions `[n, …]` as a numeric function. */
export type LossFunction = (policy: PolicyInGraph, batch: Branch<Tensor>, scalars: Branch<Tensor>) => LossSums;

/** What an optimizer update yields. */
export interface UpdateReport {
  /** Means over the update's transitions of what the loss reports, and `loss` itself. */
  readonly metrics: Readonly<Record<string, number>>;
  readonly gradientNorm: number;
}

/** One microbatch: transitions `[n, …]` as arrays. */
export type TransitionBatch = Params;

/** Does the updates. One for a run; the parameters stay on the device. */
export interface Learner {
  /**
   * One optimizer update on the mean loss of all given transitions, in microbatches of the device's size.
   *
   * @param batches made when they are needed, so that only one is in memory.
   * @param transitions how many there are in all.
   * @throws NonFiniteError if a loss or the gradient is not finite; the policy is then as before.
   */
  update(batches: Iterable<TransitionBatch>, transitions: number): Promise<UpdateReport>;
  /**
   * Evaluates the loss without updating: what the parity guard uses.
   *
   * @param policy whose: the trained one's, which is the default, or that of the policy that samples rollouts.
   */
  evaluate(batch: TransitionBatch, policy?: 'trained' | 'acting'): Promise<Readonly<Record<string, NdArray>>>;
  /**
   * Lets the old policy follow the trained one: old ← decay·old + (1 − decay)·trained. Nothing else moves it.
   *
   * @param decay in [0, 1); 0 makes it the trained policy.
   * @throws ContractError if the algorithm keeps none.
   */
  moveOld(decay: number): Promise<void>;
  /** Transitions of one microbatch. */
  readonly microbatch: number;
}

/** What is fixed for a run, as `learn` sees it. */
export interface LearnContext {
  readonly learner: Learner;
  readonly seed: number;
  /** The reward's differentiable form, if it has one; always there for an algorithm that needs it. */
  readonly reward?: DifferentiableReward;
}

/** Which of the world's own clips are learnt from. */
export interface ClipPlan {
  readonly stream: ClipStreamName;
  /** Clips of an iteration; ≥ 1. */
  readonly count: number;
}

/** An algorithm with its options chosen. */
export interface ConfiguredAlgorithm {
  readonly loss: LossFunction;
  /** Scalars of `loss` that are inputs of the graph, by name. */
  readonly scalars: Readonly<Record<string, number>>;
  /** Which steps of a rollout are stochastic: all, or a window of it, per iteration and batch of prompts. */
  readonly window?: WindowPlan;
  /** Whether the samples of a prompt start from the same noise. */
  readonly sharedStart: boolean;
  /** Whether the loss asks for `noise`, that of each noisy step; default: it is not kept. */
  readonly keepNoise?: boolean;
  /** Whether rollouts follow the sampler without noise, so that no step has a density. Default: they do not. */
  readonly deterministic?: boolean;
  /**
   * Whether there is an old policy beside the trained one: a copy that begins where training does, samples the rollouts, and moves
   * only when `learn` calls {@link Learner.moveOld}. A checkpoint holds it. Default false: the trained policy samples.
   */
  readonly keepsOld?: boolean;
  /**
   * What is learnt from in the place of rollouts: clips that the world makes, each as a trajectory of no steps and without a reward. The
   * reward of the run is then only measured on held-out prompts. Default: rollouts.
   */
  readonly clips?: ClipPlan;
  /** The state before the first iteration. */
  readonly initialMemory: Memory;
  /**
   * For estimates: the share of a trajectory's stochastic steps that one pass learns from, optimizer updates of an iteration, and
   * how many samples of a prompt are learnt from where not all are.
   */
  readonly work: {
    readonly stepShare: number;
    readonly updatesPerIteration: number;
    readonly samples?: number;
    /**
     * Of deterministic rollouts, which have no stochastic steps: predictions of one trajectory that carry gradient in an iteration, on
     * average; of so many samples of a prompt, where their number matters.
     */
    readonly predictions?: number | ((samplesPerPrompt: number) => number);
    /** What a consistency distillation adds to them: predictions of one trajectory that is learnt from, in an iteration. */
    readonly distillation?: {readonly gradient: number; readonly frozen: number};
  };
  /**
   * Refuses a reward that these options cannot work with, before the first rollout.
   *
   * @throws ConfigError naming the option and what the reward lacks.
   */
  checkReward?(reward: Pick<Reward, 'name' | 'parts' | 'weights'>): void;
  /** Consumes one iteration's scored trajectories and emits the state after it. */
  learn(scored$: Observable<Scored>, state: TrainState, context: LearnContext): Observable<TrainState>;
  /** Optimizer settings of the learner. */
  readonly optimizer: OptimizerOptions;
}

/** Settings of the optimizer that all algorithms share. */
export interface OptimizerOptions {
  readonly learningRate: number;
  /** Updates over which the rate grows to `learningRate`. Default 0. */
  readonly warmup?: number;
  /** Its course from there. Default constant. */
  readonly schedule?: 'constant' | 'linear' | 'cosine';
  /** Updates, warm-up included, in which a falling rate arrives at `finalRate`·`learningRate`. */
  readonly scheduleUpdates?: number;
  /** Default 0. */
  readonly finalRate?: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly weightDecay: number;
  readonly maxGradientNorm: number;
  readonly averageDecay: number;
}

/** An algorithm as it is registered. */
export interface Algorithm<Shape extends z.ZodRawShape = z.ZodRawShape> {
  readonly name: string;
  /** One line for listings. */
  readonly summary: string;
  /** Options with documented defaults. */
  readonly options: z.ZodObject<Shape>;
  /** What it wants of the settings that every run has, such as `samplingSteps`, where nobody says otherwise. */
  readonly defaults: Partial<RunConfig>;
  /** Settings that change nothing in such a run, and why; to give one of them is an error. */
  idle?(config: Readonly<Record<string, unknown>>): readonly {readonly key: string; readonly reason: string}[];
  /**
   * Whether it may learn from rollouts that are one update old (`overlapRollouts`), because its loss corrects for that or does not
   * ask who sampled. Default false: the setting is then refused.
   */
  readonly offPolicy?: boolean;
  /** Checked before the first rollout, by name. */
  readonly needs: {readonly differentiableReward: boolean};
  /**
   * The algorithm with checked options; nothing is started.
   *
   * @param run what of the run's own settings changes a loss: whether rollouts are one update old. Default: they are not.
   */
  configure(options: z.output<z.ZodObject<Shape>>, run?: Pick<RunConfig, 'overlapRollouts'>): ConfiguredAlgorithm;
}
