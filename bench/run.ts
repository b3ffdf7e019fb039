/**
 * `npm run bench -- train/mini rollout/mini`: prints a JSON line for each name, like the peer's scripts; without names, all of
 * `nano` and `mini`. BENCH_THREADS, BENCH_REPS and BENCH_MICRO (clips of one pass) are read from the environment.
 */
import {benchDirect} from './direct.js';
import {benchDirectMemory} from './directMemory.js';
import {benchIteration} from './iteration.js';
import {benchNeuralTransport, neuralTransportSizes} from './neuralTransport.js';
import {presets} from './peerNetwork.js';
import {benchRollout} from './rollout.js';
import {benchSinkhorn, sinkhornSizes} from './sinkhorn.js';
import {benchTrain} from './train.js';
import {benchTransportShare} from './transportShare.js';

/** What is measured, and at which sizes. */
const kinds: Readonly<Record<string, {bench: (size: string) => Promise<void>; sizes: readonly string[]}>> = {
  train: {bench: benchTrain, sizes: Object.keys(presets)},
  rollout: {bench: benchRollout, sizes: Object.keys(presets)},
  ddpo_iter: {bench: benchIteration('ddpo'), sizes: Object.keys(presets)},
  grpo_iter: {bench: benchIteration('grpo'), sizes: Object.keys(presets)},
  direct: {bench: benchDirect(false), sizes: Object.keys(presets)},
  'direct+cd': {bench: benchDirect(true), sizes: Object.keys(presets)},
  'direct-memory': {bench: benchDirectMemory, sizes: ['mini']},
  'transport-share': {bench: benchTransportShare, sizes: ['mini']},
  sinkhorn: {bench: benchSinkhorn, sizes: sinkhornSizes},
  not: {bench: benchNeuralTransport, sizes: neuralTransportSizes},
};
const all = ['nano', 'mini'].flatMap((preset) => [`train/${preset}`, `rollout/${preset}`]);

const names = process.argv.slice(2);
for (const name of names.length > 0 ? names : all) {
  const [kind, size] = name.split('/');
  const found = kinds[kind];
  if (!found?.sizes.includes(size)) {
    const known = Object.entries(kinds).map(([k, {sizes}]) => `${k}/{${sizes.join(', ')}}`);
    console.error(`bench: wanted ${known.join(' or ')}; got "${name}".`);
    process.exit(2);
  }
  await found.bench(size);
}
