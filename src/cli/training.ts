/** What every command has that trains something in a folder: settings, their refusal, a fresh folder or an earlier one. */
import type {Options} from 'yargs';
import {z} from 'zod';
import {ConfigError} from '../errors.js';
import {peerNames} from '../options.js';
import {renderConfig, resolveConfig} from '../run/config.js';
import {openRunFolder, type RunFolder} from '../run/runFolder.js';
import {runInfo, writeRunInfo} from '../run/runInfo.js';
import {writeAtomically} from '../run/writeAtomically.js';
import type {Arguments, Io} from './command.js';
import {configSources} from './configFlags.js';
import type {ProgressLine} from './progress.js';
import {folderOf} from './runFolderFlags.js';

/** Peak learning rates of a network that is trained from nothing. */
export const rateSettings = {
  muonRate: z.number().positive().default(0.02).describe('Peak learning rate of the matrices inside the blocks (Muon); > 0.'),
  adamRate: z.number().positive().default(1.5e-3).describe('Peak learning rate of everything else (AdamW); > 0.'),
};

/** Which encoder what is fitted or studied looks through. */
export const encoderSetting = z
  .string()
  .min(1)
  .default('shipped')
  .describe('Video-text encoder: "shipped", a name, or a file of rlft pretrain encoder.');

/** Updates between plain lines: a line for each of thousands would hide everything else. */
export const LINE_EVERY = 50;

/** The line before a network's first update. */
export const noteStart = (
  line: ProgressLine,
  {totalUpdates, updates, folder}: {readonly totalUpdates: number; readonly updates: number; readonly folder: string},
): void => line.note(`${totalUpdates} updates, ${updates} done; folder: ${folder}`);

/** The line behind its last one. */
export function noteEnd(
  line: ProgressLine,
  {interrupted, updates}: {readonly interrupted: boolean; readonly updates: number},
): void {
  line.end();
  line.note(interrupted ? `saved after update ${updates}; go on with --resume` : `done after ${updates} updates`);
}

/** Something that can be trained. */
export interface Training<Config extends {readonly seed: number}> {
  readonly schema: z.ZodType<Config>;
  /** @throws ConfigError if the configuration asks for what there is not; called before anything is written. */
  check(config: Config): void;
  run(config: Config, folder: RunFolder, resume: boolean, io: Io): Promise<void>;
}

/** The flag that goes on with a training. */
export const resumeFlag: Readonly<Record<string, Options>> = {
  resume: {type: 'string', requiresArg: true, describe: 'Go on with the run in this folder, with its settings'},
};

/**
 * Reads the settings, makes or opens the folder, and trains.
 *
 * @param command first word of the command line, for run.json.
 * @param name of the folders that are made where none is named.
 * @throws ConfigError for settings that are wrong or do not go with --resume.
 */
export async function runTraining<Config extends {readonly seed: number}>(
  command: string,
  name: string,
  training: Training<Config>,
  argv: Arguments,
  io: Io,
  args: readonly string[],
): Promise<void> {
  const resumed = argv['resume'] as string | undefined;
  const output = argv['output-dir'] as string | undefined;
  const given = await configSources(argv, training.schema);
  if (
    resumed !== undefined &&
    (output !== undefined || argv['force'] === true || Object.keys(given.flags ?? {}).length > 0 || given.file)
  ) {
    throw new ConfigError('--resume goes on in its own folder with its own settings; leave all other flags out.');
  }
  const sources =
    resumed === undefined ? given : await configSources({config: (await openRunFolder(resumed)).config}, training.schema);
  const {value: config, origins} = resolveConfig(training.schema, sources, peerNames);
  if (argv['print-config'] === true) {
    io.stdout.write(renderConfig(training.schema, config, origins));
    return;
  }
  training.check(config);
  const {folder, resume} = await folderOf(argv, name);
  if (!resume) {
    await writeAtomically(folder.config, [renderConfig(training.schema, config)]);
    await writeRunInfo(folder.info, await runInfo([command, ...args], config.seed, []));
  }
  await training.run(config, folder, resume, io);
}
