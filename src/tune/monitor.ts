/**
 * The reward-hacking monitor: now and then the policy draws the same held-out clips from the same noise, and what a yardstick that is
 * never optimised says of them, and how they look, is compared with what the starting policy drew.
 *
 * Its memory is `metrics.jsonl`: a resumed run reads there what was seen, so that it goes on as if it had never stopped.
 *
 * @source Gao et al. 2023, "Scaling laws for reward model overoptimization", arXiv:2210.10760 (the gold reward beside the proxy).
 */
import {existsSync, readdirSync} from 'node:fs';
import {rm} from 'node:fs/promises';
import {join} from 'node:path';
import type {Environment} from '../environment.js';
import {bootstrap} from '../evaluate/bootstrap.js';
import {darkShare, groupDiversity, highFrequencyShare, motion, saturation} from '../evaluate/clipFigures.js';
import type {ResidentLearner} from '../learn/learner.js';
import {statistics} from '../numeric/advantages.js';
import type {Reward} from '../reward.js';
import type {Generator} from '../rollout/generate.js';
import {noiseless} from '../rollout/noiseless.js';
import {scoreVideos} from '../rollout/scoreVideos.js';
import {readMetrics, type MetricsRow} from '../run/metrics.js';
import {bestFile, isBestFile, type RunFolder} from '../run/runFolder.js';
import type {RunConfig} from '../run/runSchema.js';
import type {MonitorSummary} from '../run/summary.js';
import {writeWeights} from '../run/weights.js';
import {concatRows, type NdArray} from '../tensor/ndarray.js';
import {alarmsOf, type Alarm, type ClipFigures, type Gains} from './alarms.js';
import type {Yardstick} from './yardstick.js';

/** Draws of the bootstrap of a gain. */
const DRAWS = 500;
/** Clips that are generated at once. */
const BATCH = 32;

/** What the monitor looks at and with. */
export interface MonitorParts {
  readonly config: RunConfig;
  readonly folder: RunFolder;
  readonly environment: Environment;
  readonly generate: Generator;
  readonly learner: ResidentLearner;
  readonly reward: Reward;
  /** What clips are measured with, if there is something that is not optimised. */
  readonly yardstick: Yardstick | undefined;
  /** Of the noise that clips start from. */
  readonly seed: number;
  /** Iterations of the checkpoint that the run goes on from; 0 for a new run. */
  readonly completed: number;
}

/** A monitor of one run. */
export interface Monitor {
  /** Whether an alarm has ended the run, if alarms are to. */
  readonly stopped: boolean;
  /** Looks at the averaged policy after an iteration, if it is time, and keeps its weights if the yardstick likes them best. */
  look(iteration: number): Promise<{metrics: Record<string, number>; alarms: readonly Alarm[]}>;
  /** Removes weights that are no longer the best: to be called after a checkpoint, to which a killed run goes back. */
  tidy(): Promise<void>;
  /** What there is to say at the end. */
  summary(): MonitorSummary;
}

/** Scores and figures of the held-out clips of one policy. */
interface Seen {
  /** Mean of each prompt's clips. */
  readonly rewards: readonly number[] | undefined;
  readonly yardsticks: readonly number[] | undefined;
  readonly figures: ClipFigures;
}

/** Opens the monitor; what an earlier part of the run saw is read from its metrics. */
export async function openMonitor(parts: MonitorParts): Promise<Monitor> {
  const {config, folder, environment, generate, learner, reward, yardstick, completed} = parts;
  const {every, prompts: count, samples, stop} = config.monitor;
  const prompts = environment.prompts('heldOut', count);

  const see = async (policy: ResidentLearner['policy']): Promise<Seen> => {
    const [videos, rewards, yardsticks]: [NdArray<'float32'>[], number[], number[]] = [[], [], []];
    const atOnce = Math.max(1, Math.floor(BATCH / samples));
    for (let first = 0; first < prompts.length; first += atOnce) {
      const some = prompts.slice(first, first + atOnce);
      const request = noiseless({prompts: some, samples, steps: config.evaluation.steps, seed: parts.seed, purpose: 'monitor'});
      const made = await generate(policy, request);
      videos.push(made.videos);
      rewards.push(...(await scoreVideos(reward, made.videos, made.prompts)));
      if (yardstick) yardsticks.push(...(await yardstick.score(made.videos, made.prompts)));
    }
    const clips = concatRows(videos);
    const byPrompt = (scores: readonly number[]): number[] =>
      prompts.map((_, i) => statistics(scores.slice(i * samples, (i + 1) * samples)).mean);
    return {
      rewards: reward.relative === true ? undefined : byPrompt(rewards),
      yardsticks: yardstick && byPrompt(yardsticks),
      figures: {
        diversity: groupDiversity(clips, samples),
        motion: motion(clips),
        saturation: saturation(clips),
        darkShare: darkShare(clips),
        highFrequency: highFrequencyShare(clips),
      },
    };
  };

  let seenAtStart: Promise<Seen> | undefined;
  const start = (): Promise<Seen> => (seenAtStart ??= see(learner.reference));
  const meanOf = (values: readonly number[]): number => statistics(values).mean;

  /** After minus before, in all, with its interval, and in deviations between the prompts at the start. */
  const gainOf = (before: readonly number[], after: readonly number[]) => {
    const differences = after.map((x, i) => x - before[i]);
    const pick = (indices: ArrayLike<number>): number => meanOf(Array.from(indices, (i) => differences[i]));
    const interval = bootstrap(differences.length, pick, config.seed, DRAWS);
    return {...interval, deviations: interval.mean / statistics(before).std};
  };

  const metricsOf = (before: Seen, now: Seen): Record<string, number> => {
    const reward_ = now.rewards && {mean: meanOf(now.rewards), gain: gainOf(before.rewards!, now.rewards)};
    const measured = now.yardsticks && {mean: meanOf(now.yardsticks), gain: gainOf(before.yardsticks!, now.yardsticks)};
    const {diversity, ...figures} = now.figures;
    return {
      ...(reward_ && {
        'monitor/reward': reward_.mean,
        'monitor/rewardGain': reward_.gain.mean,
        'monitor/rewardGainLow': reward_.gain.low,
      }),
      ...(measured && {
        'monitor/yardstick': measured.mean,
        'monitor/yardstickGain': measured.gain.mean,
        'monitor/yardstickGainHigh': measured.gain.high,
      }),
      ...(reward_ && measured && {'monitor/gap': reward_.gain.deviations - measured.gain.deviations}),
      'monitor/diversity': diversity,
      'monitor/diversityShare': diversity / before.figures.diversity,
      ...Object.fromEntries(Object.entries(figures).map(([name, value]) => [`monitor/${name}`, value])),
    };
  };

  // What was seen so far: everything below follows from it.
  const looks: {readonly iteration: number; readonly metrics: Readonly<Record<string, number | null>>}[] = [];
  const alarms: (Alarm & {readonly iteration: number})[] = [];
  let outside: readonly string[] = [];
  let stopped = false;
  const note = async (iteration: number, metrics: Readonly<Record<string, number | null>>): Promise<Alarm[]> => {
    looks.push({iteration, metrics});
    const of = (m: Readonly<Record<string, number | null>>, name: string): number => m[`monitor/${name}`] ?? NaN;
    const figures = Object.fromEntries(
      (['diversity', 'motion', 'saturation', 'darkShare', 'highFrequency'] as const).map((name) => [name, of(metrics, name)]),
    ) as unknown as ClipFigures;
    const gains = looks.slice(-2).map(({metrics: m}): Gains => ({
      reward: of(m, 'rewardGain'),
      rewardLow: of(m, 'rewardGainLow'),
      yardstick: of(m, 'yardstickGain'),
      yardstickHigh: of(m, 'yardstickGainHigh'),
    }));
    const all = alarmsOf(figures, (await start()).figures, gains);
    // An alarm is told once, and again only if all had been well in between.
    const told = all.filter(({figure}) => !outside.includes(figure));
    outside = all.map(({figure}) => figure);
    alarms.push(...told.map((alarm) => ({iteration, ...alarm})));
    stopped = stop && all.length > 0;
    return told;
  };
  const best = (): {iteration: number; yardstick: number} | undefined =>
    looks
      .map(({iteration, metrics}) => ({iteration, yardstick: metrics['monitor/yardstick'] ?? -Infinity}))
      .filter(({iteration}) => existsSync(join(folder.path, bestFile(iteration))))
      .reduce<{iteration: number; yardstick: number} | undefined>(
        (top, one) => (top === undefined || one.yardstick > top.yardstick ? one : top),
        undefined,
      );

  const rows: readonly MetricsRow[] = completed > 0 ? await readMetrics(folder.metrics) : [];
  for (const {iteration, ...metrics} of rows) {
    if (iteration <= completed && 'monitor/diversity' in metrics) await note(iteration, metrics);
  }
  const tidy = async (): Promise<void> => {
    const kept = best();
    const keep = kept && bestFile(kept.iteration);
    const files = readdirSync(folder.path).filter((name) => isBestFile(name) && name !== keep);
    for (const name of files) await rm(join(folder.path, name), {force: true});
  };
  await tidy();

  return {
    get stopped() {
      return stopped;
    },
    async look(iteration) {
      if (every === 0 || iteration % every !== 0) return {metrics: {}, alarms: []};
      const metrics = metricsOf(await start(), await see(learner.averaged));
      const before = best();
      if ('monitor/yardstick' in metrics && metrics['monitor/yardstick'] > (before?.yardstick ?? -Infinity)) {
        await writeWeights(join(folder.path, bestFile(iteration)), await learner.averagedParams(), {
          metadata: {iterations: String(iteration)},
        });
      }
      return {metrics, alarms: await note(iteration, metrics)};
    },
    tidy,
    summary() {
      const top = best();
      return {
        yardstick: yardstick?.name ?? null,
        looks: looks.length,
        alarms,
        best: top ? {...top, file: bestFile(top.iteration)} : null,
      };
    },
  };
}
