import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import {detach} from '../../src/numeric/detach.js';
import {addNoise} from '../../src/numeric/forwardProcess.js';
import {negativeAwareLoss, oldPolicyDecay, optimality, type Feedback, type OldPolicy} from '../../src/numeric/negativeAware.js';
import {toClean} from '../../src/numeric/prediction.js';
import {meanOfRows} from '../../src/numeric/rows.js';
import {normals, uniforms} from '../../src/tensor/random.js';
import {cases, expectClose, expectOutput, numbers, tensor, values, type Case} from '../support/golden.js';

interface NftParams {
  beta?: number;
  mix_beta?: number;
  kl_beta?: number;
  ref_kl_coef?: number;
  adv_clip_max: number;
}

/** The whole loss of a case as a function of the velocity, in clean latents as the algorithm has it. */
function lossOf(c: Case<NftParams>): {loss: (v: tf.Tensor) => tf.Scalar; parts: (beta: number, r: tf.Tensor) => tf.Tensor} {
  const {beta, mix_beta, kl_beta, ref_kl_coef, adv_clip_max} = c.params;
  const [clean, time] = [tensor(c.inputs.x0), tensor(c.inputs.t)];
  const latent = 'noise' in c.inputs ? addNoise(clean, tensor(c.inputs.noise), time) : tensor(c.inputs.xt);
  const cleanOf = (v: tf.Tensor): tf.Tensor => toClean('flow', v, {latent, alpha: tf.sub(1, time), sigma: time});
  const old = cleanOf(tensor(c.inputs.v_old));
  const r =
    'reward_prob' in c.inputs
      ? tensor(c.inputs.reward_prob)
      : tf.tensor1d([...optimality(numbers(c.inputs.advantages), adv_clip_max)]);
  const mixed = (beta ?? mix_beta)!;
  const rows = (v: tf.Tensor, b: number, p: tf.Tensor): tf.Tensor =>
    negativeAwareLoss({predicted: cleanOf(v), old, clean, optimality: p}, b);
  return {
    loss: (v) => {
      const drift = meanOfRows(tf.squaredDifference(cleanOf(v), cleanOf(tensor(c.inputs.v_ref))));
      const kl = tf.mean(tf.div(drift, tf.square(time)));
      const policy = tf.mul(tf.mean(rows(v, mixed, r)), adv_clip_max);
      return tf.add<tf.Scalar>(policy, tf.mul(kl, (kl_beta ?? ref_kl_coef)!));
    },
    parts: (b, p) => rows(tensor(c.inputs.v), b, p),
  };
}

describe('negativeAwareLoss', () => {
  for (const c of cases<NftParams>('losses.json', 'nft', 'verl-nft')) {
    it(`matches ${c.name}, gradient included`, () => {
      const {loss, parts} = lossOf(c);
      const v = tensor(c.inputs.v);
      expectOutput(c, 'loss', loss(v));
      expectOutput(c, 'grad_loss_wrt_v', tf.grad(loss)(v));
      if (!('positive_loss' in c.outputs)) return;
      const beta = c.params.beta!;
      for (const [r, output] of [
        [1, 'positive_loss'],
        [0, 'negative_loss'],
      ] as const) {
        const rows = values(parts(beta, tf.fill([v.shape[0]], r)));
        expectOutput(
          c,
          output,
          rows.map((x) => x * beta),
        );
      }
      const {x0, noise, t, advantages} = c.inputs;
      expectOutput(c, 'x_t', addNoise(tensor(x0), tensor(noise), tensor(t)));
      expectOutput(c, 'r', [...optimality(numbers(advantages), c.params.adv_clip_max)]);
    });
  }

  const shape = [3, 2, 5];
  const noiseOf = (purpose: string): tf.Tensor => tf.tensor(normals({seed: 3, purpose}, new Float32Array(30)), shape);
  const [clean, old, moved] = ['clean', 'old', 'moved'].map(noiseOf);
  const r = tf.tensor1d([0.2, 0.9, 0.5]);

  it('is the formula, element by element in float64', () => {
    const beta = 0.3;
    const [x0, base, theta] = [clean, old, moved].map(values);
    const wanted = [0, 1, 2].map((row) => {
      const at = Array.from({length: 10}, (_, i) => row * 10 + i);
      const ell = (mix: (i: number) => number): number => {
        const errors = at.map((i) => mix(i) - x0[i]);
        const weight = errors.reduce((sum, e) => sum + Math.abs(e), 0) / 10;
        return errors.reduce((sum, e) => sum + e * e, 0) / 10 / weight;
      };
      const good = ell((i) => (1 - beta) * base[i] + beta * theta[i]);
      const bad = ell((i) => (1 + beta) * base[i] - beta * theta[i]);
      const p = values(r)[row];
      return (p * good + (1 - p) * bad) / beta;
    });
    expectClose(negativeAwareLoss({predicted: moved, old, clean, optimality: r}, beta), wanted, 2e-6, 2e-6);
  });

  it('has the gradient of finite differences with its weights held', () => {
    // r·mean e⁺²/w⁺ + (1 − r)·mean e⁻²/w⁻ in float64, w taken where the gradient is asked for.
    const beta = 0.7;
    const [x0, base, theta, p] = [clean, old, moved, r].map(values);
    const errors = (x: readonly number[], i: number): [number, number] => [
      (1 - beta) * base[i] + beta * x[i] - x0[i],
      (1 + beta) * base[i] - beta * x[i] - x0[i],
    ];
    const weights = [0, 1, 2].map((row) =>
      [0, 1].map(
        (side) => Array.from({length: 10}, (_, j) => Math.abs(errors(theta, row * 10 + j)[side])).reduce((a, b) => a + b) / 10,
      ),
    );
    const total = (x: readonly number[]): number =>
      x.reduce((sum, _, i) => {
        const row = Math.floor(i / 10);
        const [good, bad] = errors(x, i).map((e, side) => (e * e) / 10 / weights[row][side]);
        return sum + (p[row] * good + (1 - p[row]) * bad) / beta;
      }, 0);
    const h = 1e-4;
    const wanted = theta.map((_, i) => {
      const at = (d: number): number => total(theta.map((x, j) => (j === i ? x + d : x)));
      return (at(h) - at(-h)) / (2 * h);
    });
    const gradient = tf.grad((x: tf.Tensor) => tf.sum(negativeAwareLoss({predicted: x, old, clean, optimality: r}, beta)))(moved);
    expectClose(gradient, wanted, 1e-6, 1e-5);
  });

  it('pulls by 2r − 1, whatever β, where both policies predict the same', () => {
    const gradientAt = (beta: number): number[] => {
      const loss = (x: tf.Tensor): tf.Scalar =>
        tf.sum(negativeAwareLoss({predicted: x, old: detach(x), clean, optimality: r}, beta));
      return values(tf.grad(loss)(moved));
    };
    const one = gradientAt(1);
    expectClose(gradientAt(0.1), one, 1e-6, 1e-5);
    // Row 2 has r = ½.
    expectClose(one.slice(20), new Float32Array(10), 1e-7);
    const [x0, theta, p] = [clean, moved, r].map(values);
    const w = [0, 1].map((row) => Array.from({length: 10}, (_, j) => Math.abs(theta[row * 10 + j] - x0[row * 10 + j]) / 10));
    const scale = w.map((row) => row.reduce((a, b) => a + b));
    const wanted = one.slice(0, 20).map((_, i) => {
      const row = Math.floor(i / 10);
      return ((2 * p[row] - 1) * 2 * (theta[i] - x0[i])) / 10 / scale[row];
    });
    expectClose(one.slice(0, 20), wanted, 1e-6, 1e-5);
  });

  it('sends no gradient into the old policy', () => {
    const loss = (x: tf.Tensor): tf.Scalar => tf.sum(negativeAwareLoss({predicted: moved, old: x, clean, optimality: r}, 0.5));
    expectClose(tf.grad(loss)(old), new Float32Array(30), 0);
  });
});

describe('optimality', () => {
  const feedbackOf: Record<string, Feedback> = {positive_only: 'positive', one_only: 'ones', binary: 'signs'};
  for (const c of cases<{adv_clip_max: number; adv_mode: string | null}>('advantages.json', 'nft-reward-prob')) {
    it(`matches ${c.name}`, () => {
      const feedback = c.params.adv_mode === null ? 'both' : feedbackOf[c.params.adv_mode];
      expectOutput(c, 'r', optimality(numbers(c.inputs.advantages), c.params.adv_clip_max, feedback));
    });
  }

  it('is ½ for the average sample, mirrored for the opposite one, and 0 and 1 at the limit and beyond', () => {
    expect([...optimality([0, 2, -2, 4, -4, 9, -9], 4)]).to.deep.equal([0.5, 0.75, 0.25, 1, 0, 1, 0]);
    const a = uniforms({seed: 1, purpose: 'advantages'}, new Float32Array(50)).map((u) => 8 * u - 4);
    const mirrored = optimality(
      a.map((x) => -x),
      3,
    );
    expectClose(
      optimality(a, 3).map((x, i) => x + mirrored[i]),
      new Float64Array(50).fill(1),
      1e-12,
    );
  });

  it('leaves out what negative feedback leaves out', () => {
    expect([...optimality([2, -2], 4, 'negative')]).to.deep.equal([0.5, 0.25]);
  });
});

describe('oldPolicyDecay', () => {
  const schedules: OldPolicy[] = ['current', 'lagging', 'slowing'];
  for (const c of cases<{decay_type: number}>('advantages.json', 'nft-decay')) {
    it(`matches ${c.name}`, () => {
      const steps = c.inputs['steps'] as unknown as number[];
      expectOutput(
        c,
        'decay',
        steps.map((n) => oldPolicyDecay(schedules[c.params.decay_type], n)),
      );
    });
  }

  it('never lets a frozen policy move', () => {
    expect([0, 1, 1000].map((n) => oldPolicyDecay('frozen', n))).to.deep.equal([1, 1, 1]);
  });
});
