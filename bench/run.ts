/**
 * `npm run bench -- train/mini rollout/mini`: prints a JSON line for each name, like the peer's scripts; without names, all of
 * `nano` and `mini`. BENCH_THREADS, BENCH_REPS and BENCH_MICRO (clips of one pass) are read from the environment.
 */
import {presets} from './peerNetwork.js';
import {benchRollout} from './rollout.js';
import {benchTrain} from './train.js';

const kinds: Readonly<Record<string, (preset: string) => Promise<void>>> = {train: benchTrain, rollout: benchRollout};
const all = ['nano', 'mini'].flatMap((preset) => Object.keys(kinds).map((kind) => `${kind}/${preset}`));

const names = process.argv.slice(2);
for (const name of names.length > 0 ? names : all) {
  const [kind, preset] = name.split('/');
  const bench = kinds[kind];
  if (!bench || !preset || !(preset in presets)) {
    console.error(`bench: wanted ${Object.keys(kinds).join(' or ')}/${Object.keys(presets).join(', ')}; got "${name}".`);
    process.exit(2);
  }
  await bench(preset);
}
