/**
 * One whole iteration of DDPO or GRPO on the peer's network, by this project's own loop: 4 prompts × 8 clips, 10 noisy steps, the
 * peer's closed-form reward, advantages, all 320 transitions in two updates of clipped surrogate and AdamW. The loop's parity guard
 * is included, which the peer has not.
 *
 * `rlft` does the same work as the peer. `rlft-window2` is what this project would rather do: noise and learning in two of the steps,
 * as `rlft run` does by default; that is another algorithm, which the peer could have too.
 */
import {ddpo} from '../algorithms/ddpo.js';
import {grpo} from '../algorithms/grpo.js';
import type {ConfiguredAlgorithm, TrainState} from '../src/algorithm.js';
import {openOrtDevice} from '../src/engine/ortDevice.js';
import {createLearner} from '../src/learn/learner.js';
import {alphaBars} from '../src/numeric/schedule.js';
import type {Transition} from '../src/numeric/samplers/sampler.js';
import {createGenerator} from '../src/rollout/generate.js';
import {packPolicyFor} from '../src/rollout/residentPolicy.js';
import {iterations} from '../src/train.js';
import {emit, microOr, repeat, THREADS} from './measure.js';
import {forwardOperations} from './peerNetwork.js';
import {channelReward, peerWorld} from './peerWorld.js';
import {flowSchedule} from './rollout.js';

const [PROMPTS, SAMPLES, STEPS, UPDATES] = [4, 8, 10, 2];

/** The peer's `ddim_schedule`: DDIM with its full variance, of a network that predicts the noise. */
function noiseSchedule(times = 1000): Omit<Transition, 'nextTime' | 'scale'>[] {
  const alphas = alphaBars({kind: 'scaledLinear', betaStart: 0.00085, betaEnd: 0.012});
  return Array.from({length: STEPS}, (_, i) => {
    const t = (STEPS - 1 - i) * (times / STEPS) + 1;
    const [now, then] = [alphas[t], alphas[Math.max(t - times / STEPS, 0)]];
    const std = Math.sqrt(((1 - then) / (1 - now)) * (1 - now / then));
    const a = Math.sqrt(then / now);
    return {a, b: -a * Math.sqrt(1 - now) + Math.sqrt(Math.max(1 - then - std * std, 0)), std, time: t / times};
  });
}

const common = {minibatches: UPDATES, learningRate: 1e-5, weightDecay: 1e-4, anchorCoefficient: 0, klCoefficient: 0};

/** The kinds of iteration: their steps, and the algorithm with a window of so many of them, 0 for all. */
const kinds: Readonly<
  Record<string, {table: () => Omit<Transition, 'nextTime' | 'scale'>[]; configure: (windowSize: number) => ConfiguredAlgorithm}>
> = {
  ddpo: {table: noiseSchedule, configure: (windowSize) => ddpo.configure(ddpo.options.parse({...common, windowSize}))},
  grpo: {table: flowSchedule, configure: (windowSize) => grpo.configure(grpo.options.parse({...common, windowSize}))},
};

/** Measures one kind at one preset. */
export const benchIteration =
  (kind: string) =>
  async (preset: string): Promise<void> => {
    const {table, configure} = kinds[kind];
    const {world, config} = peerWorld(preset, PROMPTS);
    const micro = microOr(config.micro);
    const params = world.initialise(0);
    const layout = packPolicyFor(world, params);
    const stochastic = table().map((row): Transition => ({...row, nextTime: 0, scale: 1}));
    const tables = {stochastic, deterministic: stochastic.map((row) => ({...row, std: 0})), density: 'gaussian' as const};
    for (const [variant, windowSize] of [
      ['', 0],
      ['-window2', 2],
    ] as const) {
      const algorithm = configure(windowSize);
      const device = await openOrtDevice('cpu', {provider: 'cpu', threads: THREADS}, {});
      const {loss, scalars, optimizer} = algorithm;
      const shared = {environment: world, device, layout, density: tables.density, guidanceScale: 1};
      const learner = await createLearner({...shared, loss, scalars, optimizer, microbatch: micro, reference: params});
      const generate = createGenerator(world, device, layout, tables.density, 1);
      const start: TrainState = {iteration: 0, memory: algorithm.initialMemory, metrics: {}};
      const parts = {
        environment: world,
        algorithm,
        reward: channelReward,
        learner,
        generate,
        tables,
        seed: 0,
        pool: world.prompts('train', PROMPTS),
        promptsPerIteration: PROMPTS,
        samplesPerPrompt: SAMPLES,
        promptsPerBatch: Math.max(1, Math.floor(micro / SAMPLES)),
        parityBound: 1e-5,
      };
      const states = iterations(parts, start);
      const splits: {wall: number; rollout: number}[] = [];
      const times = await repeat(3, 1, async () => {
        const began = performance.now();
        const {metrics} = (await states.next()).value as TrainState;
        splits.push({wall: (performance.now() - began) / 1000, rollout: metrics['time/rolloutSeconds']});
      });
      const fastest = splits.slice(1).reduce((best, split) => (split.wall < best.wall ? split : best));
      const learnt = windowSize === 0 ? STEPS : windowSize;
      emit(`${kind}_iter/${preset}`, times, {
        variant,
        unit: 's/iteration',
        operations: forwardOperations(config, false) * PROMPTS * SAMPLES * (STEPS + 3 * learnt),
        split: {rollout: Number(fastest.rollout.toFixed(4)), update: Number((fastest.wall - fastest.rollout).toFixed(4))},
        micro,
      });
      await learner.close();
      await device.close();
    }
  };
