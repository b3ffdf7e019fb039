/** Pre-trains a policy on a world's own clips, one update after another, and yields its state to whoever writes it down. */
import type {ClipSource, Environment} from '../environment.js';
import type {Device, ResidentTree} from '../engine/device.js';
import {ConfigError} from '../errors.js';
import {float32, ndarray, sizeOf, type NdArray} from '../tensor/ndarray.js';
import {normals, uniforms} from '../tensor/random.js';
import type {Params} from '../tensor/tree.js';
import {initialState, networkLayout, refusedUpdate, scheduleOf, unpackNetwork, type PackedNetwork} from './optimise.js';
import {heldOutError, policyStep} from './policyStep.js';
import {updatePlan, updatesOf, type PretrainPlan, type UpdatePlan} from './schedule.js';

/** Times at which the held-out error is measured, and the clips it is measured on. */
const HELD_OUT_TIMES = [0.3, 0.6, 0.8, 0.95] as const;
const HELD_OUT_CLIPS = 128;
const HELD_OUT_BATCH = 32;

/** One finished update. */
export interface PretrainProgress {
  /** Updates done. */
  readonly updates: number;
  readonly plan: UpdatePlan;
  /** Stills and clips seen so far. */
  readonly stills: number;
  readonly clips: number;
  readonly loss: number;
  readonly gradientNorm: number;
}

/** A trainer between two updates. */
export interface PolicyTrainer {
  readonly totalUpdates: number;
  /** Does the next update. @throws NonFiniteError if loss or gradient is not finite; the state is then as before. */
  update(): Promise<PretrainProgress>;
  /** Held-out mean squared error of the averaged weights at t = .3, .6, .8, .95. */
  heldOut(): Promise<number[]>;
  /** The averaged weights. */
  averaged(): Promise<Params>;
  /** Everything a checkpoint needs; restore it by passing it to `openPolicyTrainer` with the number of updates done. */
  state(): Promise<Params>;
  close(): Promise<void>;
}

/** Where a trainer starts. */
export interface TrainerStart {
  readonly seed: number;
  readonly updates?: number;
  readonly state?: Params;
}

/** Builds a trainer; clips are rendered by `threads` worker threads while the device computes. */
export async function openPolicyTrainer(
  environment: Environment,
  device: Device,
  plan: PretrainPlan,
  start: TrainerStart,
  threads: number,
): Promise<PolicyTrainer> {
  if (!environment.openClips) throw new ConfigError(`pretrain: environment "${environment.name}" makes no clips of its own.`);
  const {policy} = environment;
  const fresh = environment.initialise(start.seed);
  const layout = networkLayout(fresh);
  const state: ResidentTree = await device.put(start.state ?? initialState(fresh, layout));
  const train = environment.openClips('train', threads);
  const validation = environment.openClips('validation', 0);
  const step = device.jit('pretrain/update', policyStep(policy, layout));
  const held = device.jit('pretrain/heldOut', heldOutError(policy, layout));
  const pixels = sizeOf(environment.videoShape);
  let updates = start.updates ?? 0;

  const batchOf = async (n: number): Promise<Params> => {
    const p = updatePlan(plan, n);
    const {videos, texts} = await train.clips(
      Array.from({length: p.count}, (_, i) => p.first + i),
      p.stills,
    );
    const key = (purpose: string): {seed: number; purpose: string; iteration: number} => ({
      seed: start.seed,
      purpose,
      iteration: n,
    });
    const logit = normals(key('pretrainTime'), new Float32Array(p.count));
    return {
      video: videos,
      noise: ndarray('float32', videos.shape, normals(key('pretrainNoise'), new Float32Array(sizeOf(videos.shape)))),
      time: float32(logit.map((z) => 1 / (1 + Math.exp(-(z + p.logitMean))))),
      tokens: policy.tokenize(texts),
      drop: float32(uniforms(key('pretrainDrop'), new Float32Array(p.count)).map((u) => (u < plan.captionDrop ? 1 : 0))),
    };
  };
  let next = updates < updatesOf(plan) ? batchOf(updates) : undefined;

  return {
    totalUpdates: updatesOf(plan),
    async update(): Promise<PretrainProgress> {
      const p = updatePlan(plan, updates);
      const batch = await next!;
      const running = step(
        {
          state,
          batch,
          schedule: scheduleOf(plan, updates, p.rate, p.averageDecay),
        },
        {into: {state}, guard: ['metrics.loss', 'metrics.gradientNorm']},
      );
      // The next batch is rendered and its noise drawn while the device works on this one.
      if (updates + 1 < updatesOf(plan)) next = batchOf(updates + 1);
      const {outputs, applied} = await running;
      const metrics = outputs['metrics'] as Params;
      const [loss, gradientNorm] = [(metrics['loss'] as NdArray).data[0], (metrics['gradientNorm'] as NdArray).data[0]];
      if (!applied) throw refusedUpdate(updates, loss, gradientNorm);
      updates++;
      const at = updates < updatesOf(plan) ? updatePlan(plan, updates) : p;
      const seen = p.first + p.count;
      const stills = p.stills ? seen : Math.ceil(plan.stills / plan.stillBatch) * plan.stillBatch;
      return {updates, plan: at, stills, clips: seen - stills, loss, gradientNorm};
    },
    heldOut: () => measureHeldOut(held, state, policy.tokenize, validation, pixels, environment.videoShape),
    async averaged(): Promise<Params> {
      const {average} = (await device.get({average: state['average']})) as {average: Params};
      return unpackNetwork(average as unknown as PackedNetwork, layout);
    },
    state: () => device.get(state),
    async close(): Promise<void> {
      await next?.catch(() => undefined);
      await device.free(state);
      await Promise.all([train.close(), validation.close()]);
    },
  };
}

async function measureHeldOut(
  held: ReturnType<Device['jit']>,
  state: ResidentTree,
  tokenize: Environment['policy']['tokenize'],
  validation: ClipSource,
  pixels: number,
  videoShape: readonly number[],
): Promise<number[]> {
  const errors = HELD_OUT_TIMES.map(() => 0);
  for (let first = 0; first < HELD_OUT_CLIPS; first += HELD_OUT_BATCH) {
    const {videos, texts} = await validation.clips(
      Array.from({length: HELD_OUT_BATCH}, (_, i) => first + i),
      false,
    );
    const noise = ndarray(
      'float32',
      [HELD_OUT_BATCH, ...videoShape],
      normals({seed: 0, purpose: 'heldOutNoise', sample: first}, new Float32Array(HELD_OUT_BATCH * pixels)),
    );
    for (const [i, t] of HELD_OUT_TIMES.entries()) {
      const batch = {video: videos, noise, time: float32(new Float32Array(HELD_OUT_BATCH).fill(t)), tokens: tokenize(texts)};
      const {outputs} = await held({average: state['average'], batch});
      errors[i] += ((outputs['error'] as NdArray).data[0] * HELD_OUT_BATCH) / HELD_OUT_CLIPS;
    }
  }
  return errors;
}
