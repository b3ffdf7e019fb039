/**
 * Kills runs of the built program fifty times at random moments, and compares each with one that was left alone:
 *
 *   npm run build && npm run test:kill -- [seed]
 *
 * The moments are drawn from the seed, 1 by default, and printed. Exits 1 at the first difference.
 */
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {broken, drawMoment, expectSameFolder, unbroken, type KilledRun} from '../../support/killing.js';

const KILLS = 50;
/** Most kills of one run. */
const IN_A_ROW = 3;

const seed = Number(process.argv[2] ?? 1);
const base = mkdtempSync(join(tmpdir(), 'rlft-kill-'));
const say = (text: string): void => void process.stdout.write(`${text}\n`);
const common = {program: ['bin/rlft.js'], base};
const runs: KilledRun[] = [
  ...(['ddpo', 'grpo', 'nft', 'direct'] as const).map((algorithm, i): KilledRun => ({
    algorithm,
    world: i % 2 === 0 ? 'gaussianToy' : 'fluentClips',
    ...common,
  })),
  {algorithm: 'grpo', world: 'gaussianToy', overlapRollouts: true, ...common},
];

say(`seed ${seed}, folders in ${base}`);
const wholes: string[] = [];
for (const run of runs) wholes.push(await unbroken(run));
const killsOf = new Map<string, number>();
let total = 0;
let drawn = 0;
for (let n = 0; total < KILLS; n++) {
  const run = runs[n % runs.length];
  const folder = join(base, `killed-${n}`);
  const moments = Array.from({length: Math.min(IN_A_ROW, KILLS - total)}, () => drawMoment(seed, drawn++));
  const kills = await broken(run, folder, moments, (line) => say(`${run.algorithm} in ${run.world}, run ${n}: ${line}`));
  await expectSameFolder(wholes[n % runs.length], folder);
  total += kills;
  killsOf.set(run.algorithm, (killsOf.get(run.algorithm) ?? 0) + kills);
  say(`${run.algorithm} in ${run.world}, run ${n}: the same as the unbroken one after ${kills} kills; ${total} of ${KILLS}`);
}
say(`${total} kills (${[...killsOf].map(([name, kills]) => `${name} ${kills}`).join(', ')}), no difference.`);
rmSync(base, {recursive: true, force: true});
