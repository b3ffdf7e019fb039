/** Does direct backpropagation learn? The Gaussian toy says where every variant has to arrive. */
import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import {direct} from '../../algorithms/direct.js';
import {gaussianToyDeviation} from '../../environments/gaussianToy.js';
import {nearTargetLevel} from '../../rewards/nearTarget.js';
import type {Device} from '../../src/engine/device.js';
import {odeTable} from '../../src/numeric/samplers/named.js';
import type {Reward} from '../../src/reward.js';
import {baseMeans, generated, greyReward, openTestDevice, rootOf, trainToyWith} from '../support/toy.js';

const STEPS = 6;
const s = gaussianToyDeviation;

/** A reward of the grey level alone, with its gradient. */
const differentiable = (name: string, of: (x: number) => number, traced: (x: tf.Tensor) => tf.Tensor): Reward => ({
  ...greyReward(name, of),
  differentiable: {params: {}, encode: () => ({}), score: (_, video) => traced(tf.mean(video, [1, 2, 3, 4]))},
});
const quadratic = differentiable(
  'quadratic',
  (x) => -((x - nearTargetLevel) ** 2),
  (x) => tf.neg(tf.square(tf.sub(x, nearTargetLevel))),
);
const linear = differentiable(
  'linear',
  (x) => x,
  (x) => x,
);

/** x̂0 = g·μ + k·x at time t. */
const gainAt = (t: number): {k: number; g: number} => {
  const k = ((1 - t) * s * s) / ((1 - t) ** 2 * s * s + t * t);
  return {k, g: 1 - (1 - t) * k};
};

/** The mean of f(x) for normal x, by quadrature. */
function expectation(mean: number, std: number, f: (x: number) => number): number {
  const n = 2000;
  const points = Array.from({length: n}, (_, i) => -8 + (16 * (i + 0.5)) / n);
  return points.reduce((sum, z) => sum + (f(mean + std * z) * Math.exp((-z * z) / 2) * 16) / n, 0) / Math.sqrt(2 * Math.PI);
}

/**
 * How hard the consistency distillation pulls μ back towards the base's m: the mean over the teacher's steps of
 * ∂x̂0/∂μ·E[d/√(d² + c²)], where d is affine in x_t, which is normal, and μ stands in the target as a constant.
 */
function pullBack(mu: number, m: number, c: number, teacherSteps: number): number {
  const table = odeTable(teacherSteps);
  const {variance} = generated(odeTable(STEPS), mu);
  const pulls = table.map(({time: t, nextTime: next}) => {
    const [here, there] = [gainAt(t), gainAt(next)];
    const keep = next / t;
    // z = keep·x + (1 − keep)·(g·m + k·x), and the target is g'·μ + k'·z, or z itself at the end.
    const [slope, offset] = [keep + (1 - keep) * here.k, (1 - keep) * here.g * m];
    const [rest, own] = next === 0 ? [1, 0] : [there.k, there.g * mu];
    const [a, b] = [here.k - rest * slope, here.g * mu - own - rest * offset];
    const mean = (1 - t) * mu;
    const std = Math.sqrt((1 - t) ** 2 * variance + t * t);
    return here.g * expectation(mean, std, (x) => (a * x + b) / Math.hypot(a * x + b, c));
  });
  return pulls.reduce((x, y) => x + y, 0) / table.length;
}

/** ∂x/∂μ of what the last K sampling steps make, with gradient through all of them. */
function slopeOfLast(count: number): number {
  return odeTable(STEPS)
    .slice(-count)
    .reduce((slope, {time, a, b}) => {
      const {k, g} = gainAt(time);
      return (a + b * k) * slope + b * g;
    }, 0);
}
const meanOver = <T>(list: readonly T[], of: (x: T) => number): number => list.reduce((sum, x) => sum + of(x), 0) / list.length;
const rows = odeTable(STEPS);

/** Of each variant with three steps: ∂x/∂μ on average over what is drawn. */
const slopes: Readonly<Record<string, number>> = {
  // From pure noise: the teacher has one step.
  oneStep: 1,
  draftK: slopeOfLast(3),
  draftLv: gainAt(rows[STEPS - 1].time).g,
  alignProp: meanOver([1, 2, 3], slopeOfLast),
  // Starts 0 and 1, stride 2: every step once.
  drTune: rows.reduce((sum, {time, nextTime}) => sum + (1 - nextTime / time) * gainAt(time).g, 0) / 2,
  refl: meanOver(rows.slice(-3), ({time}) => gainAt(time).g),
};

describe('direct on gaussianToy', function () {
  this.timeout(180_000);
  let device: Device;
  before(async () => {
    device = await openTestDevice();
  });
  after(() => device.close());

  const train = async (reward: Reward, options: Readonly<Record<string, unknown>>, iterations = 80): Promise<number[]> => {
    const settings = {learningRate: 0.02, adamBeta2: 0.99, emaDecay: 0.95, ...options};
    const algorithm = direct.configure(direct.options.parse(settings));
    const {means} = await trainToyWith(algorithm, {
      device,
      sampler: 'flowSde',
      noiseLevel: 0.7,
      steps: STEPS,
      reward,
      iterations,
    });
    return means;
  };

  it("without distillation every prompt's mean arrives at the target, with rewards normalised and without", async () => {
    for (const rewardNormalisation of ['prompt', 'none']) {
      const means = await train(quadratic, {distillationWeight: 0, rewardNormalisation});
      means.forEach((mu, c) => expect(mu, `${rewardNormalisation}, from ${baseMeans[c]}`).to.be.closeTo(nearTargetLevel, 0.03));
    }
  });

  it('the distillation stops it between base and target, where the closed form says', async () => {
    const [distillationWeight, huberWidth, distillationSteps] = [0.5, 0.1, 2];
    const slope = meanOver(odeTable(distillationSteps), ({time}) => gainAt(time).g);
    const options = {distillationWeight, huberWidth, distillationSteps, rewardNormalisation: 'none', learningRate: 0.01};
    const means = await train(quadratic, {...options, innerEpochs: 2, emaDecay: 0.97}, 100);
    means.forEach((mu, c) => {
      const m = baseMeans[c];
      const wanted = rootOf(
        (x) => -2 * (x - nearTargetLevel) * slope - distillationWeight * pullBack(x, m, huberWidth, distillationSteps),
        -1,
        1,
      );
      expect(mu, `from ${m}`).to.be.closeTo(wanted, 0.03);
      expect(Math.abs(wanted - nearTargetLevel)).to.be.above(0.2 * Math.abs(m - nearTargetLevel));
    });
  });

  for (const variant of direct.options.shape.variant.unwrap().options) {
    it(`${variant} climbs a linear reward as far as its own slope and the distillation let it`, async () => {
      const [distillationWeight, huberWidth] = [4, 1];
      const means = await train(linear, {
        variant,
        gradientSteps: 3,
        rewardNormalisation: 'none',
        distillationWeight,
        huberWidth,
        distillationSteps: 1,
      });
      means.forEach((mu, c) => {
        const wanted = rootOf((x) => slopes[variant] - distillationWeight * pullBack(x, baseMeans[c], huberWidth, 1), -2, 2);
        expect(mu, `from ${baseMeans[c]}`).to.be.closeTo(wanted, 0.02);
      });
    });
  }

  it('refl stops climbing at its margin', async () => {
    const rewardMargin = -1;
    const means = await train(linear, {variant: 'refl', rewardMargin, distillationWeight: 0}, 5);
    means.forEach((mu, c) => expect(mu).to.equal(Math.fround(baseMeans[c])));
  });
});
