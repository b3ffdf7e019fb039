import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import {clampAdvantages} from '../../src/numeric/advantages.js';
import {klDivergence} from '../../src/numeric/gaussian.js';
import {toClean} from '../../src/numeric/prediction.js';
import {cps} from '../../src/numeric/samplers/cps.js';
import {danceSde} from '../../src/numeric/samplers/danceSde.js';
import {ddimTransition} from '../../src/numeric/samplers/ddim.js';
import {flowSde, wanSde} from '../../src/numeric/samplers/flowSde.js';
import type {Transition} from '../../src/numeric/samplers/sampler.js';
import {alphaBars, timesteps} from '../../src/numeric/schedule.js';
import {approxKl, clipFraction, clippedSurrogate, importanceRatio, klEstimate} from '../../src/numeric/surrogate.js';
import {replay} from '../../src/numeric/transition.js';
import {normals} from '../../src/tensor/random.js';
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
} from '../support/golden.js';
import {inputsOf} from '../support/flowPeers.js';

interface ClipParams {
  clip_range: number;
  adv_clip_max: number;
}

/** Two float32 steps of a number near 1: what a ratio, and so a term of the loss, may differ by. */
const ulp = 2.4e-7;

/** Advantages of a case, limited as the peer limits them. */
const advantagesOf = (c: Case<ClipParams>, name = 'advantages'): tf.Tensor =>
  tf.tensor1d([...clampAdvantages(Float64Array.from(numbers(c.inputs[name])), c.params.adv_clip_max ?? 5)]);

/** Asserts what is logged beside the loss. */
function expectDiagnostics(c: Case<ClipParams>, logProb: tf.Tensor, oldLogProb: tf.Tensor): void {
  const logs = {logProb, oldLogProb};
  if ('ratio' in c.outputs) expectOutput(c, 'ratio', importanceRatio(logs));
  if ('approx_kl' in c.outputs) expectOutput(c, 'approx_kl', approxKl(logs));
  if ('clipfrac' in c.outputs) expectOutput(c, 'clipfrac', clipFraction(logs, tf.scalar(c.params.clip_range)));
}

describe('clippedSurrogate', () => {
  for (const c of cases<ClipParams>('losses.json', 'clipped-on-logprobs', 'clipped-tie')) {
    it(`matches ${c.name}, gradient included`, () => {
      const [logProb, oldLogProb] = [tensor(c.inputs.log_prob), tensor(c.inputs.old_log_prob)];
      const loss = (l: tf.Tensor): tf.Scalar =>
        tf.mean(clippedSurrogate({logProb: l, oldLogProb}, advantagesOf(c), tf.scalar(c.params.clip_range)));
      expectOutput(c, 'loss', loss(logProb));
      expectOutput(c, 'grad_loss_wrt_log_prob', tf.grad(loss)(logProb));
      expectDiagnostics(c, logProb, oldLogProb);
    });
  }

  for (const c of cases<ClipParams & {eta: number; num_inference_steps: number}>('losses.json', 'ddpo-clipped')) {
    it(`matches ${c.name} from the network's output to the loss, gradient included`, () => {
      const alphas = alphaBars({kind: 'scaledLinear', betaStart: 0.00085, betaEnd: 0.012});
      const list = timesteps('leading', c.params.num_inference_steps, {offset: 1});
      const levels = numbers(c.inputs.timestep).map((t) => {
        const next = alphas[list[list.indexOf(t) + 1] ?? 0];
        return {alpha: alphas[t], row: ddimTransition(alphas[t], next, c.params.eta)};
      });
      const latent = tensor(c.inputs.sample);
      const point = {
        latent,
        alpha: column(levels, (l) => Math.sqrt(l.alpha)),
        sigma: column(levels, (l) => Math.sqrt(1 - l.alpha)),
      };
      const coefficients = {
        a: column(levels, (l) => l.row.a),
        b: column(levels, (l) => l.row.b),
        std: column(levels, (l) => l.row.std),
      };
      const next = tensor(c.inputs.prev_sample);
      const score = (output: tf.Tensor): tf.Tensor =>
        replay({latent, x0: toClean('noise', output, point), ...coefficients, next}).logProb;
      const oldLogProb = tensor(c.inputs.old_log_prob);
      const loss = (output: tf.Tensor): tf.Scalar =>
        tf.mean(clippedSurrogate({logProb: score(output), oldLogProb}, advantagesOf(c), tf.scalar(c.params.clip_range)));
      const output = tensor(c.inputs.model_output);
      // The peer's schedule is float32, and log-probabilities of late steps feel it: 1e-5 here is 1 % of the clip range.
      expectClose(score(output), numbers(c.outputs.log_prob), 1e-5);
      expectClose(importanceRatio({logProb: score(output), oldLogProb}), numbers(c.outputs.ratio), 1e-5);
      expectClose(loss(output), numbers(c.outputs.loss), 3e-5);
      expectClose(tf.grad(loss)(output), numbers(c.outputs.grad_loss_wrt_model_output), 1e-5, 1e-4);
      expectClose(approxKl({logProb: score(output), oldLogProb}), numbers(c.outputs.approx_kl), 1e-8, 1e-2);
      expectOutput(c, 'clipfrac', clipFraction({logProb: score(output), oldLogProb}, tf.scalar(c.params.clip_range)));
    });
  }

  interface GrpoParams extends ClipParams {
    sigmas: GoldenTensor;
    step_index: number[];
    noise_level: number;
    beta: number;
  }
  for (const c of cases<GrpoParams>('losses.json', 'flow_grpo-sd3', 'flow_grpo-wan')) {
    const isWan = c.name.includes('wan');
    it(`matches ${c.name} with its divergence from the reference, gradient included`, () => {
      const sigmas = numbers(c.params.sigmas);
      const table = isWan
        ? wanSde(sigmas, {lastStep: 'sde'})
        : flowSde(sigmas, {noiseLevel: c.params.noise_level, lastStep: 'sde'});
      const rows = c.params.step_index.map((i) => table[i]);
      const latent = tensor(c.inputs.sample);
      const next = tensor(c.inputs.prev_sample);
      const at = (output: tf.Tensor) => replay({...inputsOf(latent, output, rows), next});
      const reference = at(tensor(c.inputs.model_output_ref)).mean;
      // The SD3 script divides the divergence by s² where std² = s²·(σ − σ') would be exact.
      const divisor = (r: Transition): number => (isWan ? r.std : r.std / Math.sqrt(r.time - r.nextTime));
      const oldLogProb = tensor(c.inputs.old_log_prob);
      const parts = (output: tf.Tensor) => {
        const {logProb, mean} = at(output);
        const policy = tf.mean(clippedSurrogate({logProb, oldLogProb}, advantagesOf(c), tf.scalar(c.params.clip_range)));
        const kl = tf.mean(klDivergence(mean, reference, column(rows, divisor)));
        return {policy, kl, loss: tf.add(policy, tf.mul(kl, c.params.beta))};
      };
      const output = tensor(c.inputs.model_output);
      const {policy, kl, loss} = parts(output);
      expectOutput(c, 'log_prob', at(output).logProb);
      expectOutput(c, 'policy_loss', policy, ulp);
      if ('kl_loss' in c.outputs) expectOutput(c, 'kl_loss', kl);
      expectOutput(c, 'loss', loss, ulp);
      expectOutput(c, 'grad_loss_wrt_model_output', tf.grad((v) => parts(v).loss)(output));
      expectDiagnostics(c, at(output).logProb, oldLogProb);
    });
  }

  interface DanceParams extends ClipParams {
    sigmas: GoldenTensor;
    step_index: number;
    eta: number;
    vq_coef: number;
    mq_coef: number;
    gradient_accumulation_steps: number;
    train_timesteps: number;
  }
  for (const c of cases<DanceParams>('losses.json', 'dance-two-losses')) {
    it(`matches ${c.name}, gradient included`, () => {
      const p = c.params;
      const latent = tensor(c.inputs.sample);
      const row = danceSde(numbers(p.sigmas), {noiseLevel: p.eta, lastStep: 'sde'})[p.step_index];
      const rows = Array.from({length: latent.shape[0]}, () => row);
      const score = (output: tf.Tensor): tf.Tensor =>
        replay({...inputsOf(latent, output, rows), next: tensor(c.inputs.prev_sample)}).logProb;
      const oldLogProb = score(tensor(c.inputs.model_output_old));
      const part = (output: tf.Tensor, name: string): tf.Tensor => {
        const rowsOfLoss = clippedSurrogate({logProb: score(output), oldLogProb}, advantagesOf(c, name), tf.scalar(p.clip_range));
        return tf.div(tf.mean(rowsOfLoss), p.gradient_accumulation_steps * p.train_timesteps);
      };
      const loss = (output: tf.Tensor): tf.Scalar =>
        tf.add(tf.mul(part(output, 'vq_advantages'), p.vq_coef), tf.mul(part(output, 'mq_advantages'), p.mq_coef));
      const output = tensor(c.inputs.model_output);
      const slack = ulp / (p.gradient_accumulation_steps * p.train_timesteps);
      expectOutput(c, 'vq_loss', part(output, 'vq_advantages'), slack);
      expectOutput(c, 'mq_loss', part(output, 'mq_advantages'), slack);
      expectOutput(c, 'loss', loss(output), slack);
      expectOutput(c, 'grad_loss_wrt_model_output', tf.grad(loss)(output));
    });
  }

  interface GenrlParams extends GrpoParams {
    sde_type: string;
    loss_reweighting: string | null;
    diffusion_clip: number | null;
  }
  for (const c of cases<GenrlParams>('losses.json', 'genrl')) {
    it(`matches ${c.name}, its weights of steps and its divergence, gradient included`, () => {
      const p = c.params;
      const isCps = p.sde_type === 'flow_cps';
      const [sigmas, noiseLevel] = [numbers(p.sigmas), p.noise_level];
      const table = isCps
        ? cps(sigmas, {noiseLevel})
        : flowSde(sigmas, {noiseLevel, lastStep: 'sde', ...(p.diffusion_clip !== null && {maxStd: p.diffusion_clip})});
      const rows = p.step_index.map((i) => table[i]);
      const latent = tensor(c.inputs.sample);
      const next = tensor(c.inputs.prev_sample);
      const at = (output: tf.Tensor) => replay({...inputsOf(latent, output, rows), next}, isCps ? 'cps' : 'gaussian');
      const reference = at(tensor(c.inputs.model_output_ref)).mean;
      // LongCat weighs a batch by the mean of √(σ/(1 − σ)) over the mean of √Δt, with σ_1 in place of a σ of 1.
      const average = (of: (r: Transition) => number): number => rows.reduce((sum, r) => sum + of(r), 0) / rows.length;
      const weight =
        p.loss_reweighting === 'longcat'
          ? average((r) => Math.sqrt(r.time / (1 - (r.time === 1 ? sigmas[1] : r.time))) / Math.sqrt(r.time - r.nextTime))
          : 1;
      expectOutput(c, 'reweight_scale', [weight]);
      // Under CPS its divergence is the plain mean square.
      const divisor = (r: Transition): number => (isCps ? Math.SQRT1_2 : r.std);
      const oldLogProb = tensor(c.inputs.old_log_prob);
      const parts = (output: tf.Tensor) => {
        const {logProb, mean} = at(output);
        const policy = tf.mean(clippedSurrogate({logProb, oldLogProb}, tensor(c.inputs.advantages), tf.scalar(p.clip_range)));
        const kl = tf.mean(klDivergence(mean, reference, column(rows, divisor)));
        return {kl, loss: tf.add(tf.mul(policy, weight), tf.mul(kl, p.beta * weight ** 2))};
      };
      const output = tensor(c.inputs.model_output);
      expectOutput(c, 'kl_loss', parts(output).kl);
      expectOutput(c, 'loss', parts(output).loss, ulp * 20);
      expectOutput(c, 'grad_loss_wrt_model_output', tf.grad((v) => parts(v).loss)(output), 2e-7);
    });
  }

  it('gives the published numbers, row by row', () => {
    // reference/algorithms.md §2.14.
    const oldLogProb = tf.zeros([5]);
    const logs = {logProb: tf.tensor1d([5e-5, 3e-4, -3e-4, 3e-4, 0]), oldLogProb};
    const loss = clippedSurrogate(logs, tf.tensor1d([2, 2, -2, -2, 5]), tf.scalar(1e-4));
    expectClose(loss, [-2.0001, -2.0002, 1.9998, 2.0006, -5], 1e-6);
    expectClose(tf.mean(loss), [-0.99998015], 2e-7);
    expectClose(approxKl(logs), [2.725e-8], 1e-11);
    expectClose(clipFraction(logs, tf.scalar(1e-4)), [0.6], 1e-7);
  });

  it('has gradient 0 where the ratio has left the range on the profitable side, and −A·ρ elsewhere', () => {
    const advantage = [1, 1, 1, -1, -1, -1];
    const logRatio = [0.3, -0.3, 0.1, 0.3, -0.3, 0.1];
    const gradient = tf.grad((l) =>
      tf.sum(clippedSurrogate({logProb: l, oldLogProb: tf.zeros([6])}, tf.tensor1d(advantage), tf.scalar(0.2))),
    )(tf.tensor1d(logRatio));
    expectClose(gradient, [0, -Math.exp(-0.3), -Math.exp(0.1), Math.exp(0.3), 0, Math.exp(0.1)], 1e-6);
  });
});

describe('klDivergence of peers', () => {
  for (const c of cases('losses.json', 'verl-kl')) {
    it(`matches ${c.name}, gradient included`, () => {
      const [mean, reference] = [tensor(c.inputs.mean), tensor(c.inputs.mean_ref)];
      const std = tf.reshape(tensor(c.inputs.std_dev_t), [-1]);
      const kl = (m: tf.Tensor): tf.Scalar => tf.mean(klDivergence(m, reference, std));
      expectOutput(c, 'kl', kl(mean));
      expectOutput(c, 'grad_kl_wrt_mean', tf.grad(kl)(mean));
    });
  }
});

describe('klEstimate', () => {
  it('estimates the divergence of two normals from samples of the first', () => {
    // KL(N(0,1) ‖ N(.1,1)) = .005.
    const n = 100_000;
    const x = tf.tensor1d(normals({seed: 9, purpose: 'kl'}, new Float32Array(n)));
    const logs = {logProb: tf.mul(tf.square(tf.sub(x, 0.1)), -0.5), oldLogProb: tf.mul(tf.square(x), -0.5)};
    const mean = (kind: 'k1' | 'k2' | 'k3'): number => tf.mean(klEstimate(kind, logs)).dataSync()[0];
    // Standard errors: k1 has deviation .1 a sample, k2 and k3 about .007.
    expect(mean('k1')).to.be.closeTo(0.005, (4 * 0.1) / Math.sqrt(n));
    expect(mean('k2')).to.be.closeTo(0.005, 2e-4);
    expect(mean('k3')).to.be.closeTo(0.005, 2e-4);
    expect(Math.min(...values(klEstimate('k3', logs)).slice(0, 1000))).to.be.at.least(0);
  });

  it('keeps its digits for the tiny log-ratios of diffusion policies', () => {
    const logs = {logProb: tf.tensor1d([1e-4, -1e-4, 0]), oldLogProb: tf.zeros([3])};
    const exact = [1e-4, -1e-4, 0].map((l) => Math.expm1(Math.fround(l)) - Math.fround(l));
    expectClose(klEstimate('k3', logs), exact, 5e-12);
    expectClose(klEstimate('k2', logs), [5e-9, 5e-9, 0], 1e-14);
    expectClose(klEstimate('k1', logs), [-1e-4, 1e-4, 0], 1e-11);
  });
});
