/**
 * What every algorithm shares: accumulate the gradient of its loss over microbatches, clip it, step with AdamW, average the
 * weights. Parameters, moments and gradient stay on the device; only transitions go in and a few numbers come out.
 */
import * as tf from '@tensorflow/tfjs-core';
import '../autograd/index.js';
import {recompute} from '../autograd/recompute.js';
import type {LossFunction, Learner, OptimizerOptions, PolicyInGraph, TransitionBatch, UpdateReport} from '../algorithm.js';
import type {Argument, Device, Resident, ResidentTree} from '../engine/device.js';
import type {Environment} from '../environment.js';
import {ConfigError, ContractError, NonFiniteError} from '../errors.js';
import {adamCorrections, adamw} from '../numeric/optim/adamw.js';
import {clipByGlobalNorm} from '../numeric/optim/clip.js';
import {ema, emaDecayAt} from '../numeric/optim/ema.js';
import {learningRate} from '../numeric/optim/learningRate.js';
import {rateSchedule} from './rateSchedule.js';
import type {Density} from '../numeric/transition.js';
import type {DifferentiableReward} from '../reward.js';
import {predict} from '../rollout/predict.js';
import {packedPolicy, policyTensors, unpackedPolicy, type PolicyPacking, type PolicyVectors} from '../rollout/residentPolicy.js';
import {scalar, zeros, type NdArray} from '../tensor/ndarray.js';
import {unpackArray} from '../tensor/pack.js';
import {mapTree, type Branch, type Params} from '../tensor/tree.js';

const EPSILON = 1e-8;

/** What a learner is made of. */
export interface LearnerParts {
  readonly environment: Environment;
  readonly device: Device;
  readonly layout: PolicyPacking;
  readonly loss: LossFunction;
  readonly scalars: Readonly<Record<string, number>>;
  readonly optimizer: OptimizerOptions;
  readonly density: Density;
  readonly guidanceScale: number;
  readonly microbatch: number;
  /** Whether to keep an old policy beside the trained one. Default false. */
  readonly keepsOld?: boolean;
  /** Whether rollouts overlap updates, and are sampled by a copy that stands still meanwhile. Default false. */
  readonly overlapRollouts?: boolean;
  /** The parameters that training began with. */
  readonly reference: Params;
  /** The reward whose gradient the loss asks for, if it does; its parameters are put on the device. */
  readonly reward?: DifferentiableReward;
}

/** A learner's state as arrays: a checkpoint. */
export interface LearnerSnapshot {
  readonly arrays: Params;
  readonly updates: number;
}

/** A learner with what the frame needs besides: policies to roll out, checkpoints. */
export interface ResidentLearner extends Learner {
  /** The policy being trained, as the generator takes it. */
  readonly policy: ResidentTree;
  /**
   * The policy that samples rollouts: the old one where one is kept, the trained one otherwise; where rollouts overlap updates, that
   * as it was at the last {@link advance}.
   */
  readonly acting: ResidentTree;
  /** The averaged policy, for evaluations. */
  readonly averaged: ResidentTree;
  /** The policy that training began with. */
  readonly reference: ResidentTree;
  /** Optimizer updates done. */
  readonly updates: number;
  /**
   * Begins an iteration whose updates are overlapped by the rollouts of the next: lets what samples catch up with the policy as it
   * stands, before the first update.
   *
   * @throws ContractError if the learner was made without `overlapRollouts`.
   */
  advance(): Promise<void>;
  /** Takes the last {@link advance} back: the iteration failed, and a checkpoint belongs to the one before it. */
  retreat(): Promise<void>;
  /** Copies the state from the device, for a checkpoint. */
  snapshot(): Promise<LearnerSnapshot>;
  /** Parameters of the averaged policy; an adapter is merged into them. */
  averagedParams(): Promise<Params>;
  /** Of these what is trained, averaged: with LoRA the adapter alone. */
  averagedTrained(): Promise<Params>;
  /** Frees what it put on the device; the device stays open. */
  close(): Promise<void>;
}

/** Decodes latents and scores them. */
function rewardOf(
  {environment, reward}: LearnerParts,
  params: Branch<tf.Tensor>,
  latents: tf.Tensor,
  prompts: Branch<tf.Tensor>,
): tf.Tensor {
  if (reward && environment.decodeInGraph) return reward.score(params, environment.decodeInGraph(latents), prompts);
  throw new ContractError(
    `learner: the loss asks for the gradient of the reward; the learner was made without ${reward ? 'a world that decodes in the graph' : 'a differentiable reward'}.`,
  );
}

const number = (a: unknown): number => (a as NdArray).data[0];

/** The old policy, for those that said that they keep one. */
function requireOld<T>(old: T | undefined): T {
  if (old !== undefined) return old;
  throw new ContractError('algorithm: there is no old policy; wanted keepsOld: true where the algorithm is configured.');
}

/**
 * Builds a learner, at the beginning or where a snapshot left it.
 *
 * @throws ConfigError if the snapshot is of a learner whose rollouts overlapped updates and this one's do not, or the other way round.
 */
export async function createLearner(parts: LearnerParts, from?: LearnerSnapshot): Promise<ResidentLearner> {
  const {device, environment, layout, optimizer, density, guidanceScale} = parts;
  const size = layout.trained.size;
  // With LoRA `beneath` holds the network too, and the policy that training began with is that without the adapter.
  const {trained: start, ...beneath} = packedPolicy(parts.reference, layout);
  const {old: savedOld, acting: savedActing, ...saved} = from?.arrays ?? {};
  const overlaps = parts.overlapRollouts === true;
  if (from && overlaps !== (savedActing !== undefined)) {
    throw new ConfigError(
      `overlapRollouts: wanted ${!overlaps}, as it was when the checkpoint was written; got ${overlaps}. Go on with the settings that the run began with.`,
    );
  }
  const copy = (): NdArray<'float32'> => ({...start, data: start.data.slice()});
  const arrays = from
    ? saved
    : {trained: start, average: copy(), first: zeros('float32', [size]), second: zeros('float32', [size])};
  const state = await device.put(arrays);
  // Apart from `state`, which every update replaces as a whole.
  const kept = await device.put({
    ...(parts.keepsOld && {old: from ? requireOld(savedOld) : copy()}),
    ...(overlaps && {acting: savedActing ?? copy()}),
  });
  const old = kept['old'] as Resident | undefined;
  const fixed = await device.put({
    beneath,
    reference: layout.lora ? {} : {trained: start},
    gradient: zeros('float32', [size]),
    // What sampled the rollouts that are learnt from; written before it is read, so no checkpoint holds it.
    ...(overlaps && {acted: copy()}),
  });
  const ahead = overlaps ? {acting: kept['acting'] as Resident, acted: fixed['acted'] as Resident} : undefined;
  const gradient = fixed['gradient'] as Resident;
  const [network, initial] = [fixed['beneath'], fixed['reference']] as [ResidentTree, ResidentTree | undefined];
  const policyOf = (trained: Resident): ResidentTree => ({trained, ...network});
  const rewardParams = await device.put(parts.reward?.params ?? {});
  let updates = from?.updates ?? 0;

  const sums = (
    inputs: Branch<tf.Tensor>,
  ): ((trained: tf.Tensor) => {loss: tf.Scalar; metrics: Readonly<Record<string, tf.Scalar>>}) => {
    const given = inputs as Record<string, tf.Tensor>;
    // A copy from outside the gradient, through which none flows.
    const held = tf.clone(given['trained']);
    const vectors = inputs['beneath'] as unknown as PolicyVectors<tf.Tensor>;
    const predictWith = (trained: {trained?: tf.Tensor}, batch: Branch<tf.Tensor>): tf.Tensor => {
      const {latent, time, scale, text} = batch as Record<string, tf.Tensor>;
      return predict(
        environment.policy,
        policyTensors({...vectors, ...trained}, layout),
        {latent, time, scale, text},
        guidanceScale,
      );
    };
    return (trained) => {
      const policy: PolicyInGraph = {
        density,
        predict: (batch) => predictWith({trained}, batch),
        predictRecomputed: (batch) =>
          recompute((latent, adapted) => predictWith({trained: adapted}, {...batch, latent}))(
            batch['latent'] as tf.Tensor,
            trained,
          ),
        predictReference: (batch) => predictWith((inputs['reference'] ?? {}) as {trained?: tf.Tensor}, batch),
        predictOld: (batch) => predictWith({trained: requireOld(given['old'])}, batch),
        predictHeld: (batch) => predictWith({trained: held}, batch),
        predictAverage: (batch) => predictWith({trained: given['average']}, batch),
        reward: (latents, prompts) => rewardOf(parts, inputs['reward'] as Branch<tf.Tensor>, latents, prompts),
      };
      return parts.loss(policy, inputs['batch'] as Branch<tf.Tensor>, inputs['scalars'] as Branch<tf.Tensor>);
    };
  };

  const accumulate = device.jit('learn/accumulate', (inputs) => {
    const {trained, gradient: before, share} = inputs as Record<string, tf.Tensor>;
    const total = sums(inputs);
    let metrics: Readonly<Record<string, tf.Scalar>> = {};
    const {value, grad} = tf.valueAndGrad((p: tf.Tensor) => {
      const found = total(p);
      // tfjs frees what is made in here, and these are wanted outside.
      metrics = mapTree(found.metrics, (m) => tf.keep(m)) as typeof metrics;
      return tf.mul(found.loss, share);
    })(trained);
    const sumsOf = {loss: value, ...mapTree(metrics, (m) => tf.mul(m, share))};
    tf.dispose(metrics);
    return {gradient: tf.add(before, grad), sums: sumsOf};
  });
  const measure = device.jit('learn/evaluate', (inputs) => {
    const found = sums(inputs)(inputs['trained'] as tf.Tensor);
    return {loss: found.loss, ...found.metrics};
  });
  const apply = device.jit('learn/apply', (inputs) => {
    const {trained, average, first, second} = inputs['state'] as Record<string, tf.Tensor>;
    const s = inputs['schedule'] as Record<string, tf.Tensor>;
    const {gradients, norm} = clipByGlobalNorm([inputs['gradient'] as tf.Tensor], s['maxGradientNorm']);
    const next = adamw(
      trained,
      gradients[0],
      {first, second},
      {learningRate: s['learningRate'], correction1: s['correction1'], correction2: s['correction2']},
      {...optimizer, epsilon: EPSILON},
    );
    return {
      state: {
        trained: next.params,
        average: ema(average, next.params, s['averageDecay']),
        first: next.state.first,
        second: next.state.second,
      },
      gradient: tf.zeros([size]),
      gradientNorm: norm,
    };
  });

  const inputsOf = (batch: TransitionBatch): Argument => ({
    trained: state['trained'],
    beneath: network,
    ...(initial && {reference: initial}),
    ...(old && {old: ahead?.acted ?? old}),
    average: state['average'],
    reward: rewardParams,
    batch,
    scalars: mapTree(parts.scalars, scalar),
  });
  const clearGradient = async (): Promise<void> => {
    const clear = device.jit('learn/clear', (inputs) => ({gradient: tf.zerosLike(inputs['gradient'] as tf.Tensor)}));
    await clear({gradient}, {into: {gradient}});
  };

  const follow = device.jit('learn/moveOld', (inputs) => {
    const {old: before, trained, decay} = inputs as Record<string, tf.Tensor>;
    return {old: ema(before, trained, decay)};
  });

  const copyInto = device.jit('learn/copy', (inputs) => ({copy: tf.clone(inputs['original'] as tf.Tensor)}));
  const assign = (target: Resident, original: Resident): Promise<unknown> => copyInto({original}, {into: {copy: target}});
  const follows = old ?? (state['trained'] as Resident);
  const acting = ahead?.acting ?? follows;
  const requireAhead = (): NonNullable<typeof ahead> => {
    if (ahead) return ahead;
    throw new ContractError('learner: wanted overlapRollouts: true where it is made, for rollouts that overlap updates.');
  };

  return {
    microbatch: parts.microbatch,
    policy: policyOf(state['trained'] as Resident),
    acting: policyOf(acting),
    averaged: policyOf(state['average'] as Resident),
    reference: {...initial, ...network},
    get updates() {
      return updates;
    },
    async update(batches, transitions): Promise<UpdateReport> {
      const metrics: Record<string, number> = {};
      for (const batch of batches) {
        const {outputs, applied} = await accumulate(
          {...inputsOf(batch), gradient, share: scalar(1 / transitions)},
          {into: {gradient}, guard: ['sums.loss']},
        );
        if (!applied) {
          await clearGradient();
          throw new NonFiniteError(
            `update ${updates + 1}: the loss is ${number((outputs['sums'] as Params)['loss'])}; nothing was applied. Lower learningRate or noiseLevel.`,
          );
        }
        for (const [name, value] of Object.entries(outputs['sums'] as Params))
          metrics[name] = (metrics[name] ?? 0) + number(value);
      }
      const {correction1, correction2} = adamCorrections(updates + 1, {...optimizer, epsilon: EPSILON});
      const schedule = {
        learningRate: scalar(learningRate(rateSchedule(optimizer), updates + 1)),
        correction1: scalar(correction1),
        correction2: scalar(correction2),
        maxGradientNorm: scalar(optimizer.maxGradientNorm),
        averageDecay: scalar(emaDecayAt(updates, optimizer.averageDecay)),
      };
      const {outputs, applied} = await apply({state, gradient, schedule}, {into: {state, gradient}, guard: ['gradientNorm']});
      const gradientNorm = number(outputs['gradientNorm']);
      if (!applied) {
        await clearGradient();
        throw new NonFiniteError(
          `update ${updates + 1}: the gradient norm is ${gradientNorm}; nothing was applied. Lower learningRate or noiseLevel.`,
        );
      }
      updates++;
      return {metrics, gradientNorm};
    },
    async evaluate(batch, policy = 'trained'): Promise<Readonly<Record<string, NdArray>>> {
      const inputs = {...inputsOf(batch), ...(policy === 'acting' && {trained: acting})};
      return (await measure(inputs)).outputs as Record<string, NdArray>;
    },
    async advance(): Promise<void> {
      const copies = requireAhead();
      await assign(copies.acted, copies.acting);
      await assign(copies.acting, follows);
    },
    async retreat(): Promise<void> {
      const copies = requireAhead();
      await assign(copies.acting, copies.acted);
    },
    async moveOld(decay): Promise<void> {
      const moved = {old: requireOld(old)};
      await follow({...moved, trained: state['trained'], decay: scalar(decay)}, {into: moved});
    },
    snapshot: async () => ({arrays: {...(await device.get(state)), ...(await device.get(kept))}, updates}),
    async averagedParams(): Promise<Params> {
      const {average} = (await device.get({average: state['average']})) as {average: NdArray<'float32'>};
      return unpackedPolicy({trained: average, ...beneath}, layout);
    },
    async averagedTrained(): Promise<Params> {
      const {average} = (await device.get({average: state['average']})) as {average: NdArray<'float32'>};
      return unpackArray(average, layout.trained);
    },
    async close(): Promise<void> {
      await device.free(state);
      await device.free(kept);
      await device.free(fixed);
      await device.free(rewardParams);
    },
  };
}
