/** Does DiffusionNFT learn? The Gaussian toy says where it has to arrive, where a penalty stops it, and how far it goes offline. */
import {expect} from 'chai';
import {nft} from '../../algorithms/nft.js';
import {gaussianToyDeviation, gaussianToyMeans} from '../../environments/gaussianToy.js';
import {nearTargetLevel} from '../../rewards/nearTarget.js';
import type {Device} from '../../src/engine/device.js';
import {samplerTables} from '../../src/numeric/samplers/named.js';
import {uniforms} from '../../src/tensor/random.js';
import {
  baseMeans,
  generated,
  greyReward,
  openTestDevice,
  rootOf,
  trainToyWith,
  type ToyOutcome,
  type ToyRun,
} from '../support/toy.js';

const STEPS = 8;
const ITERATIONS = 80;
const quadratic = greyReward('quadratic', (x) => -((x - nearTargetLevel) ** 2));
const linear = greyReward('linear', (x) => x);
const {deterministic} = samplerTables('flowSde', STEPS, 0.7);

/** What the policy for N(μ, s²) is asked at one t: x̂0 − x0 = g·(μ − x0) + k·t·ε, of deviation `deviation` over the noise and x0. */
interface Question {
  readonly t: number;
  readonly g: number;
  readonly deviation: number;
}

/** Variance of what the sampler makes; its mean is μ. */
const {variance} = generated(deterministic, 0);

/** Questions at evenly spread quantiles of the law of t, ln(t/(1 − t)) ~ N(.7, 1). */
const questions: Question[] = Array.from({length: 400}, (_, i) => {
  const u = (i + 0.5) / 400;
  const z = rootOf((x) => u - normalShare(x), -6, 6);
  const t = 1 / (1 + Math.exp(-(0.7 + z)));
  const s2 = gaussianToyDeviation ** 2;
  const k = ((1 - t) * s2) / ((1 - t) ** 2 * s2 + t * t);
  const g = 1 - (1 - t) * k;
  return {t, g, deviation: Math.hypot(g * Math.sqrt(variance), k * t)};
});

/** Share of a standard normal below x, by Simpson's rule. */
function normalShare(x: number): number {
  const n = 200;
  const h = x / n;
  const density = (y: number): number => Math.exp((-y * y) / 2) / Math.sqrt(2 * Math.PI);
  let sum = density(0) + density(x);
  for (let i = 1; i < n; i++) sum += density(i * h) * (i % 2 === 1 ? 4 : 2);
  return 0.5 + (sum * h) / 3;
}

const meanOver = (of: (q: Question) => number): number => questions.reduce((sum, q) => sum + of(q), 0) / questions.length;

/**
 * Where on-policy NFT with its penalty stops. A latent of one element makes ℓ's gradient 2·sign(x̂0 − x0)·g, so the pull of the
 * advantage is E[A·2g·sign(x̂0 − x0)] = 2·slope·√(2/π)·E[g²]·v/deviation, where slope is that of the advantage in x at μ: the odd
 * part of A; and the penalty's is 2κ·E[g²/t²]·(μ − m).
 */
function stop(m: number, reward: 'quadratic' | 'linear', kappa: number): number {
  const v = variance;
  return rootOf(
    (mu) => {
      const d = mu - nearTargetLevel;
      const slope = reward === 'linear' ? 1 / Math.sqrt(v) : (-2 * d) / Math.sqrt(2 * v * v + 4 * v * d * d);
      const pull = slope * Math.sqrt(2 / Math.PI) * meanOver((q) => (q.g ** 2 * v) / q.deviation);
      return pull - kappa * meanOver((q) => (q.g / q.t) ** 2) * (mu - m);
    },
    -3,
    3,
  );
}

/**
 * How far from a frozen policy NFT goes for r = x: where E[r·sign(x̂0⁺ − x0) − (1 − r)·sign(x̂0⁻ − x0)]·g is 0. With a mean moved
 * by ± βδ, E sign = ± erf(c/√2) and E[A·sign] = −√(2/π)·ρ·exp(−c²/2), c = gβδ/deviation and ρ the correlation of x0 with the error.
 */
const offline = (beta: number, limit: number): number =>
  rootOf(
    (delta) =>
      meanOver(({g, deviation}) => {
        const c = (g * beta * delta) / deviation;
        const rho = (g * Math.sqrt(variance)) / deviation;
        return g * ((Math.sqrt(2 / Math.PI) * rho * Math.exp((-c * c) / 2)) / limit - (2 * normalShare(c) - 1));
      }),
    0,
    3,
  );

describe('nft on gaussianToy', function () {
  this.timeout(120_000);
  let device: Device;
  before(async () => {
    device = await openTestDevice();
  });
  after(() => device.close());

  const train = (options: Readonly<Record<string, unknown>>, run: Partial<ToyRun> = {}): Promise<ToyOutcome> => {
    const settings = {learningRate: 0.02, emaDecay: 0.95, advantageClip: 100, advantageScale: 'group'};
    const sampling = {device, sampler: 'flowSde', noiseLevel: 0.7, steps: STEPS} as const;
    const {overlapRollouts = false} = run;
    return trainToyWith(nft.configure(nft.options.parse({...settings, ...options}), {overlapRollouts}), {
      ...sampling,
      reward: quadratic,
      iterations: ITERATIONS,
      ...run,
    });
  };
  /** Asserts where each prompt's mean is, from where it began. */
  const expectAt = ({means}: ToyOutcome, wanted: (m: number) => number, within = 0.03): void =>
    means.forEach((mu, c) => expect(mu, `from ${baseMeans[c]}`).to.be.closeTo(wanted(baseMeans[c]), within));

  for (const sampler of ['flowSde', 'ddim'] as const) {
    it(`${sampler}'s ODE: every prompt's mean arrives at the target`, async () => {
      expectAt(await train({}, {sampler}), () => nearTargetLevel);
    });
  }

  it('has no ratio to report, and no old policy where the trained one samples', async () => {
    const {metrics} = await train({}, {iterations: 1});
    expect(metrics).not.to.have.any.keys('policy/ratioGap', 'policy/oldGap', 'policy/klReference');
  });

  it('the penalty stops it where the closed form says', async () => {
    const klCoefficient = 0.5;
    const found = await train({klCoefficient});
    expect(Math.abs(stop(baseMeans[0], 'quadratic', klCoefficient) - nearTargetLevel)).to.be.above(0.1);
    expectAt(found, (m) => stop(m, 'quadratic', klCoefficient));
  });

  it('with rollouts that overlap updates it keeps the policy that sampled, and stops in the same place', async () => {
    const klCoefficient = 0.5;
    // β·C sets how far from the policy that sampled it may go, which is a step behind: far enough not to be held back.
    const options = {klCoefficient, learningRate: 0.01, mixBeta: 0.01};
    const found = await train(options, {overlapRollouts: true, iterations: 2 * ITERATIONS});
    expectAt(found, (m) => stop(m, 'quadratic', klCoefficient));
    // One update from the policy that sampled in every iteration but the first.
    expect(found.rows[0]['policy/oldGap']).to.equal(0);
    found.rows.slice(1).forEach((row) => expect(row['policy/oldGap']).to.be.above(0));
  });

  it('under a linear reward the penalty alone decides how far it goes', async () => {
    const klCoefficient = 2;
    const delta = stop(0, 'linear', klCoefficient);
    expect(delta).to.be.within(0.1, 0.5);
    expectAt(await train({klCoefficient}, {reward: linear}), (m) => m + delta);
  });

  it('offline it goes as far from the frozen policy as β and the clipping limit say', async () => {
    const options = {oldPolicy: 'frozen', mixBeta: 0.1, advantageClip: 4};
    const delta = offline(0.1, 4);
    expect(delta).to.be.within(0.1, 0.5);
    const found = await train(options, {reward: linear, samples: 64});
    expectAt(found, (m) => m + delta);
    expect(found.metrics['policy/oldGap']).to.be.above(1e-3);
  });

  it('several updates an iteration beside a lagging old policy arrive too', async () => {
    const options = {oldPolicy: 'lagging', innerEpochs: 2, minibatches: 2, mixBeta: 0.5, learningRate: 0.01, advantageClip: 5};
    const found = await train(options, {iterations: 60});
    expectAt(found, () => nearTargetLevel, 0.05);
    expect(found.metrics['policy/oldGap']).to.be.above(0);
  });

  it('a reward that knows nothing of the video moves no mean beyond the noise of its updates', async () => {
    const [iterations, learningRate] = [60, 0.01];
    let calls = 0;
    const random = {
      ...linear,
      score: async (_: unknown, prompts: readonly unknown[]) =>
        uniforms({seed: 9, purpose: 'randomReward', iteration: calls++}, new Float32Array(prompts.length)),
    };
    const moved = ({means}: ToyOutcome): number[] => means.map((mu, c) => mu - baseMeans[c]);
    const noise = moved(await train({learningRate}, {iterations, reward: random}));
    const signal = moved(await train({learningRate}, {iterations, reward: linear}));
    // Adam turns pure noise into a walk of steps of about learningRate, a signal into a march of them.
    const walk = learningRate * Math.sqrt(iterations);
    noise.forEach((d, c) => expect(Math.abs(d), Object.keys(gaussianToyMeans)[c]).to.be.below(3 * walk));
    signal.forEach((d) => expect(d).to.be.above(5 * walk));
  });
});
