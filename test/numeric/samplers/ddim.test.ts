import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import {ConfigError} from '../../../src/errors.js';
import {ddimStep} from '../../../src/numeric/ddimStep.js';
import {logProbability} from '../../../src/numeric/gaussian.js';
import {fromClean, toClean, type Prediction} from '../../../src/numeric/prediction.js';
import {ddim, ddimTransition} from '../../../src/numeric/samplers/ddim.js';
import type {Transition} from '../../../src/numeric/samplers/sampler.js';
import {alphaBars, timesteps, type BetaSchedule} from '../../../src/numeric/schedule.js';
import {replay, step} from '../../../src/numeric/transition.js';
import {float16ToFloat32, float32ToFloat16} from '../../../src/tensor/float16.js';
import {
  cases,
  column,
  expectClose,
  expectOutput,
  numbers,
  tensor,
  values,
  type Case,
  type GoldenTensor,
} from '../../support/golden.js';

interface DdimParams {
  scheduler: {
    num_train_timesteps: number;
    beta_start: number;
    beta_end: number;
    beta_schedule: string;
    prediction_type: string;
    clip_sample: boolean;
    clip_sample_range?: number;
  };
  num_inference_steps: number;
  eta: number;
  use_clipped_model_output?: boolean;
  prev_timestep?: GoldenTensor;
  alpha_cumprod_t?: GoldenTensor;
  mode: string;
}

/**
 * ᾱ as the peers hold it: every operation rounded to float32. Close to the clean end 1 − ᾱ has few digits left, so this is
 * needed to meet their numbers, and it is theirs: `alphaBars` works in float64.
 */
function peerAlphas({beta_schedule: kind, beta_start, beta_end, num_train_timesteps: n}: DdimParams['scheduler']): number[] {
  const f = Math.fround;
  const root = (beta: number): number => f(kind === 'linear' ? beta : Math.sqrt(beta));
  const [start, end] = [root(beta_start), root(beta_end)];
  const step = f(f(end - start) / f(n - 1));
  const cosine = kind === 'squaredcos_cap_v2' ? alphaBars({kind: 'cosine'}, n) : [];
  let product = 1;
  return Array.from({length: n}, (_, i) => {
    // torch.linspace counts from the nearer end.
    const even = i < n / 2 ? f(start + f(step * i)) : f(end - f(step * (n - 1 - i)));
    const beta = cosine.length > 0 ? f(1 - cosine[i] / (cosine[i - 1] ?? 1)) : kind === 'linear' ? even : f(even * even);
    product = product * f(1 - beta);
    return f(product);
  });
}

const kinds: Record<string, Prediction> = {epsilon: 'noise', sample: 'clean', v_prediction: 'velocity'};
const stableDiffusion = alphaBars({kind: 'scaledLinear', betaStart: 0.00085, betaEnd: 0.012});

/** Levels of each sample of a case: ᾱ, its predecessor, and the transition between them. */
function levelsOf(c: Case<DdimParams>): {alpha: number; next: number; row: Transition}[] {
  const {scheduler, num_inference_steps: steps, eta, prev_timestep: previous} = c.params;
  const alphas = peerAlphas(scheduler);
  return numbers(c.inputs.timestep).map((t, i) => {
    const s = previous ? numbers(previous)[i] : Math.max(0, t - Math.floor(scheduler.num_train_timesteps / steps));
    return {alpha: alphas[t], next: alphas[s], row: ddimTransition(alphas[t], alphas[s], eta)};
  });
}

/** Log-probability and mean of a case's step as a function of the network's output, in the affine or the clipping form. */
function stepper(c: Case<DdimParams>, form: 'affine' | 'clipping') {
  const levels = levelsOf(c);
  const latent = tensor(c.inputs.sample);
  const kind = kinds[c.params.scheduler.prediction_type];
  const alpha = column(levels, (l) => l.alpha);
  const nextAlpha = column(levels, (l) => l.next);
  const std = column(levels, (l) => l.row.std);
  const point = {latent, alpha: tf.sqrt(alpha), sigma: column(levels, (l) => Math.sqrt(1 - l.alpha))};
  const affine = (output: tf.Tensor) => ({
    latent,
    x0: toClean(kind, output, point),
    a: column(levels, (l) => l.row.a),
    b: column(levels, (l) => l.row.b),
    std,
  });
  const {clip_sample: clips, clip_sample_range: range} = c.params.scheduler;
  const options = {kind, ...(clips && {clipRange: range!}), recomputeNoise: c.params.use_clipped_model_output ?? false};
  const meanOf = (output: tf.Tensor): tf.Tensor =>
    form === 'affine'
      ? replay({...affine(output), next: latent}).mean
      : ddimStep({latent, output, alpha, nextAlpha, std}, options).mean;
  return {std, affine, meanOf, logProb: (next: tf.Tensor, output: tf.Tensor) => logProbability(next, meanOf(output), std)};
}

/** Asserts every output of a step case in one of the two forms. */
function expectDdim(c: Case<DdimParams>, form: 'affine' | 'clipping'): void {
  const {std, meanOf, logProb, affine} = stepper(c, form);
  const output = tensor(c.inputs.model_output);
  const mean = meanOf(output);
  expectOutput(c, 'std', std);
  expectOutput(c, 'mean', mean);
  if (c.params.mode === 'forward') {
    const noise = tensor(c.inputs.noise);
    const next = tf.add(mean, tf.mul(tf.reshape(std, [-1, ...noise.shape.slice(1).fill(1)]), noise));
    expectOutput(c, 'prev_sample', form === 'affine' ? step({...affine(output), noise}).next : next);
    expectOutput(c, 'log_prob', logProb(next, output));
  } else {
    const next = tensor(c.inputs.prev_sample);
    expectOutput(c, 'log_prob', logProb(next, output));
    expectOutput(c, 'grad_log_prob_sum_wrt_model_output', tf.grad((v) => tf.sum(logProb(next, v)))(output));
  }
}

describe('ddim', () => {
  for (const c of cases<DdimParams>('ddim.json', 'ddim').filter((v) => !/clip|no-density|storage/.test(v.name))) {
    it(`matches ${c.name} in the affine form`, () => expectDdim(c, 'affine'));
  }

  for (const c of cases<DdimParams>('ddim.json').filter((v) => v.name.includes('no-density'))) {
    it(`makes a deterministic step of ${c.name}, where the peer's density is NaN`, () => {
      const {affine} = stepper(c, 'affine');
      const inputs = affine(tensor(c.inputs.model_output));
      const {next, logProb} = step({...inputs, noise: tensor(c.inputs.noise)});
      expectOutput(c, 'prev_sample', next);
      expectOutput(c, 'std', inputs.std);
      const stds = values(inputs.std);
      const peer = numbers(c.outputs.log_prob);
      values(logProb).forEach((v, i) => expect(v).to.be.closeTo(stds[i] === 0 ? 0 : peer[i], 1e-5));
      expect(stds).to.include(0);
    });
  }

  for (const c of cases<DdimParams>('ddim.json').filter((v) => v.name.includes('storage'))) {
    it(`scores the stored point of ${c.name}, so that the ratio is 1 where the peer's is not`, () => {
      const {affine} = stepper(c, 'affine');
      const inputs = affine(tensor(c.inputs.model_output));
      const {next, logProb} = step({...inputs, noise: tensor(c.inputs.noise)});
      expectOutput(c, 'log_prob_at_sampling', logProb);
      const {dtype} = c.outputs.prev_sample_returned;
      const stored = tf.tensor(dtype === 'float16' ? roundToFloat16(values(next)) : roundToBfloat16(values(next)), next.shape);
      expectOutput(c, 'prev_sample_returned', stored);
      const atReplay = replay({...inputs, next: tensor(c.outputs.prev_sample_returned)}).logProb;
      expectOutput(c, 'log_prob_at_replay', atReplay);
      // Rounding before scoring, as a rollout should, scores what replay will score.
      const rounded = replay({...inputs, next: stored}).logProb;
      expectClose(tf.exp(tf.sub(replay({...inputs, next: stored}).logProb, rounded)), [...values(rounded)].fill(1), 0);
      expectOutput(c, 'ratio', tf.exp(tf.sub(atReplay, logProb)));
    });
  }

  it('holds the same ᾱ as the peers, up to their float32', () => {
    for (const c of cases<DdimParams>('ddim.json').filter((v) => v.params.alpha_cumprod_t)) {
      const ts = numbers(c.inputs.timestep);
      const peer = peerAlphas(c.params.scheduler);
      expectClose(
        ts.map((t) => peer[t]),
        numbers(c.params.alpha_cumprod_t!),
        0,
        2e-7,
      );
      const {beta_schedule: kind, beta_start: betaStart, beta_end: betaEnd, num_train_timesteps: n} = c.params.scheduler;
      const schedule =
        kind === 'squaredcos_cap_v2'
          ? ({kind: 'cosine'} as const)
          : {kind: kind === 'linear' ? kind : ('scaledLinear' as const), betaStart, betaEnd};
      const own = alphaBars(schedule as BetaSchedule, n);
      expectClose(
        ts.map((t) => own[t]),
        numbers(c.params.alpha_cumprod_t!),
        0,
        1e-6,
      );
    }
  });

  it('visits the timesteps in order and ends as asked', () => {
    const table = ddim({alphas: stableDiffusion, timesteps: timesteps('leading', 50, {offset: 1}), eta: 1, lastAlpha: 'clamp'});
    // reference/algorithms.md §2.14, from running ddpo-pytorch.
    expectClose([table[0].std, table[49].std], [0.4544633, 0.02064822], 2e-7);
    const x = [0.5, -1, 0.25, 2];
    const noise = [0.1, 0.2, -0.3, 0.4];
    const mean = (t: number, row: Transition): number[] => {
      const alpha = stableDiffusion[t];
      return x.map((xi, j) => row.a * xi + (row.b * (xi - Math.sqrt(1 - alpha) * noise[j])) / Math.sqrt(alpha));
    };
    expectClose(mean(981, table[0]), [0.5381323, -1.169439, 0.3505937, 2.152529], 1e-6);
    expectClose(mean(1, table[49]), [0.4981425, -1.00457, 0.256321, 1.99257], 1e-6);
    table.slice(1).forEach((row, i) => expectClose([row.time], [table[i].nextTime], 1e-15));

    const last = ddim({alphas: stableDiffusion, timesteps: [500, 1], eta: 1})[1];
    expectClose([last.a, last.b, last.std, last.nextTime], [0, 1, 0, 0], 1e-15);
  });

  for (const c of cases<{
    prediction_type: string;
    eta: number;
    num_inference_steps: number;
    timestep: number;
    set_alpha_to_one: boolean;
  }>('schedulers.json', 'ddim-step')) {
    it(`matches ${c.name} of diffusers`, () => {
      const {eta, num_inference_steps: steps, timestep, prediction_type: type, set_alpha_to_one: toOne} = c.params;
      const list = timesteps('leading', steps, {offset: 1});
      const table = ddim({alphas: stableDiffusion, timesteps: list, eta, lastAlpha: toOne ? 'final' : 'clamp'});
      const latent = tensor(c.inputs.sample);
      const rows = Array.from({length: latent.shape[0]}, () => table[list.indexOf(timestep)]);
      const alpha = stableDiffusion[timestep];
      const point = {latent, alpha: column(rows, () => Math.sqrt(alpha)), sigma: column(rows, () => Math.sqrt(1 - alpha))};
      const x0 = toClean(kinds[type], tensor(c.inputs.model_output), point);
      const coefficients = {a: column(rows, (r) => r.a), b: column(rows, (r) => r.b), std: column(rows, (r) => r.std)};
      expectOutput(c, 'pred_original_sample', x0);
      expectOutput(c, 'prev_sample', step({latent, x0, ...coefficients, noise: tensor(c.inputs.noise)}).next);
    });
  }

  interface SolverParams {
    config: {solver_order: number};
    w: number;
    b: number;
  }
  for (const c of cases<SolverParams>('schedulers.json', 'dpm-solver', 'unipc-flow')) {
    if (c.params.config?.solver_order !== 1) {
      it.skip(`matches ${c.name} of diffusers (multistep: needs predictions of earlier steps; rlft's transitions have one)`);
      continue;
    }
    it(`matches ${c.name} of diffusers: DPM-Solver++ of first order is DDIM without noise`, () => {
      const alphas = numbers(c.outputs.sigmas).map((sigma) => 1 / (1 + sigma * sigma));
      let x = tf.reshape(tensor(c.inputs.sample), [-1]);
      const trajectory = numbers(c.outputs.timesteps).map((t, i) => {
        const row = ddimTransition(alphas[i], alphas[i + 1], 0);
        const noise = tf.add(tf.mul(x, c.params.w), c.params.b + (0.1 * t) / 1000);
        const x0 = tf.div(tf.sub(x, tf.mul(noise, Math.sqrt(1 - alphas[i]))), Math.sqrt(alphas[i]));
        x = tf.add(tf.mul(x, row.a), tf.mul(x0, row.b));
        return values(x);
      });
      expectOutput(c, 'trajectory', trajectory.flat());
    });
  }

  it('asks the network as a flow model: scale and time turn the latent into (1 − t)·x0 + t·ε', () => {
    for (const alpha of [0, 0.0058, 0.3, 0.99915]) {
      const {scale, time} = ddimTransition(alpha, 0.9995, 0.5);
      expectClose([scale * Math.sqrt(alpha), scale * Math.sqrt(1 - alpha)], [1 - time, time], 1e-15);
    }
  });

  it('keeps the noise level of the schedule for any eta', () => {
    for (const eta of [0, 0.3, 1]) {
      const {a, b, std} = ddimTransition(0.3, 0.55, eta);
      expectClose([a * Math.sqrt(0.3) + b, a * a * 0.7 + std * std], [Math.sqrt(0.55), 0.45], 1e-12);
    }
  });

  it('is the exact posterior of the forward process at eta 1', () => {
    // x_t given x_s is N(√(ᾱ_t/ᾱ_s)·x_s, 1 − ᾱ_t/ᾱ_s), x_s given x0 is N(√ᾱ_s·x0, 1 − ᾱ_s): Bayes' rule.
    const [alpha, next] = [0.2, 0.5];
    const kept = alpha / next;
    const precision = kept / (1 - kept) + 1 / (1 - next);
    const {a, b, std} = ddimTransition(alpha, next, 1);
    const wanted = [Math.sqrt(kept) / (1 - kept) / precision, Math.sqrt(next) / (1 - next) / precision, 1 / Math.sqrt(precision)];
    expectClose([a, b, std], wanted, 1e-12);
  });

  it('refuses eta outside [0, 1] and timesteps that do not fall within the schedule', () => {
    const alphas = [0.9, 0.5, 0.1];
    expect(() => ddim({alphas, timesteps: [2, 1], eta: 1.2})).to.throw(ConfigError, /eta/);
    for (const list of [[], [3, 1], [1, 1], [1, 2], [1.5, 0], [2, -1]]) {
      expect(() => ddim({alphas, timesteps: list, eta: 1})).to.throw(ConfigError, /timesteps/);
    }
  });
});

const roundToFloat16 = (x: number[]): number[] => [...float16ToFloat32(float32ToFloat16(Float32Array.from(x)))];

/** Rounds to the nearest bfloat16, the upper half of a float32, ties to even. */
function roundToBfloat16(x: number[]): number[] {
  const words = new Uint32Array(Float32Array.from(x).buffer);
  return [...new Float32Array(words.map((w) => (w + 0x7fff + ((w >>> 16) & 1)) & 0xffff0000).buffer)];
}

describe('ddimStep', () => {
  for (const c of cases<DdimParams>('ddim.json').filter((v) => !/no-density|storage/.test(v.name))) {
    it(`matches ${c.name}`, () => expectDdim(c, 'clipping'));
  }

  for (const recomputeNoise of [false, true]) {
    it(`clips the same whatever the network predicts (noise ${recomputeNoise ? 'computed again' : 'kept'})`, () => {
      const latent = tf.tensor2d([[0.4, -1.2, 2.1]]);
      const noise = tf.tensor2d([[0.9, -0.2, 1.4]]);
      const levels = {alpha: tf.tensor1d([0.36]), nextAlpha: tf.tensor1d([0.64]), std: tf.tensor1d([0.2])};
      const point = {latent, alpha: tf.tensor1d([0.6]), sigma: tf.tensor1d([0.8])};
      const clean = toClean('noise', noise, point);
      const means = (['noise', 'clean', 'flow', 'velocity'] as const).map((kind) => {
        const output = fromClean(kind, clean, point);
        return ddimStep({latent, output, ...levels}, {kind, clipRange: 0.5, recomputeNoise}).mean;
      });
      const clipped = values(clean).map((x) => Math.min(0.5, Math.max(-0.5, x)));
      const direction = Math.sqrt(1 - 0.64 - 0.04);
      const wanted = values(latent).map((x, i) => {
        const from = recomputeNoise ? clipped[i] : values(clean)[i];
        return 0.8 * clipped[i] + (direction * (x - 0.6 * from)) / 0.8;
      });
      for (const mean of means) expectClose(mean, wanted, 1e-6);
    });
  }
});
