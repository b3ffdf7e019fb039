/**
 * One update of `rlft run ddpo` at `mini`, 64 transitions: all weights against an adapter, and microbatches of one size against others.
 *
 *   npx tsx bench/lora.ts full 16       # both in turn: least and median processor seconds, and their ratio to the first
 *   npx tsx bench/lora.ts full full/8   # in microbatches of the size that `rlft run` takes, and of 8
 *   npx tsx bench/lora.ts 16            # one alone: the memory is its own
 *
 * BENCH_THREADS and BENCH_REPS (rounds, times 8) are read from the environment.
 */
import {ddpo} from '../algorithms/ddpo.js';
import {fluentClips} from '../environments/fluentClips/fluentClips.js';
import {openOrtDevice} from '../src/engine/ortDevice.js';
import {createLearner} from '../src/learn/learner.js';
import {chunks, gatherTransitions, stochasticTransitions} from '../src/learn/transitions.js';
import {samplerTables} from '../src/numeric/samplers/named.js';
import {createGenerator} from '../src/rollout/generate.js';
import {packPolicyFor} from '../src/rollout/residentPolicy.js';
import {defaultTargets} from '../src/run/runSchema.js';
import {readWeights} from '../src/run/weights.js';
import {microbatchFor} from '../src/tune/tune.js';
import {repeat, THREADS, type Took} from './measure.js';

const TRANSITIONS = 64;
const ROUNDS = 8;

const environment = fluentClips('mini');
const {params} = await readWeights(environment.weights!);
const tables = samplerTables('flowSde', 4, 0.7);
const {loss, scalars, optimizer} = ddpo.configure(ddpo.options.parse({windowSize: 0}));

/** A learner of its own device, and one update of it. */
async function contestant(mode: string): Promise<{mode: string; parameters: number; update: () => Promise<void>}> {
  const device = await openOrtDevice('cpu', {provider: 'cpu', threads: THREADS}, {});
  const [tuned, given] = mode.split('/');
  const rank = Number(tuned);
  const lora = tuned === 'full' ? undefined : {rank, alpha: 2 * rank, targets: defaultTargets, seed: 42};
  const layout = packPolicyFor(environment, params, lora);
  const common = {environment, device, layout, loss, scalars, optimizer, density: tables.density, guidanceScale: 1};
  const microbatch = given === undefined ? microbatchFor(layout) : Number(given);
  const learner = await createLearner({...common, microbatch, reference: params});
  const generate = createGenerator(environment, device, layout, tables.density, 1);
  const trajectories = await generate(learner.acting, {
    prompts: environment.prompts('train', 4),
    samples: 8,
    table: tables.stochastic,
    seed: 1,
    iteration: 0,
    purpose: 'bench',
    sharedStart: false,
  });
  const scored = [{trajectories, rewards: new Float32Array(32)}];
  const refs = stochasticTransitions(scored).slice(0, TRANSITIONS);
  const advantages = Float32Array.from({length: 32}, (_, i) => (i % 2 ? 1 : -1));
  const batches = chunks(refs, microbatch).map((part) => gatherTransitions(scored, part, [advantages]));
  return {
    mode,
    parameters: layout.trained.size,
    update: async () => void (await learner.update(batches, refs.length)),
  };
}

const modes = process.argv.slice(2);
const contestants = [];
for (const mode of modes) contestants.push(await contestant(mode));
const took = new Map<string, Took[]>(modes.map((mode) => [mode, []]));
for (const {update} of contestants) await repeat(1, 1, update);
for (const _ of Array.from({length: ROUNDS})) {
  for (const {mode, update} of contestants) took.get(mode)!.push(...(await repeat(1, 0, update)));
}
const sorted = (mode: string): number[] =>
  took
    .get(mode)!
    .map(({cpu}) => cpu)
    .sort((a, b) => a - b);
const [first] = contestants;
for (const {mode, parameters} of contestants) {
  const [mine, theirs] = [sorted(mode), sorted(first.mode)];
  const middle = Math.floor(mine.length / 2);
  console.log(
    JSON.stringify({
      mode,
      parameters,
      least: Number(mine[0].toFixed(3)),
      median: Number(mine[middle].toFixed(3)),
      ratio: Number((mine[0] / theirs[0]).toFixed(3)),
      ratioOfMedians: Number((mine[middle] / theirs[middle]).toFixed(3)),
      ...(modes.length === 1 && {rssMegabytes: Math.round(process.resourceUsage().maxRSS / 1024)}),
    }),
  );
}
process.exit(0);
