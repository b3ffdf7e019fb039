/** Runs of the command line that are killed by SIGKILL and taken up again, and the question whether anything can be seen of it. */
import {expect} from 'chai';
import {spawn} from 'node:child_process';
import {existsSync, mkdirSync, readdirSync, readFileSync, watch} from 'node:fs';
import {join} from 'node:path';
import {listCheckpoints, loadCheckpoint} from '../../src/run/checkpoint.js';
import {readMetrics, type MetricsRow} from '../../src/run/metrics.js';
import {packageRoot} from '../../src/run/packageInfo.js';
import {runFolder} from '../../src/run/runFolder.js';
import {writeWeights} from '../../src/run/weights.js';
import {uniforms} from '../../src/tensor/random.js';
import {gaussianToy} from '../../environments/gaussianToy.js';
import {nano, noisyWeights} from './nano.js';

/** When a process is killed: so long after a line on stderr, or at a change of a file in the run's folder. */
export type Moment =
  | {readonly after: 'line'; readonly line: number; readonly milliseconds: number}
  | {readonly after: 'change'; readonly change: number};

/** A moment in words. */
export const momentText = (moment: Moment): string =>
  moment.after === 'line'
    ? `${moment.milliseconds} ms after line ${moment.line} on stderr`
    : `at change ${moment.change} of a file in the folder`;

/**
 * A random moment. Lines tell of the start, of evaluations and of every iteration; changes are the writing of metrics, events,
 * pictures and checkpoints. Neither depends on how busy the machine is.
 */
export function drawMoment(seed: number, kill: number): Moment {
  const [kind, where, late] = uniforms({seed, purpose: 'kill', iteration: kill}, new Float32Array(3));
  return kind < 0.5
    ? {after: 'line', line: Math.floor(where * 16), milliseconds: Math.floor(late * 300)}
    : {after: 'change', change: 1 + Math.floor(where * 90)};
}

/** How many iterations the runs have. */
export const ITERATIONS = 5;

const sizes = {
  threads: 1,
  iterations: ITERATIONS,
  'prompts-per-iteration': 2,
  'samples-per-prompt': 4,
  'sampling-steps': 4,
  'evaluation-prompts': 2,
  'evaluation-steps': 2,
  'checkpoint-every': 2,
  'sample-every': 3,
};
/** Of each algorithm, options under which everything that a checkpoint must hold matters. */
const options = {
  ddpo: {'inner-epochs': 2, 'kl-coefficient': 0.1, 'learning-rate': 0.01, 'window-size': 2},
  grpo: {'inner-epochs': 2, 'kl-coefficient': 0.1, 'kl-target': 0.001, 'window-move': 'sliding', 'window-dwell': 2},
  nft: {'inner-epochs': 2, 'old-policy': 'lagging', 'learning-rate': 0.01},
  direct: {minibatches: 2, variant: 'oneStep', 'distillation-weight': 1, 'distillation-target': 'average', 'learning-rate': 0.01},
};

/** Algorithms whose runs are killed. */
export type Killed = keyof typeof options;
/** Worlds in which they run. */
export type KilledIn = 'gaussianToy' | 'fluentClips';

/** A run that is to be killed. */
export interface KilledRun {
  readonly algorithm: Killed;
  readonly world: KilledIn;
  /** Whether its rollouts overlap its updates. Default false. */
  readonly overlapRollouts?: boolean;
  /** Words of node's command line that start `rlft`. */
  readonly program: readonly string[];
  /** Where weights and run folders are put. */
  readonly base: string;
}

/** The words of a run from its beginning. */
async function wordsOf({algorithm, world, base, overlapRollouts = false}: KilledRun, folder: string): Promise<string[]> {
  const toy = world === 'gaussianToy';
  const policy = join(base, `${world}.safetensors`);
  if (!existsSync(policy)) await writeWeights(policy, toy ? gaussianToy().initialise(0) : noisyWeights(nano));
  const place = {environment: world, preset: toy ? 'pixel' : 'nano', policy, reward: toy ? 'nearTarget' : 'brightness'};
  const flags = Object.entries({...place, ...sizes, ...options[algorithm], 'overlap-rollouts': overlapRollouts}).flatMap(
    ([name, value]) => [`--${name}`, String(value)],
  );
  return ['run', algorithm, ...flags, '--output-dir', folder];
}

interface Ended {
  readonly killed: boolean;
  readonly code: number | null;
  readonly stderr: string;
}

/** Runs a command line until it ends or the moment has come. */
function launch(program: readonly string[], words: readonly string[], folder: string, moment?: Moment): Promise<Ended> {
  const child = spawn(process.execPath, [...program, ...words], {cwd: packageRoot(), stdio: ['ignore', 'ignore', 'pipe']});
  let stderr = '';
  let changes = 0;
  let lines = 0;
  const kill = (): void => void child.kill('SIGKILL');
  const wait = (milliseconds: number): void => void setTimeout(kill, milliseconds).unref();
  const watcher =
    moment?.after === 'change'
      ? watch(folder, {recursive: true}, () => {
          if (++changes === moment.change) kill();
        })
      : undefined;
  if (moment?.after === 'line' && moment.line === 0) wait(moment.milliseconds);
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += String(chunk);
    const seen = stderr.split('\n').length - 1;
    if (moment?.after === 'line' && lines < moment.line && seen >= moment.line) wait(moment.milliseconds);
    lines = seen;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      watcher?.close();
      resolve({killed: signal === 'SIGKILL', code, stderr});
    });
  });
}

/** The words that take a folder up again: those that the program itself advises. */
async function again(run: KilledRun, folder: string): Promise<string[]> {
  if (existsSync(join(folder, 'config.yaml'))) return ['run', run.algorithm, '--resume', folder];
  return [...(await wordsOf(run, folder)), '--force'];
}

/** Runs it without any interruption. */
export async function unbroken(run: KilledRun): Promise<string> {
  const folder = join(run.base, `${run.algorithm}-${run.world}${run.overlapRollouts ? '-overlapping' : ''}-unbroken`);
  const {code, stderr} = await launch(run.program, await wordsOf(run, folder), folder);
  expect(code, stderr).to.equal(0);
  return folder;
}

/**
 * Kills a run at each of the moments, takes it up again after each, and lets it end. A process that ends before its moment takes
 * the kill with it: the next moment meets the finished run, which is evaluated again.
 *
 * @returns which of the moments killed.
 */
export async function broken(
  run: KilledRun,
  folder: string,
  moments: readonly Moment[],
  told: (line: string) => void,
): Promise<number> {
  mkdirSync(folder, {recursive: true});
  let kills = 0;
  for (const moment of moments) {
    const {killed, code, stderr} = await launch(run.program, await again(run, folder), folder, moment);
    if (!killed) expect(code, stderr).to.equal(0);
    kills += Number(killed);
    const at = (await listCheckpoints(join(folder, 'checkpoints')))[0]?.iteration;
    told(`${killed ? 'killed' : 'ended before it was to be killed'} ${momentText(moment)}; newest checkpoint: ${at ?? 'none'}`);
    if (!killed) break;
  }
  const {code, stderr} = await launch(run.program, await again(run, folder), folder);
  expect(code, stderr).to.equal(0);
  return kills;
}

const untimed = (row: MetricsRow): [string, number | null][] => Object.entries(row).filter(([name]) => !name.startsWith('time/'));

/** Field 2 of a value in an event, four bytes of a float: what follows a scalar's name. */
const FLOAT = String.fromCharCode(0x15);
const SCALAR = new RegExp(`(?:reward|policy|monitor)/[A-Za-z/]+${FLOAT}[^]{4}`, 'g');

/** The events of a file in order, without wall times: pictures and the version as they are, scalars as name and value. */
function eventsIn(folder: string): string[] {
  const name = readdirSync(folder).find((entry) => entry.startsWith('events.out.tfevents.'))!;
  const file = readFileSync(join(folder, name));
  const found: string[] = [];
  for (let at = 0; at < file.length;) {
    const length = Number(file.readBigUInt64LE(at));
    // A double of wall time lies behind the first byte.
    const event = file.subarray(at + 12 + 9, at + 12 + length).toString('latin1');
    found.push(...(event.match(SCALAR) ?? [event]));
    at += 16 + length;
  }
  return found;
}

/** Everything below a folder. */
const filesBelow = (folder: string): string[] =>
  readdirSync(folder, {recursive: true, encoding: 'utf8'})
    .map((name) => name.replace(/events\.out\.tfevents\..*/, 'events'))
    .sort();

/** Asserts that nothing tells a run that was killed from one that was not: weights, checkpoint, metrics, events, list of files. */
export async function expectSameFolder(whole: string, other: string): Promise<void> {
  const weights = (folder: string): Buffer => readFileSync(join(folder, 'policy.safetensors'));
  expect(weights(whole).equals(weights(other)), `weights of ${other}`).to.equal(true);
  const newest = async (folder: string) => {
    const {state, meta, iteration} = await loadCheckpoint((await listCheckpoints(runFolder(folder).checkpoints))[0].path);
    return {state, iteration, meta: {...(meta as object), learnSeconds: 0}};
  };
  expect(await newest(other)).to.deep.equal(await newest(whole));
  const rows = await readMetrics(runFolder(other).metrics);
  expect(rows.map(({iteration}) => iteration)).to.deep.equal(Array.from({length: ITERATIONS}, (_, i) => i + 1));
  expect(rows.map(untimed)).to.deep.equal((await readMetrics(runFolder(whole).metrics)).map(untimed));
  expect(eventsIn(other)).to.deep.equal(eventsIn(whole));
  expect(filesBelow(other)).to.deep.equal(filesBelow(whole));
}
