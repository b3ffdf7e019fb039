/** Does GRPO learn? The Gaussian toy says where every objective and every way to combine rewards has to arrive. */
import {expect} from 'chai';
import {grpo} from '../../algorithms/grpo.js';
import {nearTargetLevel as target} from '../../rewards/nearTarget.js';
import type {Device} from '../../src/engine/device.js';
import {samplerTables} from '../../src/numeric/samplers/named.js';
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
  this.timeout(180_000);
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
    'the masked ratio': {...several, objective: 'dppo', klThreshold: 2e-3},
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
});
