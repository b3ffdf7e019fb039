/** Does DDPO learn? The Gaussian toy says where it has to arrive, and where a penalty has to stop it. */
import {expect} from 'chai';
import {gaussianToyMeans} from '../../environments/gaussianToy.js';
import {nearTargetLevel} from '../../rewards/nearTarget.js';
import type {Device} from '../../src/engine/device.js';
import {samplerTables} from '../../src/numeric/samplers/named.js';
import {uniforms} from '../../src/tensor/random.js';
import {baseMeans, generated, greyReward, openTestDevice, rootOf, trainToy} from '../support/toy.js';

const cases = [
  {sampler: 'flowSde', noiseLevel: 0.7},
  {sampler: 'ddim', noiseLevel: 1},
] as const;
const STEPS = 8;
const ITERATIONS = 70;
const quadratic = greyReward('quadratic', (x) => -((x - nearTargetLevel) ** 2));
const linear = greyReward('linear', (x) => x);

/**
 * Where DDPO stops: the normalised policy gradient of r = −(x − τ)² or r = x through K noisy steps, J'/(K·σ_r), is balanced by
 * the penalty's. For normal x with variance v at distance d from τ: J' = −2d·slope, σ_r² = 2v² + 4v·d².
 */
function stop(
  table: Parameters<typeof generated>[0],
  m: number,
  reward: 'quadratic' | 'linear',
  penalty: (mu: number) => number,
): number {
  return rootOf(
    (mu) => {
      const {mean, variance: v, noisySlope, noisySteps} = generated(table, mu);
      const d = mean - nearTargetLevel;
      const pull = reward === 'linear' ? 1 / Math.sqrt(v) : (-2 * d) / Math.sqrt(2 * v * v + 4 * v * d * d);
      return (pull * noisySlope) / noisySteps - penalty(mu - m);
    },
    -3,
    3,
  );
}

describe('ddpo on gaussianToy', function () {
  this.timeout(120_000);
  let device: Device;
  before(async () => {
    device = await openTestDevice();
  });
  after(() => device.close());

  for (const {sampler, noiseLevel} of cases) {
    const run = {sampler, noiseLevel, steps: STEPS};
    const {stochastic} = samplerTables(sampler, STEPS, noiseLevel);

    it(`${sampler}: every prompt's mean arrives at the target`, async () => {
      const {means} = await trainToy({device, ...run, reward: quadratic, iterations: ITERATIONS});
      means.forEach((mu, c) =>
        expect(mu, `from ${baseMeans[c]}`).to.be.closeTo(
          stop(stochastic, baseMeans[c], 'quadratic', () => 0),
          0.03,
        ),
      );
    });

    it(`${sampler}: the divergence penalty stops it where the closed form says`, async () => {
      const klCoefficient = 2;
      const {means} = await trainToy({device, ...run, reward: quadratic, iterations: ITERATIONS, options: {klCoefficient}});
      const {klCurvature} = generated(stochastic, 0);
      means.forEach((mu, c) => {
        const wanted = stop(stochastic, baseMeans[c], 'quadratic', (delta) => klCoefficient * klCurvature * delta);
        expect(mu, `from ${baseMeans[c]}`).to.be.closeTo(wanted, 0.03);
      });
    });

    it(`${sampler}: under a linear reward the penalty alone decides how far it goes`, async () => {
      const klCoefficient = 2;
      const {means} = await trainToy({device, ...run, reward: linear, iterations: ITERATIONS, options: {klCoefficient}});
      const {klCurvature, variance, noisySlope, noisySteps} = generated(stochastic, 0);
      const delta = noisySlope / (noisySteps * Math.sqrt(variance) * klCoefficient * klCurvature);
      expect(delta).to.be.within(0.1, 0.5);
      means.forEach((mu, c) => expect(mu - baseMeans[c]).to.be.closeTo(delta, 0.03));
    });
  }

  it('the anchor, which holds the last step alone, stops it where its closed form says', async () => {
    const anchorCoefficient = 1;
    const run = {sampler: 'flowSde', noiseLevel: 0.7, steps: STEPS} as const;
    const {stochastic} = samplerTables('flowSde', STEPS, 0.7);
    const {means} = await trainToy({device, ...run, reward: linear, iterations: ITERATIONS, options: {anchorCoefficient}});
    const {lastCurvature, variance, noisySlope, noisySteps} = generated(stochastic, 0);
    const delta = noisySlope / (noisySteps * Math.sqrt(variance) * 2 * anchorCoefficient * lastCurvature);
    expect(delta).to.be.within(0.1, 0.5);
    means.forEach((mu, c) => expect(mu - baseMeans[c]).to.be.closeTo(delta, 0.03));
  });

  it('several clipped updates an iteration, a window of steps and balanced weights arrive too', async () => {
    const options = {
      innerEpochs: 2,
      minibatches: 2,
      clipRange: 0.05,
      windowSize: 3,
      windowFrom: 0,
      stepWeighting: 'balanced',
      sharedStart: true,
    };
    const {means, metrics} = await trainToy({
      device,
      sampler: 'flowSde',
      noiseLevel: 0.7,
      steps: STEPS,
      reward: quadratic,
      iterations: 60,
      options: {...options, learningRate: 0.01},
    });
    expect(metrics['policy/clipFraction']).to.be.within(1e-3, 0.9);
    means.forEach((mu) => expect(mu).to.be.closeTo(nearTargetLevel, 0.05));
  });

  it('with rollouts that overlap updates the penalty stops it in the same place', async () => {
    const klCoefficient = 2;
    const run = {sampler: 'flowSde', noiseLevel: 0.7, steps: STEPS, overlapRollouts: true} as const;
    const {stochastic} = samplerTables('flowSde', STEPS, 0.7);
    // A range that never clips: what is left is the ratio.
    const options = {klCoefficient, clipRange: 10, learningRate: 0.01};
    const {means, rows} = await trainToy({device, ...run, reward: quadratic, iterations: 2 * ITERATIONS, options});
    const {klCurvature} = generated(stochastic, 0);
    means.forEach((mu, c) => {
      const wanted = stop(stochastic, baseMeans[c], 'quadratic', (delta) => klCoefficient * klCurvature * delta);
      expect(mu, `from ${baseMeans[c]}`).to.be.closeTo(wanted, 0.03);
    });
    rows.slice(1).forEach((row) => expect(row['policy/staleRatioGap']).to.be.above(0));
  });

  it('a reward that knows nothing of the video moves no mean beyond the noise of its updates', async () => {
    const iterations = 60;
    const learningRate = 0.01;
    let calls = 0;
    const random = {
      ...linear,
      score: async (_: unknown, prompts: readonly unknown[]) =>
        uniforms({seed: 9, purpose: 'randomReward', iteration: calls++}, new Float32Array(prompts.length)),
    };
    const run = {device, sampler: 'flowSde', noiseLevel: 0.7, steps: STEPS, iterations, options: {learningRate}} as const;
    const moved = ({means}: {means: number[]}): number[] => means.map((mu, c) => mu - baseMeans[c]);
    const noise = moved(await trainToy({...run, reward: random}));
    const signal = moved(await trainToy({...run, reward: linear}));
    // Adam turns pure noise into a walk of steps of about learningRate, a signal into a march of them.
    const walk = learningRate * Math.sqrt(iterations);
    noise.forEach((d, c) => expect(Math.abs(d), Object.keys(gaussianToyMeans)[c]).to.be.below(3 * walk));
    signal.forEach((d) => expect(d).to.be.above(5 * walk));
  });
});
