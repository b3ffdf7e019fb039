import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import {actingMean, driftDivergence, guardedLogRatio, maskedSurrogate} from '../../src/numeric/drift.js';
import {klDivergence, logProbability} from '../../src/numeric/gaussian.js';
import {flowSde} from '../../src/numeric/samplers/flowSde.js';
import {clipFraction, clippedSurrogate, importanceRatio} from '../../src/numeric/surrogate.js';
import {clampAdvantages} from '../../src/numeric/advantages.js';
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

const limited = (c: Case<{adv_clip_max?: number}>): tf.Tensor =>
  tf.tensor1d([...clampAdvantages(Float64Array.from(numbers(c.inputs.advantages)), c.params.adv_clip_max ?? Infinity)]);
const fill = (n: number, value: number): tf.Tensor => tf.fill([n], value);
const draw = (purpose: string, shape: number[]): tf.Tensor =>
  tf.tensor(normals({seed: 8, purpose}, new Float32Array(shape.reduce((a, b) => a * b))), shape);

describe('guardedLogRatio', () => {
  interface GuardParams {
    sigmas: GoldenTensor;
    step_index: number[];
    noise_level: number;
    clip_range: number;
    adv_clip_max: number;
  }
  for (const c of cases<GuardParams>('losses.json', 'flow_grpo-guard')) {
    const {sigmas, step_index: steps, noise_level: noiseLevel} = c.params;
    const table = flowSde(numbers(sigmas), {noiseLevel, lastStep: 'sde'});
    const rows = steps.map((i) => table[i]);
    const std = column(rows, (r) => r.std);
    const latent = tensor(c.inputs.sample);
    const [next, oldMean] = [tensor(c.inputs.prev_sample), tensor(c.inputs.old_mean)];
    const meanOf = (output: tf.Tensor): tf.Tensor => replay({...inputsOf(latent, output, rows), next}).mean;
    const ours = (output: tf.Tensor): tf.Tensor => guardedLogRatio({next, mean: meanOf(output), oldMean, std});
    const output = tensor(c.inputs.model_output);

    if (steps.length === 1) {
      it(`matches ${c.name} with its loss per length of the step, gradient included`, () => {
        const logs = (v: tf.Tensor) => ({logProb: ours(v), oldLogProb: tf.zeros([1])});
        const loss = (v: tf.Tensor): tf.Scalar =>
          tf.div(tf.mean(clippedSurrogate(logs(v), limited(c), tf.scalar(c.params.clip_range))), rows[0].time - rows[0].nextTime);
        // Ratios are exp of numbers near 1e-3, in float32.
        expectOutput(c, 'ratio', importanceRatio(logs(output)), 1e-6);
        expectOutput(c, 'policy_loss', loss(output), 1e-6);
        expectOutput(c, 'grad_loss_wrt_model_output', tf.grad(loss)(output), 1e-7);
      });
      continue;
    }

    it(`is ${c.name} but for its averages over the batch: each step's own drift and std taken out, the batch's put in`, () => {
      const spread = rows.map((r) => r.std);
      const scales = rows.map((r) => r.std / Math.sqrt(r.time - r.nextTime));
      const lengths = rows.map((r) => Math.sqrt(r.time - r.nextTime));
      const mean = (list: number[]): number => list.reduce((a, b) => a + b) / list.length;
      const common = mean(scales) * mean(lengths);
      // mean (μ − μ_old)² of each sample.
      const squares = values(driftDivergence({next, mean: meanOf(output), oldMean, std})).map((d, i) => d * 2 * spread[i] ** 2);
      const bias = mean(squares) / (2 * common ** 2);
      expectOutput(c, 'ratio_mean_bias', [bias], 1e-8);
      const ratios = values(ours(output)).map((l, i) => {
        const logRatio = l / spread[i] - squares[i] / (2 * spread[i] ** 2);
        return Math.exp((logRatio + bias) * common);
      });
      expectOutput(c, 'ratio', ratios, 1e-6);
    });
  }

  interface VerlParams {
    std_dev_t: number;
    sqrt_dt: number;
    clip_ratio: number;
    adv_clip_max: number;
  }
  for (const c of cases<VerlParams>('losses.json', 'verl-guard')) {
    it(`matches ${c.name}, gradient included`, () => {
      const {std_dev_t: s, sqrt_dt: root, clip_ratio: clip} = c.params;
      const [next, oldMean] = [tensor(c.inputs.prev_sample), tensor(c.inputs.mean_old)];
      const n = next.shape[0];
      const logs = (mean: tf.Tensor) => ({
        logProb: guardedLogRatio({next, mean, oldMean, std: fill(n, s * root)}),
        oldLogProb: tf.zeros([n]),
      });
      const loss = (mean: tf.Tensor): tf.Scalar =>
        tf.div(tf.mean(clippedSurrogate(logs(mean), limited(c), tf.scalar(clip))), root ** 2);
      const mean = tensor(c.inputs.mean);
      expectOutput(c, 'loss', loss(mean));
      expectOutput(c, 'grad_loss_wrt_mean', tf.grad(loss)(mean), 2e-6);
      expectOutput(c, 'clipfrac', clipFraction(logs(mean), tf.scalar(clip)));
    });
  }

  it('is (logp − logp_old + divergence)·std, and 0 without gradient for a deterministic row', () => {
    const shape = [3, 4, 2];
    const [next, mean, oldMean] = ['next', 'mean', 'old'].map((purpose) => draw(purpose, shape));
    const std = tf.tensor1d([0.4, 0.1, 0]);
    const wanted = tf.mul(
      tf.add(tf.sub(logProbability(next, mean, std), logProbability(next, oldMean, std)), klDivergence(mean, oldMean, std)),
      std,
    );
    expectClose(guardedLogRatio({next, mean, oldMean, std}), values(wanted), 2e-5, 2e-5);
    const gradient = values(tf.grad((m) => tf.sum(guardedLogRatio({next, mean: m, oldMean, std})))(mean));
    expectClose(gradient.slice(16), Array<number>(8).fill(0), 0);
    expect(gradient.slice(0, 16).every((g) => g !== 0 && Number.isFinite(g))).to.equal(true);
  });

  it('has mean 0 over the noise however far the mean has drifted, where the plain log-ratio falls', () => {
    const n = 20_000;
    const noise = draw('noise', [n, 1]);
    const std = fill(n, 0.3);
    const [oldMean, mean] = [tf.zeros([n, 1]), tf.fill([n, 1], 0.3)];
    const next = tf.mul(noise, 0.3);
    const average = (x: tf.Tensor): number => tf.mean(x).dataSync()[0];
    // Both have the deviation of z times the drift: .3, and 1 before the multiplication by std.
    expect(average(guardedLogRatio({next, mean, oldMean, std}))).to.be.closeTo(0, (4 * 0.3) / Math.sqrt(n));
    const plain = tf.sub(logProbability(next, mean, std), logProbability(next, oldMean, std));
    expect(average(plain)).to.be.closeTo(-0.5, 4 / Math.sqrt(n));
  });
});

describe('maskedSurrogate', () => {
  interface DppoParams {
    kl_mask_threshold: number;
    sigma_t?: number;
    add_kl_coefficient?: boolean;
  }
  for (const c of cases<DppoParams>('losses.json', 'verl-dppo', 'unirl-dppo')) {
    it(`matches ${c.name}, gradient included`, () => {
      const [next, oldMean] = [tensor(c.inputs.prev_sample), tensor(c.inputs.mean_old)];
      const n = next.shape[0];
      const std = fill(n, c.params.sigma_t ?? numbers(c.inputs.std_dev_t)[0] * numbers(c.inputs.sqrt_dt)[0]);
      const advantage = tensor(c.inputs.advantages);
      const parts = (mean: tf.Tensor) => {
        const divergence = driftDivergence({next, mean, oldMean, std});
        const logs = {logProb: logProbability(next, mean, std), oldLogProb: tensor(c.inputs.old_log_prob)};
        // Without its coefficient verl-omni compares half the mean square.
        const drift = c.params.add_kl_coefficient === false ? tf.mul(divergence, tf.square(std)) : divergence;
        return {divergence: drift, ...maskedSurrogate(logs, advantage, drift, tf.scalar(c.params.kl_mask_threshold))};
      };
      const mean = tensor(c.inputs.mean);
      const {loss, kept, divergence} = parts(mean);
      // A loss of some units is reckoned from float32 log-probabilities.
      expectOutput(c, 'loss', tf.mean(loss), 2e-6);
      expectOutput(c, 'grad_loss_wrt_mean', tf.grad((m) => tf.mean(parts(m).loss))(mean), 1e-6);
      if ('loss_per_element' in c.outputs) expectOutput(c, 'loss_per_element', loss);
      if ('masked' in c.outputs) expectOutput(c, 'masked', tf.sub(1, kept));
      if ('masked_fraction' in c.outputs) expectOutput(c, 'masked_fraction', tf.sub(1, tf.mean(kept)));
      if ('kl_mean' in c.outputs) expectOutput(c, 'kl_mean', tf.mean(divergence));
      if ('kl_max' in c.outputs) expectOutput(c, 'kl_max', tf.max(divergence));
    });
  }

  it('masks each of several losses by its own advantage', () => {
    const logs = {logProb: tf.tensor1d([0.1, 0.1, -0.1]), oldLogProb: tf.zeros([3])};
    const advantage = tf.tensor2d([
      [1, -1],
      [1, -1],
      [2, -2],
    ]);
    const {loss, kept} = maskedSurrogate(logs, advantage, tf.tensor1d([1, 0.1, 1]), tf.scalar(0.5));
    expectClose(kept, [0, 1, 1, 1, 1, 0], 0);
    const [up, down] = [Math.exp(0.1), Math.exp(-0.1)];
    expectClose(loss, [0, up, -up, up, -2 * down, 0], 1e-6);
  });
});

describe('actingMean', () => {
  it('takes the noise out of a step again', () => {
    const [mean, noise] = ['mean', 'noise'].map((purpose) => draw(purpose, [2, 5]));
    const std = tf.tensor1d([0.5, 0.01]);
    const next = tf.add(mean, tf.mul(tf.reshape(std, [2, 1]), noise));
    expectClose(actingMean(next, noise, std), values(mean), 3e-7);
  });
});
