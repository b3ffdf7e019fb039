import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import {addNoise} from '../../src/numeric/forwardProcess.js';
import {implicitMargin, preferenceLoss, velocityError, type PairErrors} from '../../src/numeric/directPreference.js';
import {toClean} from '../../src/numeric/prediction.js';
import {meanOfRows} from '../../src/numeric/rows.js';
import {normals} from '../../src/tensor/random.js';
import {expectClose, values} from '../support/golden.js';

const [PAIRS, SIZE] = [3, 10];
const shape = [PAIRS, 2, 5];
const noiseOf = (purpose: string): tf.Tensor => tf.tensor(normals({seed: 3, purpose}, new Float32Array(PAIRS * SIZE)), shape);
const [winner, loser, atWinner, atLoser, refWinner, refLoser] = [
  'winner',
  'loser',
  'atWinner',
  'atLoser',
  'refWinner',
  'refLoser',
].map(noiseOf);
const time = tf.tensor1d([0.9, 0.4, 0.65]);
const beta = 0.7;

const errorsOf = (w: tf.Tensor, l: tf.Tensor): PairErrors => ({
  winner: velocityError(w, winner, time),
  loser: velocityError(l, loser, time),
});
const lossOf = (w: tf.Tensor, l: tf.Tensor): tf.Scalar =>
  tf.sum(preferenceLoss(implicitMargin(errorsOf(w, l), errorsOf(refWinner, refLoser), beta)));

/** The loss in float64, as the paper has it: of velocities, row by row. */
function slowLoss(w: readonly number[], l: readonly number[]): number {
  const [xw, xl, rw, rl, t] = [winner, loser, refWinner, refLoser, time].map(values);
  const error = (x0: readonly number[], predicted: readonly number[], row: number): number => {
    let sum = 0;
    for (let i = row * SIZE; i < (row + 1) * SIZE; i++) {
      // The noise is any: it drops out of v − v_θ.
      const xt = (1 - t[row]) * x0[i] + t[row] * 0.3;
      sum += ((xt - predicted[i]) / t[row] - (xt - x0[i]) / t[row]) ** 2;
    }
    return sum / SIZE;
  };
  let total = 0;
  for (let row = 0; row < PAIRS; row++) {
    const better = error(xw, w, row) - error(xw, rw, row);
    const worse = error(xl, l, row) - error(xl, rl, row);
    total -= Math.log(1 / (1 + Math.exp((beta / 2) * (better - worse))));
  }
  return total;
}

describe('directPreference', () => {
  it('velocityError is the error of the velocity', () => {
    const noise = noiseOf('noise');
    const latent = addNoise(winner, noise, time);
    const velocity = noiseOf('velocity');
    const predicted = toClean('flow', velocity, {latent, alpha: tf.sub(1, time), sigma: time});
    const wanted = meanOfRows(tf.squaredDifference(velocity, tf.sub(noise, winner)));
    expectClose(velocityError(predicted, winner, time), values(wanted), 1e-5, 1e-5);
  });

  it('the loss is the formula in float64, with the gradient of finite differences', () => {
    const [w, l] = [atWinner, atLoser].map(values);
    expectClose(lossOf(atWinner, atLoser), [slowLoss(w, l)], 1e-5, 1e-5);
    const h = 1e-5;
    const moved = (x: readonly number[], i: number, d: number): number[] => x.map((y, j) => (j === i ? y + d : y));
    const [gw, gl] = tf.grads(lossOf)([atWinner, atLoser]);
    expectClose(
      gw,
      w.map((_, i) => (slowLoss(moved(w, i, h), l) - slowLoss(moved(w, i, -h), l)) / (2 * h)),
      1e-6,
      1e-4,
    );
    expectClose(
      gl,
      l.map((_, i) => (slowLoss(w, moved(l, i, h)) - slowLoss(w, moved(l, i, -h))) / (2 * h)),
      1e-6,
      1e-4,
    );
  });

  it('starts at log 2, with margin 0 and a gradient towards the winner and away from the loser', () => {
    const margin = implicitMargin(errorsOf(refWinner, refLoser), errorsOf(refWinner, refLoser), beta);
    expect(values(margin).every((m) => m === 0)).to.equal(true);
    expectClose(preferenceLoss(margin), [Math.LN2, Math.LN2, Math.LN2], 1e-7);
    // dL/dx̂0 = β/2·½·2(x̂0 − x0)/(t²·size) at the winner, the opposite at the loser.
    const [gw, gl] = tf.grads(lossOf)([tf.clone(refWinner), tf.clone(refLoser)]);
    const scale = tf.reshape(tf.div(beta / (2 * SIZE), tf.square(time)), [PAIRS, 1, 1]);
    expectClose(gw, values(tf.mul(scale, tf.sub(refWinner, winner))), 1e-6, 1e-5);
    expectClose(gl, values(tf.mul(scale, tf.sub(loser, refLoser))), 1e-6, 1e-5);
  });

  it('β may differ from row to row, and turning a pair round turns its margin round', () => {
    const [trained, reference] = [errorsOf(atWinner, atLoser), errorsOf(refWinner, refLoser)];
    const [one, two] = [
      values(implicitMargin(trained, reference, tf.tensor1d([1, 2, 3]))),
      values(implicitMargin(trained, reference, 1)),
    ];
    expectClose(
      one,
      two.map((m, i) => m * (i + 1)),
      1e-5,
      1e-6,
    );
    const turned = ({winner: w, loser: l}: PairErrors): PairErrors => ({winner: l, loser: w});
    expectClose(
      implicitMargin(turned(trained), turned(reference), 1),
      two.map((m) => -m),
      1e-6,
    );
  });
});
