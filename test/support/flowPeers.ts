/** Runs the step functions of published flow samplers, as recorded in flow_sde.json, through our affine transitions. */
import * as tf from '@tensorflow/tfjs-core';
import {cpsLogProbability} from '../../src/numeric/gaussian.js';
import {toClean} from '../../src/numeric/prediction.js';
import type {Transition} from '../../src/numeric/samplers/sampler.js';
import {replay, step, type TransitionInputs} from '../../src/numeric/transition.js';
import {column, expectClose, expectOutput, numbers, tensor, values, type Case, type GoldenTensor} from './golden.js';

/** Params of the step cases of flow_sde.json. */
export interface FlowParams {
  readonly sigmas: GoldenTensor;
  readonly step_index: number | number[];
  readonly noise_level: number;
  readonly eta: number;
  readonly sigma_max?: number;
  readonly diffusion_clip?: number | null;
  readonly mode: 'forward' | 'replay';
}

/** The noise levels of a case. */
export const sigmasOf = (c: Case<FlowParams>): number[] => numbers(c.params.sigmas);

/** The rows of a table that a case is about, one for each sample. */
export function rowsOf(c: Case<FlowParams>, table: readonly Transition[]): Transition[] {
  const index = c.params.step_index;
  const batch = c.inputs.sample.shape[0];
  return Array.isArray(index) ? index.map((i) => table[i]) : Array.from({length: batch}, () => table[index]);
}

/** A network that predicts the velocity `output` at `latent`, as inputs of a transition. */
export function inputsOf(latent: tf.Tensor, output: tf.Tensor, rows: readonly Transition[]): TransitionInputs {
  const point = {latent, alpha: column(rows, (r) => 1 - r.time), sigma: column(rows, (r) => r.time)};
  return {
    latent,
    x0: toClean('flow', output, point),
    a: column(rows, (r) => r.a),
    b: column(rows, (r) => r.b),
    std: column(rows, (r) => r.std),
  };
}

/** Where peers differ in what they return. */
export interface PeerHabits {
  /** Whether the `s` of the case is the step's full standard deviation instead of std/√(σ − σ'). */
  readonly sIsStd?: boolean;
  /** Whether the peer's log-probability lacks −ln std − ½ ln 2π. */
  readonly withoutNormaliser?: boolean;
  /** Whether the case was scored by CPS's squared error. */
  readonly cps?: boolean;
}

/** Asserts every output of a step case. */
export function expectPeer(c: Case<FlowParams>, table: readonly Transition[], habits: PeerHabits = {}): void {
  const rows = rowsOf(c, table);
  const latent = tensor(c.inputs.sample);
  const output = tensor(c.inputs.model_output);
  const inputs = inputsOf(latent, output, rows);
  const missing = rows.map((r) => (habits.withoutNormaliser ? -Math.log(r.std) - 0.5 * Math.log(2 * Math.PI) : 0));
  const density = habits.cps ? 'cps' : 'gaussian';
  const expectLogProb = (logProb: tf.Tensor): void =>
    expectOutput(
      c,
      'log_prob',
      values(logProb).map((v, i) => v - missing[i]),
    );

  if ('s' in c.outputs) {
    const s = rows.map((r) => (habits.sIsStd ? r.std : r.std / Math.sqrt(r.time - r.nextTime)));
    expectOutput(c, 's', c.outputs.s.shape.length === 0 ? s.slice(0, 1) : s);
  }
  if ('sqrt_dt' in c.outputs)
    expectOutput(
      c,
      'sqrt_dt',
      rows.map((r) => Math.sqrt(r.time - r.nextTime)),
    );
  if ('pred_original' in c.outputs) expectOutput(c, 'pred_original', inputs.x0);

  if (c.params.mode === 'forward') {
    const {next, logProb} = step({...inputs, noise: tensor(c.inputs.noise)}, density);
    expectOutput(c, 'prev_sample', next);
    expectLogProb(logProb);
    // The same point, replayed under the same parameters, scores the same: the ratio before the first update is 1.
    expectClose(replay({...inputs, next}, density).logProb, values(logProb), 0);
    return;
  }

  const next = tensor(c.inputs.prev_sample);
  const {logProb, mean} = replay({...inputs, next}, density);
  if ('mean' in c.outputs) expectOutput(c, 'mean', mean);
  const score = (v: tf.Tensor): tf.Tensor => {
    const at = {...inputsOf(latent, v, rows), next};
    // CPS scores its deterministic last step too; we do not, so the peer's number for it is the formula's alone.
    return habits.cps ? cpsLogProbability(next, replay(at).mean) : replay(at).logProb;
  };
  expectLogProb(score(output));
  expectClose(
    logProb,
    values(score(output)).map((v, i) => (rows[i].std === 0 ? 0 : v)),
    0,
  );
  expectOutput(c, 'grad_log_prob_sum_wrt_model_output', tf.grad((v) => tf.sum(score(v)))(output));
}
