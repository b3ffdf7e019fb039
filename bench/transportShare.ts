/**
 * What the semantic reward's transport costs of an iteration of `rlft run`: the time to score an iteration's clips with `semantic` and
 * with `matching`, the same encoder and head without the plans, in turn; and the iterations themselves, with their default settings.
 */
import {ddpo} from '../algorithms/ddpo.js';
import {nft} from '../algorithms/nft.js';
import type {Algorithm} from '../src/algorithm.js';
import {createGenerator, type Trajectories} from '../src/rollout/generate.js';
import {policySamples} from '../src/rollout/policySamples.js';
import {iterations} from '../src/train.js';
import {withOpenRun, type OpenRun} from '../src/tune/open.js';
import {tuneConfig, type TuneConfig} from '../src/tune/schema.js';
import {DEVICE_BATCH, makeLearner, prepare, trainPartsOf} from '../src/tune/tune.js';
import {emit, repeat, THREADS, type Took} from './measure.js';

const ROUNDS = 6;

/** Whole iterations of a run. */
const iterationsOf = (algorithm: Algorithm, preset: string): Promise<Took[]> =>
  withOpenRun({config: tuneConfig(algorithm, {preset, threads: THREADS})}, async (open) => {
    const {pool, layout, tables} = prepare(open);
    const learner = await makeLearner(open, layout, tables);
    const generate = createGenerator(open.environment, open.device, layout, tables.density, open.config.guidanceScale);
    const states = iterations(trainPartsOf(open, {learner, generate, tables, pool}), {
      iteration: 0,
      memory: open.algorithm.initialMemory,
      metrics: {},
    });
    const took = await repeat(3, 1, async () => void (await states.next()));
    await learner.close();
    return took;
  });

/** Scoring of an iteration's clips, with the rewards of several runs in turn; as they come, in batches. */
async function scoringsOf(runs: readonly OpenRun[]): Promise<Took[][]> {
  const [{environment, device, params, config}] = runs;
  const samples = policySamples({
    environment,
    device,
    policy: params,
    prompts: environment.prompts('train', config.promptsPerIteration),
    samples: config.samplesPerPrompt,
    steps: config.samplingSteps,
    seed: config.seed,
    purpose: 'bench',
    atOnce: DEVICE_BATCH / config.samplesPerPrompt,
  });
  const batches: Trajectories[] = [];
  for await (const batch of samples) batches.push(batch);
  const took: Took[][] = runs.map(() => []);
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [i, {reward}] of runs.entries()) {
      const times = await repeat(1, 0, async () => {
        for (const {videos, prompts} of batches) await reward.score(videos, prompts);
      });
      if (round > 0) took[i].push(...times);
    }
  }
  return took;
}

/** Measures one preset. */
export async function benchTransportShare(preset: string): Promise<void> {
  const scoring = (reward: string): TuneConfig => tuneConfig(ddpo, {preset, reward, threads: THREADS});
  const [semantic, matching] = await withOpenRun({config: scoring('semantic')}, (one) =>
    withOpenRun({config: scoring('matching')}, (other) => scoringsOf([one, other])),
  );
  const {promptsPerIteration, samplesPerPrompt} = scoring('semantic');
  const batch = promptsPerIteration * samplesPerPrompt;
  for (const [name, times] of Object.entries({semantic, matching})) emit(`score-${name}/${preset}`, times, {batch});
  const least = (times: readonly Took[]): number => Math.min(...times.map(({cpu}) => cpu));
  const transport = least(semantic) - least(matching);
  for (const algorithm of [ddpo, nft]) {
    const times = await iterationsOf(algorithm, preset);
    emit(`${algorithm.name}-run/${preset}`, times, {transportShare: Number((transport / least(times)).toFixed(4))});
  }
}
