import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import {consistencyLoss, jumpBetween, pseudoHuber, type Jump, type Jumps} from '../../src/numeric/consistency.js';
import {toClean} from '../../src/numeric/prediction.js';
import {perRow} from '../../src/numeric/rows.js';
import {cases, column, expectClose, expectOutput, numbers, tensor, values} from '../support/golden.js';

describe('pseudoHuber', () => {
  for (const c of cases<{c: number}>('losses.json', 'pseudo-huber')) {
    it(`matches ${c.name}, gradient included`, () => {
      const [prediction, target] = [tensor(c.inputs.pred), tensor(c.inputs.target)];
      const loss = (p: tf.Tensor): tf.Scalar => tf.mean(pseudoHuber(p, target, tf.scalar(c.params.c)));
      expectOutput(c, 'loss', loss(prediction));
      expectOutput(c, 'grad_loss_wrt_pred', tf.grad(loss)(prediction));
    });
  }
});

describe('jumpBetween', () => {
  it('goes all the way at time 0, and stays where it is', () => {
    expect(jumpBetween(0.8, 0)).to.deep.equal({a: 0, b: 1});
    expect(jumpBetween(0.8, 0.8)).to.deep.equal({a: 1, b: 0});
    expect(jumpBetween(0, 0)).to.deep.equal({a: 1, b: 0});
  });

  it('leads in two jumps with one prediction where it leads in one', () => {
    const [x, x0] = [0.7, -0.4];
    const go = ({a, b}: Jump, latent: number): number => a * latent + b * x0;
    expect(go(jumpBetween(0.5, 0.2), go(jumpBetween(0.9, 0.5), x))).to.be.closeTo(go(jumpBetween(0.9, 0.2), x), 1e-12);
  });
});

interface PiscesParams {
  readonly distill_cfg: number;
  readonly shift: number;
  readonly euler_timesteps: number;
  readonly student: string;
}

describe('consistencyLoss', () => {
  const jumps = (list: readonly Jump[]): Jumps => ({a: column(list, ({a}) => a), b: column(list, ({b}) => b)});

  for (const c of cases<PiscesParams>('losses.json', 'pisces-cd')) {
    it(`matches ${c.name} from the networks' outputs to the loss, gradient included`, () => {
      const {shift, euler_timesteps: count, distill_cfg: guidance} = c.params;
      // The peer's table of times, with its end at 1/1000 instead of 0, and the ends of its phases.
      const shifted = (t: number): number => (shift * t) / (1 + (shift - 1) * t);
      const previous = Array.from({length: count}, (_, i) => shifted(i === 0 ? 1 / 1000 : i / count));
      const indices = numbers(c.inputs.index);
      const ends = numbers(c.outputs.phase_end_index);
      const nexts = numbers(c.outputs.sigma_prev);
      expectClose(
        indices.map((i) => previous[i]),
        nexts,
        1e-7,
        0,
        'sigma_prev',
      );
      const times = indices.map((i, row) => ({
        t: numbers(c.outputs.sigma)[row],
        s: nexts[row],
        end: i === ends[row] ? nexts[row] : previous[ends[row]],
      }));
      const time = column(times, ({t}) => t);
      const next = column(times, ({s}) => s);
      const [x0, noise] = [tensor(c.inputs.x0), tensor(c.inputs.noise)];
      const latent = tf.add(tf.mul(x0, perRow(tf.sub(1, time), x0)), tf.mul(noise, perRow(time, x0)));
      expectOutput(c, 'x_t', latent);
      const cleanOf = (velocity: tf.Tensor, x: tf.Tensor, t: tf.Tensor): tf.Tensor =>
        toClean('flow', velocity, {latent: x, alpha: tf.sub(1, t), sigma: t});
      const [shown, blank] = [tensor(c.inputs.teacher_cond), tensor(c.inputs.teacher_uncond)];
      const teacher = tf.add(shown, tf.mul(tf.sub(shown, blank), guidance));
      const slope = Number(/v = ([\d.]+)\*x/.exec(c.params.student)![1]);
      let nearer: tf.Tensor | undefined;
      const loss = (output: tf.Tensor): tf.Scalar =>
        tf.mean(
          consistencyLoss(
            {
              latent,
              x0: cleanOf(output, latent, time),
              end: jumps(times.map(({t, end}) => jumpBetween(t, end))),
              step: jumps(times.map(({t, s}) => jumpBetween(t, s))),
              rest: jumps(times.map(({s, end}) => jumpBetween(s, end))),
            },
            {
              teacher: () => cleanOf(teacher, latent, time),
              target: (x) => cleanOf(tf.add(tf.mul((nearer = x), slope), 0.1), x, next),
            },
            tf.scalar(1e-3),
          ),
        );
      const output = tensor(c.inputs.model_output);
      // The peer reckons in float64; its distances, of the size of 1e-3, are differences of numbers near 1.
      expectOutput(c, 'loss', loss(output), 4e-7);
      expectClose(nearer!, numbers(c.outputs.x_prev), 2e-6, 2e-6, 'x_prev');
      expectOutput(c, 'grad_loss_wrt_model_output', tf.grad(loss)(output), 3e-6);
    });
  }

  it("holds the student to the teacher's own latent where its step arrives", () => {
    const latent = tf.tensor2d([[0.5, -1]]);
    const ends = jumps([jumpBetween(0.3, 0)]);
    const point = {latent, x0: tf.tensor2d([[0.1, 0.2]]), end: ends, step: ends, rest: jumps([jumpBetween(0, 0)])};
    const teacher = tf.tensor2d([[0.3, -0.2]]);
    const networks = {teacher: () => teacher, target: () => tf.fill([1, 2], 7)};
    const found = values(consistencyLoss(point, networks, tf.scalar(1e-6)));
    expect(found[0]).to.be.closeTo((0.2 + 0.4) / 2, 1e-5);
  });
});
