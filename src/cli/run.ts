/** `rlft run <algorithm>`: fine-tune a policy. Parsing and printing; the work is `src/tune/`. */
import {join} from 'node:path';
import {algorithms, environments, rewards} from '../builtins.js';
import type {Algorithm} from '../algorithm.js';
import {ConfigError} from '../errors.js';
import type {Comparison} from '../evaluate/evaluate.js';
import {renderConfig, resolveConfig, type ConfigSources, type ResolvedConfig} from '../run/config.js';
import {peerNames} from '../options.js';
import {resolveReward} from '../rewards/resolveReward.js';
import {adaptedLayers} from '../rollout/adapter.js';
import {openRunFolder, type RunFolder} from '../run/runFolder.js';
import type {MonitorSummary} from '../run/summary.js';
import {writeAtomically} from '../run/writeAtomically.js';
import type {Estimate, Geometry, TuneEvent} from '../tune/events.js';
import {runTuning} from '../tune/open.js';
import {loraOf, refuseIdle, tuneSchema, type TuneConfig} from '../tune/schema.js';
import {cardLines} from './cardLines.js';
import {printJson, type CommandBody, type Io} from './command.js';
import {configFlags, configSources, otherFlagNames} from './configFlags.js';
import {folderOf, runFolderFlags} from './runFolderFlags.js';
import {duration, progressLine, shortNumber, type ProgressLine} from './progress.js';

const seconds = (): number => performance.now() / 1000;
const signed = (x: number): string => `${x >= 0 ? '+' : '-'}${Math.abs(x).toFixed(3)}`;

/** The size of the work in words. */
export function geometryLines(g: Geometry, device: string): string[] {
  const updates = `in ${g.updates} update${g.updates === 1 ? '' : 's'}`;
  const learnt =
    g.learntSteps > 0
      ? `${g.learntSteps} of them learnt from: ${g.transitions} transitions`
      : `without noise, so without ratios for the parity guard to check: ${g.transitions} predictions with gradient`;
  return [
    g.steps === 0
      ? `${g.clips} clips of the world an iteration, nothing sampled and nothing scored: ${g.transitions} predictions with gradient ${updates}`
      : `${g.prompts} prompts × ${g.samplesPerPrompt} samples = ${g.clips} clips an iteration, ${g.steps} steps each, ${learnt} ${updates}`,
    `${g.trainedParameters.toLocaleString('en')} trained parameters on ${device}; ${g.steps === 0 ? 'clips' : 'trajectories'} take ${(g.trajectoryBytes / 2 ** 20).toFixed(0)} MiB`,
    ...(g.passes === 2 ? ['guidance: every prediction is two passes, in rollouts and in updates, so twice the time'] : []),
  ];
}

const estimateLine = (e: Estimate): string =>
  `about ${shortNumber(Number(e.secondsPerIteration.toPrecision(2)))} s an iteration, ${e.iterations} iterations, ${(e.memoryBytes / 2 ** 30).toFixed(1)} GiB of memory`;

/** `reward/mean  0.712 → 0.741  +0.029 [+0.012, +0.046]`, marked where the interval leaves 0 out. */
function comparisonLines(comparisons: readonly Comparison[]): string[] {
  const width = Math.max(...comparisons.map(({metric}) => metric.length));
  return comparisons.map(({metric, before, after, difference: {mean, low, high}}) => {
    const verdict = low > 0 ? 'up' : high < 0 ? 'DOWN' : 'no clear change';
    return `  ${metric.padEnd(width)} ${before.toFixed(3)} → ${after.toFixed(3)}   ${signed(mean)} [${signed(low)}, ${signed(high)}]  ${verdict}`;
  });
}

/** What the monitor has to say at the end: nothing if it never looked. */
function monitorLines({looks, alarms, yardstick, best}: MonitorSummary): string[] {
  if (looks === 0) return [];
  return [
    `monitor: ${looks} look${looks === 1 ? '' : 's'}, ${alarms.length === 0 ? 'no alarm' : `alarms: ${alarms.map(({figure, iteration}) => `${figure} (iteration ${iteration})`).join(', ')}`}${yardstick === null ? '; no yardstick that is not optimised' : ''}`,
    ...(best ? [`best by ${yardstick} on the monitor's prompts: iteration ${best.iteration}, ${best.file}`] : []),
  ];
}

/** Tells a person what happens, on stderr. */
function narrator(io: Io, line: ProgressLine, suite: () => string): (event: TuneEvent) => void {
  let parts: readonly string[] = [];
  return (event) => {
    switch (event.kind) {
      case 'reward':
        parts = event.card.parts.map(({name}) => name);
        for (const text of cardLines(event.card)) line.note(text);
        break;
      case 'geometry':
        for (const text of geometryLines(event.geometry, event.device)) line.note(text);
        if (event.warning !== undefined) line.note(event.warning);
        line.note(`folder: ${event.folder}`);
        break;
      case 'evaluating':
        line.note(`evaluating ${event.when} on ${event.prompts} held-out prompts …`);
        break;
      case 'estimate':
        line.note(estimateLine(event.estimate));
        line.begin();
        break;
      case 'resumed':
        line.note(
          event.iteration === 0 ? 'nothing was saved yet: beginning again' : `going on after iteration ${event.iteration}`,
        );
        break;
      case 'iteration': {
        const {'reward/mean': reward, 'reward/groupStd': spread, 'policy/gradientNorm': norm} = event.metrics;
        const each = Object.fromEntries(parts.map((name) => [name, event.metrics[`reward/${name}`]]));
        // Clips of the world have no rewards, and an iteration without an update has no gradient.
        const all = reward === undefined ? {loss: event.metrics['policy/loss'], norm} : {reward, ...each, spread, norm};
        const values = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
        line.update({label: `iteration ${event.iteration}`, fraction: event.fraction, values});
        break;
      }
      case 'alarm':
        line.note(`ALARM after iteration ${event.iteration}: ${event.message}`);
        break;
      case 'compared':
        for (const text of [`held out after iteration ${event.iteration}:`, ...comparisonLines(event.comparisons)])
          line.note(text);
        break;
      case 'ended': {
        line.end();
        const {status, iterations, wallSeconds, reason, monitor} = event.summary;
        io.stderr.write(`${status} after ${iterations} iterations and ${duration(wallSeconds)}${reason ? `: ${reason}` : ''}\n`);
        for (const text of monitorLines(monitor)) io.stderr.write(`${text}\n`);
        if (event.comparisons.length > 0) {
          io.stderr.write(
            `held out (${suite()}), before → after, paired 95 % interval:\n${comparisonLines(event.comparisons).join('\n')}\n`,
          );
        }
      }
    }
  };
}

/** The command. */
export const body: CommandBody = {
  positionals: {algorithm: {type: 'string', describe: `Optimizer: ${algorithms.names.join(', ')}`, demandOption: true}},
  options: (args) => ({
    ...configFlags(tuneSchema(algorithms.get(algorithmIn(args))), ['algorithm']),
    ...runFolderFlags('<algorithm>'),
    resume: {type: 'string', requiresArg: true, describe: 'Go on with the run in this folder, bit for bit'},
    json: {type: 'boolean', describe: 'Print the summary as one JSON object on stdout'},
  }),
  otherNames: otherFlagNames,
  examples: [
    ['rlft run ddpo', 'the shipped policy, the default budget'],
    ['rlft run ddpo --minutes 10 --seed 1', 'longer, another seed'],
    ['rlft run ddpo --reward "0.8*judge + 0.2*brightness"', 'a reward composed of two'],
    ['rlft run ddpo --resume runs/ddpo-1', 'after a Ctrl-C, a crash or a power cut'],
  ],
  async run(argv, io, args) {
    const algorithm = algorithms.get(argv['algorithm'] as string);
    const schema = tuneSchema(algorithm);
    const resumed = argv['resume'] as string | undefined;
    const sources = await configSources(argv, schema, ['algorithm']);
    const saved = resumed === undefined ? sources : await savedSources(resumed, schema, sources);
    const resolved = await resolveRun(algorithm, saved);
    const config = resolved.value;
    if (argv['print-config'] === true) {
      io.stdout.write(renderConfig(schema, config, resolved.origins));
      return;
    }
    const {folder, resume} = await folderOf(argv, algorithm.name);
    if (!resume) await writeAtomically(folder.config, [renderConfig(schema, config)]);
    const line = progressLine(io.stderr, seconds);
    const summary = await runTuning({
      config,
      folder,
      resume,
      signal: io.signal,
      command: ['run', ...args],
      report: narrator(io, line, () => `${config.evaluation.prompts} prompts`),
    });
    if (argv['json'] === true) printJson(io, summary);
    io.stderr.write(closingLines(folder, config, summary.status === 'interrupted').join(''));
  },
};

/**
 * The checked settings of a run.
 *
 * @throws ConfigError for settings of another algorithm, idle ones, and names that nothing has.
 */
export async function resolveRun(algorithm: Algorithm, sources: ConfigSources): Promise<ResolvedConfig<TuneConfig>> {
  const resolved = resolveConfig(tuneSchema(algorithm), sources, peerNames);
  const config = resolved.value;
  if (config.algorithm !== algorithm.name)
    throw new ConfigError(`algorithm: the configuration is for "${config.algorithm}"; the command says "${algorithm.name}".`);
  refuseIdle(algorithm, resolved);
  await resolveReward(config.reward, rewards, config.rewards);
  const environment = environments.get(config.environment).open(config.preset);
  const lora = loraOf(config);
  if (lora) adaptedLayers(environment, environment.initialise(0), lora);
  return resolved;
}

/** The word that names the algorithm, wherever the flags stand; the first known algorithm where none is given, for `--help`. */
export const algorithmIn = (args: readonly string[]): string =>
  args.find((word) => algorithms.has(word)) ?? args.find((word) => !word.startsWith('-')) ?? algorithms.names[0];

/** A resumed run has the settings it was begun with; flags that contradict them are refused by the schema's own words. */
async function savedSources(
  folder: string,
  schema: ReturnType<typeof tuneSchema>,
  given: Awaited<ReturnType<typeof configSources>>,
): ReturnType<typeof configSources> {
  const changed = [...Object.keys(given.flags ?? {}), ...(given.set ?? [])].filter((key) => !/^(minutes|iterations)\b/.test(key));
  if (changed.length > 0 || given.file) {
    throw new ConfigError(
      `--resume goes on with the settings in ${join(folder, 'config.yaml')}; only --minutes and --iterations may be given anew, not ${changed.join(', ') || '--config'}.`,
    );
  }
  const saved = await configSources({config: (await openRunFolder(folder)).config}, schema);
  return {...saved, set: given.set ?? [], flags: given.flags ?? {}};
}

function closingLines(folder: RunFolder, {algorithm, tuning}: TuneConfig, interrupted: boolean): string[] {
  if (interrupted) return [`saved; go on with: rlft run ${algorithm} --resume ${folder.path}\n`];
  const weights = tuning === 'lora' ? folder.adapter : folder.policy;
  return [
    `pictures: ${folder.samples}   weights: ${weights}   metrics: ${folder.metrics}\n`,
    `next: rlft sample --policy ${tuning === 'lora' ? folder.path : weights} "a red car moving left in the desert"\n`,
  ];
}
