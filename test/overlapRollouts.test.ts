/** Rollouts that overlap updates: who samples, who learns from what, and what the ratio makes of it. In the Gaussian toy, on the device. */
import {expect} from 'chai';
import {from, mergeMap} from 'rxjs';
import {ddpo} from '../algorithms/ddpo.js';
import {grpo} from '../algorithms/grpo.js';
import {nft} from '../algorithms/nft.js';
import {gaussianToy, gaussianToyDeviation} from '../environments/gaussianToy.js';
import type {ConfiguredAlgorithm} from '../src/algorithm.js';
import type {Device} from '../src/engine/device.js';
import {createGenerator, type GenerateRequest, type Trajectories} from '../src/rollout/generate.js';
import {packPolicyFor, putPolicy} from '../src/rollout/residentPolicy.js';
import type {NdArray} from '../src/tensor/ndarray.js';
import type {TrainParts} from '../src/train.js';
import {baseMeans, greyReward, openTestDevice, trainToyWith, type ToyOutcome, type ToyRun} from './support/toy.js';

const STEPS = 5;
const reward = greyReward('quadratic', (x) => -((x - 0.5) ** 2));
const plain = {windowSize: 0, anchorCoefficient: 0, sharedStart: false, emaDecay: 0, learningRate: 0.05};
const untimed = (row: Readonly<Record<string, number>>): [string, number][] =>
  Object.entries(row).filter(([name]) => !name.startsWith('time/') && name !== 'policy/staleRatioGap');

/** What happened in an iteration. */
interface Seen {
  readonly request: GenerateRequest;
  readonly trajectories: Trajectories;
  /** Trained means when its learning began. */
  trained?: Float32Array;
}

describe('rollouts that overlap updates', function () {
  this.timeout(120_000);
  let device: Device;
  before(async () => {
    device = await openTestDevice();
  });
  after(() => device.close());

  /** Trains, and watches. */
  async function watched(
    algorithm: ConfiguredAlgorithm,
    change: Partial<ToyRun> = {},
  ): Promise<ToyOutcome & {readonly seen: readonly Seen[]}> {
    const seen: Seen[] = [];
    const around = (parts: TrainParts): TrainParts => ({
      ...parts,
      generate: async (policy, request, signal) => {
        const trajectories = await parts.generate(policy, request, signal);
        seen[request.iteration] = {request, trajectories};
        return trajectories;
      },
      algorithm: {
        ...parts.algorithm,
        learn: (scored$, state, context) =>
          from(parts.learner.snapshot()).pipe(
            mergeMap(({arrays}) => {
              seen[state.iteration].trained = (arrays['trained'] as NdArray<'float32'>).data;
              return parts.algorithm.learn(scored$, state, context);
            }),
          ),
      },
    });
    const run = {device, sampler: 'flowSde', noiseLevel: 0.7, steps: STEPS, reward, iterations: 5, samples: 6} as const;
    return {...(await trainToyWith(algorithm, {...run, overlapRollouts: true, around, ...change})), seen};
  }
  const configured = (options: Readonly<Record<string, unknown>> = {}): ConfiguredAlgorithm =>
    ddpo.configure(ddpo.options.parse({...plain, ...options}));

  it('are those of rollouts that do not, where no update moves anything', async () => {
    const algorithm = configured();
    const still = {...algorithm, optimizer: {...algorithm.optimizer, learningRate: 0}};
    const [one, two] = [await watched(still), await watched(still, {overlapRollouts: false})];
    expect(one.seen).to.have.length(5);
    expect(one.seen).to.deep.equal(two.seen);
    expect(one.rows.map(untimed)).to.deep.equal(two.rows.map(untimed));
    expect(one.rows.map((row) => row['policy/staleRatioGap'])).to.deep.equal([0, 0, 0, 0, 0]);
  });

  it('are made by the policy before the update beside them: the first two by the same weights', async () => {
    const {seen, rows} = await watched(configured());
    const toy = gaussianToy();
    const layout = packPolicyFor(toy, toy.initialise(0));
    const generate = createGenerator(toy, device, layout, 'gaussian', 1);
    const madeBy = async (trained: Float32Array, {request}: Seen): Promise<Trajectories> => {
      const params = {...toy.initialise(0), mean: {dtype: 'float32', shape: [4], data: trained} as NdArray};
      return generate(await putPolicy(device, params, layout), request);
    };
    expect(new Set(seen.map(({trained}) => trained!.join())).size).to.equal(5);
    for (const [k, one] of seen.entries()) {
      expect(one.trajectories, `iteration ${k}`).to.deep.equal(await madeBy(seen[Math.max(0, k - 1)].trained!, one));
      if (k > 0) expect(one.trajectories).not.to.deep.equal(await madeBy(one.trained!, one));
      // The guard still finds to the bit what acted, and the ratio how far the policy has gone since.
      expect(rows[k]['policy/ratioGap']).to.equal(0);
      if (k === 0) expect(rows[k]['policy/staleRatioGap']).to.equal(0);
      else expect(rows[k]['policy/staleRatioGap']).to.be.above(1e-3);
    }
  });

  it('are learnt from by the clipped ratio of the policy now to the one that acted: loss and gradient by hand', async () => {
    const clipRange = 0.01;
    const options = {...plain, advantageScale: 'none', advantageClip: 100, clipRange, maxGradNorm: 100};
    const {seen, rows} = await watched(grpo.configure(grpo.options.parse(options)));
    for (const k of [0, 1, 2]) {
      const {trajectories, trained} = seen[k];
      const acted = seen[Math.max(0, k - 1)].trained!;
      const by = handed(trajectories, trained!, acted, clipRange);
      expect(by.storedGap, 'stored log-probabilities are those of the policy that acted').to.be.below(2e-5);
      const found = rows[k];
      expect(found['policy/loss']).to.be.closeTo(by.loss, 1e-5);
      expect(found['policy/gradientNorm']).to.be.closeTo(by.gradientNorm, 1e-4 * by.gradientNorm);
      expect(found['policy/approxKl']).to.be.closeTo(by.approxKl, 1e-5);
      expect(found['policy/staleRatioGap']).to.be.closeTo(by.gap, 2e-5);
      expect(found['policy/clipFraction']).to.be.closeTo(by.outside, 1e-6);
      if (k === 0) expect(by.outside).to.equal(0);
      // Some ratios are clipped and some are not, and the plain gradient would be another.
      else expect(by.outside).to.be.within(0.05, 0.95);
      if (k > 0) expect(Math.abs(by.uncorrected / by.gradientNorm - 1)).to.be.above(0.05);
    }
  });

  it('offline they change nothing: a policy that stands still samples the same whenever it does', async () => {
    const options = {oldPolicy: 'frozen', learningRate: 0.05, emaDecay: 0, innerEpochs: 2};
    const frozen = (overlapRollouts: boolean): Promise<ToyOutcome> =>
      watched(nft.configure(nft.options.parse(options), {overlapRollouts}), {overlapRollouts});
    const [one, two] = [await frozen(true), await frozen(false)];
    expect(one.means).to.deep.equal(two.means);
    expect(one.means).not.to.deep.equal(baseMeans.map(Math.fround));
    expect(one.rows.map(untimed)).to.deep.equal(two.rows.map(untimed));
  });
});

/** The loss of GRPO without normalisation and its gradient, in float64, from the formulas alone. */
function handed(
  {latents, logProbs, prompts, table, videos}: Trajectories,
  trained: Float32Array,
  acted: Float32Array,
  clipRange: number,
) {
  const rewards = prompts.map((_, i) => Math.fround(-((videos.data[i * 3] - 0.5) ** 2)));
  const meanOf = (xs: readonly number[]): number => xs.reduce((a, b) => a + b, 0) / xs.length;
  const words = ['dark', 'dim', 'pale', 'bright'];
  const sums = {loss: 0, approxKl: 0, gap: 0, outside: 0, storedGap: 0};
  const [gradient, uncorrected] = [new Float64Array(4), new Float64Array(4)];
  const n = prompts.length * table.filter(({std}) => std > 0).length;
  for (const [row, {id, text}] of prompts.entries()) {
    const c = words.indexOf(text);
    const advantage = rewards[row] - meanOf(rewards.filter((_, i) => prompts[i].id === id));
    for (const [k, {time: t, scale, a, b, std}] of table.entries()) {
      if (std === 0) continue;
      const s2 = gaussianToyDeviation ** 2;
      const gain = ((1 - t) * s2) / ((1 - t) ** 2 * s2 + t * t);
      const g = 1 - (1 - t) * gain;
      const [x, next] = [latents[k].data[row], latents[k + 1].data[row]];
      const residual = (mu: number): number => next - (a * x + b * (g * mu + gain * scale * x));
      const density = (mu: number): number => -(residual(mu) ** 2) / (2 * std * std) - Math.log(std) - Math.log(2 * Math.PI) / 2;
      const logRatio = density(trained[c]) - density(acted[c]);
      const ratio = Math.exp(logRatio);
      const limited = Math.min(1 + clipRange, Math.max(1 - clipRange, ratio));
      const slope = (residual(trained[c]) * b * g) / (std * std);
      sums.loss += Math.max(-advantage * ratio, -advantage * limited) / n;
      sums.approxKl += logRatio ** 2 / 2 / n;
      sums.gap += Math.abs(logRatio) / n;
      sums.outside += Number(Math.abs(ratio - 1) > clipRange) / n;
      sums.storedGap = Math.max(sums.storedGap, Math.abs(logProbs[k][row] - density(acted[c])));
      if (-advantage * ratio >= -advantage * limited) gradient[c] -= (advantage * ratio * slope) / n;
      uncorrected[c] -= (advantage * slope) / n;
    }
  }
  return {...sums, gradientNorm: Math.hypot(...gradient), uncorrected: Math.hypot(...uncorrected)};
}
