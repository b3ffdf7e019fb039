/** Does GRPO learn? The Gaussian toy says where every objective and every way to combine rewards has to arrive. */
import {expect} from 'chai';
import {grpo} from '../../algorithms/grpo.js';
import {gaussianToyDeviation} from '../../environments/gaussianToy.js';
import {nearTargetLevel as target} from '../../rewards/nearTarget.js';
import type {Device} from '../../src/engine/device.js';
import {odeTable, samplerTables} from '../../src/numeric/samplers/named.js';
import type {Transition} from '../../src/numeric/samplers/sampler.js';
import {baseMeans, generated, greyReward, greySum, openTestDevice, rootOf, trainToy, type ToyRun} from '../support/toy.js';

const STEPS = 8;
const ITERATIONS = 70;
const samplers = [
  {sampler: 'flowSde', noiseLevel: 0.7},
  {sampler: 'danceSde', noiseLevel: 0.5},
  {sampler: 'cps', noiseLevel: 0.6},
  {sampler: 'ddim', noiseLevel: 1},
] as const;
const flow = {sampler: 'flowSde', noiseLevel: 0.7} as const;
const table = samplerTables('flowSde', STEPS, 0.7).stochastic;
const near = (x: number): number => -((x - target) ** 2);
const quadratic = greyReward('quadratic', near);
const linear = greyReward('linear', (x) => x);

/** How many steps, and how strongly, they pull under GRPO-Guard: its ratio is std times the plain one, its weight 1/Δt. */
const guardPull = ({std, time, nextTime}: Transition): number => std / (time - nextTime);

describe('grpo on gaussianToy', function () {
  this.timeout(600_000);
  let device: Device;
  before(async () => {
    device = await openTestDevice();
  });
  after(() => device.close());

  const learn = (options: Readonly<Record<string, unknown>>, change: Partial<ToyRun> = {}): ReturnType<typeof trainToy> =>
    trainToy({device, algorithm: grpo, ...flow, steps: STEPS, reward: quadratic, iterations: ITERATIONS, options, ...change});

  for (const {sampler, noiseLevel} of samplers) {
    it(`${sampler}: every prompt's mean arrives at the target`, async () => {
      const {means} = await learn({}, {sampler, noiseLevel});
      const {stochastic} = samplerTables(sampler, STEPS, noiseLevel);
      means.forEach((mu) => expect(generated(stochastic, mu).mean).to.be.closeTo(target, 0.03));
    });
  }

  const several = {innerEpochs: 2, minibatches: 2, learningRate: 0.01};
  for (const [title, options] of Object.entries({
    'the clipped ratio': {...several, clipRange: 0.05},
    'GRPO-Guard': {...several, objective: 'guard', clipRange: 0.01},
    'the masked ratio': {...several, objective: 'dppo', klThreshold: 1e-4},
    'the best and the worst': {bestOf: 8},
    'a random window': {windowSize: 3, windowFrom: 0, sharedStart: true},
    'a sliding window': {windowSize: 2, windowFrom: 0, windowMove: 'sliding', windowDwell: 3},
    'a progressive window': {windowSize: 2, windowFrom: 0, windowTo: 0.5, windowMove: 'progressive', windowDwell: 10},
    'half of the steps': {timestepFraction: 0.5},
  })) {
    it(`with ${title} it arrives too`, async () => {
      const {means, metrics} = await learn(options);
      means.forEach((mu) => expect(mu).to.be.closeTo(target, 0.05));
      for (const name of ['policy/clipFraction', 'policy/maskedFraction'])
        if ('innerEpochs' in options && name in metrics) expect(metrics[name], name).to.be.within(1e-3, 0.95);
    });
  }

  it('with rollouts that overlap updates it arrives too, though they are one update old', async () => {
    const {means, rows} = await learn({...several, clipRange: 0.05}, {overlapRollouts: true});
    means.forEach((mu) => expect(mu).to.be.closeTo(target, 0.05));
    rows.slice(1).forEach((row) => expect(row['policy/staleRatioGap']).to.be.above(0));
    expect(rows.every((row) => row['policy/ratioGap'] === 0)).to.equal(true);
  });

  /** Where a pull, per noisy step, is balanced by the penalty per noisy step. */
  const stop = (pull: (at: ReturnType<typeof generated>) => number, penalty: (delta: number) => number, m: number): number =>
    rootOf((mu) => pull(generated(table, mu)) - penalty(mu - m), -3, 3);
  const {klCurvature, noisySlope, noisySteps, variance} = generated(table, 0);
  const klCoefficient = 2;
  const kl = (delta: number): number => klCoefficient * klCurvature * delta;

  it('the divergence penalty stops it where the closed form says', async () => {
    const {means} = await learn({klCoefficient});
    const pull = ({mean, variance: v}: ReturnType<typeof generated>): number => {
      const d = mean - target;
      return ((-2 * d) / Math.sqrt(2 * v * v + 4 * v * d * d)) * (noisySlope / noisySteps);
    };
    means.forEach((mu, c) => expect(mu, `from ${baseMeans[c]}`).to.be.closeTo(stop(pull, kl, baseMeans[c]), 0.03));
  });

  it('the distillation stops it where the closed form says', async () => {
    // In the wide part of its distance the gradient is E[d]·∂x̂0/∂μ/c, and d is affine in the means of clip, policy and teacher.
    const [huberWidth, weight, distillationSteps] = [5, 19, 3];
    const s2 = gaussianToyDeviation ** 2;
    const jump = (t: number): {gain: number; slope: number} => {
      const gain = t === 0 ? 1 : ((1 - t) * s2) / ((1 - t) ** 2 * s2 + t * t);
      return {gain, slope: 1 - (1 - t) * gain};
    };
    const penalty = (mu: number, m: number): number => {
      const clip = generated(table, mu).mean;
      const each = odeTable(distillationSteps).map(({time: t, nextTime: s}) => {
        const {gain, slope} = jump(t);
        const x = (1 - t) * clip;
        const z = (s / t) * x + (1 - s / t) * (slope * m + gain * x);
        const target = jump(s).slope * mu + jump(s).gain * z;
        return ((slope * mu + gain * x - target) * slope) / huberWidth;
      });
      return (weight * each.reduce((sum, one) => sum + one, 0)) / each.length;
    };
    const options = {distillationWeight: weight, huberWidth, distillationSteps};
    const {means, metrics} = await learn(options, {reward: linear, iterations: 100});
    const pull = noisySlope / (noisySteps * Math.sqrt(variance));
    means.forEach((mu, c) => {
      const wanted = rootOf((at) => pull - penalty(at, baseMeans[c]), baseMeans[c], baseMeans[c] + 1);
      expect(wanted - baseMeans[c]).to.be.within(0.1, 0.3);
      expect(mu, `from ${baseMeans[c]}`).to.be.closeTo(wanted, 0.03);
    });
    expect(metrics['policy/distillation']).to.be.above(0);
  });

  // Under r = x every prompt goes equally far: slope/(K·deviation·β·κ).
  const spreadOfMeans = Math.sqrt(baseMeans.reduce((sum, m) => sum + m * m, 0) / baseMeans.length);
  const deviations = {
    group: Math.sqrt(variance),
    // The largest of four deviations of 32 samples lies 1.03 standard errors above the mean.
    largestGroup: Math.sqrt(variance) * (1 + 1.03 / Math.sqrt(64)),
    batch: Math.sqrt(variance + spreadOfMeans ** 2),
    none: 1,
  };
  for (const [advantageScale, deviation] of Object.entries(deviations)) {
    it(`under a linear reward, advantages divided by ${advantageScale}, the penalty alone decides how far it goes`, async () => {
      const delta = 0.2;
      const beta = noisySlope / (noisySteps * deviation * delta * klCurvature);
      const {means} = await learn({klCoefficient: beta, advantageScale}, {reward: linear, iterations: 50});
      means.forEach((mu, c) => expect(mu - baseMeans[c]).to.be.closeTo(delta, 0.03));
    });
  }

  it('GRPO-Guard stops where steps of equal pull are balanced by the penalty', async () => {
    // Its pull is larger by std/Δt, so the penalty has to be.
    const guarded = generated(table, 0, undefined, guardPull);
    const beta = (klCoefficient * guarded.noisySlope) / noisySlope;
    const {means} = await learn({klCoefficient: beta, objective: 'guard'}, {reward: linear});
    const delta = guarded.noisySlope / (noisySteps * Math.sqrt(variance) * beta * klCurvature);
    means.forEach((mu, c) => expect(mu - baseMeans[c]).to.be.closeTo(delta, 0.03));
  });

  it('a steered penalty brings the divergence to its target', async () => {
    // Under r = x the divergence is pull²/(2β²κ): with the target at two thirds of it, β has to rise by √1.5.
    const free = (noisySlope / (noisySteps * Math.sqrt(variance))) ** 2 / (2 * klCoefficient ** 2 * klCurvature);
    const klTarget = free / 1.5;
    // A fast learner: the coefficient follows the divergence at 2 % an iteration, and both swing where the policy lags behind.
    const quick = {learningRate: 0.04, adamBeta1: 0.5};
    const {means, metrics} = await learn({klCoefficient, klTarget, ...quick}, {reward: linear, iterations: 120});
    const delta = Math.sqrt((2 * klTarget) / klCurvature);
    means.forEach((mu, c) => expect(mu - baseMeans[c]).to.be.closeTo(delta, 0.02));
    expect(metrics['policy/klCoefficient']).to.be.closeTo(klCoefficient * Math.sqrt(1.5), 0.1 * klCoefficient);
  });

  // Up, and near the target at once: in their own units they meet at w/2 beyond it, normalised where the pulls of both are
  // equal: w = 2d/√(2v + 4d²), so d² = w²·v/(2 − 2w²).
  const w = 0.5;
  const both = greySum({up: {weight: w, of: (x) => x}, close: {weight: 1, of: near}});
  const meets: Readonly<Record<string, number>> = {
    sum: w / 2,
    normalised: Math.sqrt((w * w * variance) / (2 - 2 * w * w)),
    gdpo: Math.sqrt((w * w * variance) / (2 - 2 * w * w)),
    separate: Math.sqrt((w * w * variance) / (2 - 2 * w * w)),
  };
  for (const [combination, beyond] of Object.entries(meets)) {
    it(`two rewards, ${combination}, meet where the closed form says`, async () => {
      const {means} = await learn({combination}, {reward: both});
      means.forEach((mu) => expect(mu - target).to.be.closeTo(beyond, 0.04));
    });
  }

  it('a constraint that binds is kept to its floor, by a multiplier that is in the metrics', async () => {
    // −(v + d²) = floor; the pulls are equal at w = 1/λ.
    const beyond = 0.08;
    const floor = -(variance + beyond ** 2);
    const constrained = greySum({up: {weight: 1, of: (x) => x}, close: {weight: 1, of: near}});
    const {means, metrics} = await learn(
      {combination: 'constrained', floors: {close: floor}, multiplierRate: 0.03},
      {reward: constrained, iterations: 130},
    );
    means.forEach((mu) => expect(mu - target).to.be.closeTo(beyond, 0.03));
    const lambda = Math.sqrt((2 * variance + 4 * beyond ** 2) / (4 * beyond ** 2));
    // It still swings about that.
    expect(metrics['policy/multiplier/close']).to.be.within(lambda / 2, lambda * 2);
  });

  it('a constraint that does not bind has the multiplier 0 in the end', async () => {
    const free = greySum({close: {weight: 1, of: near}, up: {weight: 1, of: (x) => x}});
    const {means, metrics} = await learn({combination: 'constrained', floors: {up: -1}}, {reward: free});
    means.forEach((mu) => expect(mu).to.be.closeTo(target, 0.03));
    expect(metrics['policy/multiplier/up']).to.equal(0);
  });
});
