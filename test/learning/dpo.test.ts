/** Does DPO learn? Where pairs are ordered as Bradley and Terry say, the Gaussian toy tells to the digit where it has to stop. */
import {expect} from 'chai';
import {dpo} from '../../algorithms/dpo.js';
import {gaussianToyDeviation} from '../../environments/gaussianToy.js';
import {nearTargetLevel} from '../../rewards/nearTarget.js';
import type {Device} from '../../src/engine/device.js';
import type {Reward} from '../../src/reward.js';
import {uniforms} from '../../src/tensor/random.js';
import {baseMeans, greyReward, openTestDevice, trainToyWith, type ToyOutcome, type ToyRun} from '../support/toy.js';

const quadratic = greyReward('quadratic', (x) => -((x - nearTargetLevel) ** 2));

/** x/T with a Gumbel variable of its own for each clip: σ((x − y)/T) is the probability that x is ranked above y. */
function bradleyTerry(temperature: number): Reward {
  let calls = 0;
  let noise: ArrayLike<number> = [];
  const reward = greyReward('bradleyTerry', (x, row) => x / temperature - Math.log(-Math.log(noise[row])));
  return {
    ...reward,
    score: (videos, prompts) => {
      noise = uniforms({seed: 8, purpose: 'gumbel', iteration: calls++}, new Float32Array(prompts.length));
      return reward.score(videos, prompts);
    },
  };
}

/** One time for all draws, and with it g = ∂x̂0/∂μ. */
const TIME_MEAN = 0.7;
const t = 1 / (1 + Math.exp(-TIME_MEAN));
const s2 = gaussianToyDeviation ** 2;
const gain = ((1 - t) * s2) / ((1 - t) ** 2 * s2 + t * t);
const g = 1 - (1 - t) * gain;

/**
 * Where DPO stops from a mean m. The errors are x̂0 − x0 = g·(μ − x0) + k·t·ε, and the noise of a pair is the same, so its margin is
 * β·w·(g/t)²·(μ − m)·(x − y): the cross-entropy with σ((x − y)/T) is least where the factors of x − y agree. Whose samples are compared
 * does not matter. It is the mean m + s²/b of the optimum N(m, s²)·exp(x/(T·b)) under a divergence of weight b = β·w·(s·g/t)².
 */
const distance = (beta: number, temperature: number, weight = 1): number => t ** 2 / (temperature * beta * weight * g ** 2);

describe('dpo on gaussianToy', function () {
  this.timeout(120_000);
  let device: Device;
  before(async () => {
    device = await openTestDevice();
  });
  after(() => device.close());

  const train = (options: Readonly<Record<string, unknown>>, run: Partial<ToyRun> = {}): Promise<ToyOutcome> => {
    const settings = {learningRate: 0.02, emaDecay: 0.95, drawsPerPair: 1, timeMean: TIME_MEAN, timeDeviation: 0};
    const sampling = {device, sampler: 'flowSde', noiseLevel: 0.7, steps: 8} as const;
    const algorithm = dpo.configure(dpo.options.parse({...settings, ...options}));
    return trainToyWith(algorithm, {...sampling, reward: quadratic, iterations: 80, ...run});
  };
  const expectAt = ({means}: ToyOutcome, wanted: (m: number) => number, within = 0.03): void =>
    means.forEach((mu, c) => expect(mu, `from ${baseMeans[c]}`).to.be.closeTo(wanted(baseMeans[c]), within));

  for (const oldPolicy of ['current', 'frozen'] as const) {
    it(`stops where the optimum of the KL-regularised problem is, under pairs of Bradley and Terry (${oldPolicy})`, async () => {
      const [beta, temperature] = [12, 0.2];
      const delta = distance(beta, temperature);
      expect(delta).to.be.within(0.1, 0.4);
      const found = await train({beta, pairs: 'all', oldPolicy}, {reward: bradleyTerry(temperature), samples: 16});
      expectAt(found, (m) => m + delta, 0.05);
    });
  }

  it('goes half as far with twice the β, and as far again where w(t) halves it', async () => {
    const [beta, temperature] = [24, 0.2];
    const near = await train({beta, pairs: 'all'}, {reward: bradleyTerry(temperature), samples: 16});
    expectAt(near, (m) => m + distance(beta, temperature));
    const falling = {beta: beta / 2 / (1 - t) ** 2, betaWeight: 'falling', pairs: 'all'};
    const far = await train(falling, {reward: bradleyTerry(temperature), samples: 16});
    expectAt(far, (m) => m + distance(beta / 2, temperature), 0.05);
  });

  for (const pairs of ['mirrored', 'extremes'] as const) {
    it(`${pairs} pairs of a reward without noise: with a small β every prompt's mean arrives at the target`, async () => {
      // The margin then stays near 0, and the pull is that of x − y, whose mean is 0 at the target alone.
      const found = await train({beta: 0.01, pairs, timeDeviation: 1}, {iterations: 100});
      expectAt(found, () => nearTargetLevel, 0.05);
      expect(found.metrics['policy/pairs']).to.equal(pairs === 'mirrored' ? 64 : 4);
      expect(found.metrics['policy/pairlessPrompts']).to.equal(0);
      expect(found.metrics).not.to.have.property('policy/ratioGap');
    });
  }

  it('agrees with the order of the pairs once it has moved, and tells the errors of both sides apart', async () => {
    const first = await train({beta: 12}, {iterations: 1, reward: greyReward('linear', (x) => x)});
    expect(first.metrics['policy/loss']).to.be.closeTo(Math.LN2, 1e-6);
    expect(first.metrics['policy/implicitMargin']).to.equal(0);
    const {metrics} = await train({beta: 12}, {iterations: 40, reward: greyReward('linear', (x) => x)});
    expect(metrics['policy/implicitAccuracy']).to.be.above(0.95);
    const margin = (-12 / 2) * (metrics['policy/winnerShift'] - metrics['policy/loserShift']);
    expect(metrics['policy/implicitMargin']).to.be.closeTo(margin, 1e-4 * margin);
    expect(margin).to.be.above(0.1);
    expect(metrics['policy/loserShift']).to.be.above(metrics['policy/winnerShift']);
  });

  it('several updates an iteration arrive too', async () => {
    const options = {beta: 12, pairs: 'all', innerEpochs: 2, minibatches: 2, learningRate: 0.01};
    expectAt(await train(options, {reward: bradleyTerry(0.2), iterations: 50, samples: 16}), (m) => m + distance(12, 0.2), 0.05);
  });

  it('where all rewards of all prompts are equal there is nothing to learn, and nothing moves', async () => {
    const {means, metrics} = await train({}, {iterations: 2, reward: greyReward('same', () => 1)});
    means.forEach((mu, c) => expect(mu).to.be.closeTo(baseMeans[c], 1e-6));
    expect(metrics).to.include({'policy/pairs': 0, 'policy/pairlessPrompts': 4});
    expect(metrics).not.to.have.property('policy/loss');
  });
});
