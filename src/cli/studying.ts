/** What every study has: a frozen encoder, a device, a folder for what it finds. */
import {writeFile} from 'node:fs/promises';
import {z} from 'zod';
import {environments} from '../builtins.js';
import type {FrozenEncoder} from '../encoder.js';
import {openDevice} from '../engine/devices.js';
import type {Device} from '../engine/device.js';
import type {EncoderProbes, Environment} from '../environment.js';
import {ConfigError} from '../errors.js';
import {peerNames} from '../options.js';
import {renderConfig, resolveConfig} from '../run/config.js';
import {openFrozenEncoder} from '../run/frozenEncoder.js';
import {runInfo, writeRunInfo} from '../run/runInfo.js';
import {deviceSettings} from '../run/runSchema.js';
import {studyJson, writeStudy, type Study, type StudyProgress} from '../study/study.js';
import {printJson, type Arguments, type Io} from './command.js';
import {configSources} from './configFlags.js';
import {progressLine} from './progress.js';
import {folderOf} from './runFolderFlags.js';
import {studyLines} from './studyLines.js';
import {encoderSetting} from './training.js';

/** Settings of every study. */
export const studySettings = {
  environment: z.string().min(1).default('fluentClips').describe('Name of the world.'),
  preset: z.string().min(1).default('mini').describe('Which size of the world and of its encoders.'),
  encoder: encoderSetting,
  seed: z
    .int()
    .min(0)
    .max(2 ** 32 - 1)
    .default(0)
    .describe('Draws of the bootstrap, and whatever else is random; 0 to 4294967295.'),
  ...deviceSettings,
};

/** Settings of every study that ranks samples of a policy. */
export const samplesSettings = {
  samples: z.int().min(2).max(64).default(8).describe('Samples of each prompt; 2 to 64.'),
  samplingSteps: z.int().min(1).max(1000).default(16).describe('Denoising steps of a sample, without noise; 1 to 1000.'),
  policy: z
    .string()
    .min(1)
    .default('shipped')
    .describe('Policy that samples: a safetensors file, or "shipped" for that of the preset.'),
};

/** Draws of a bootstrap over many items. */
export const drawsSetting = z.int().min(100).default(1000).describe('Draws of the bootstrap; ≥ 100.');

/** Settings that all studies have. */
export interface StudyConfig {
  readonly environment: string;
  readonly preset: string;
  readonly encoder: string;
  readonly seed: number;
  readonly device: string;
  readonly threads: number;
}

/** What a study is given besides its settings. */
export interface StudyContext {
  readonly environment: Environment;
  readonly frozen: FrozenEncoder;
  readonly device: Device;
  /** Folder of the study, for files of its own. */
  readonly folder: string;
  readonly report: (progress: StudyProgress) => void;
}

/** A study as a command. */
export interface Studying<Config extends StudyConfig> {
  readonly schema: z.ZodType<Config>;
  /** @throws ConfigError if settings contradict each other; called before anything is written. */
  check?(config: Config): void | Promise<void>;
  /** Files that the settings name besides the encoder, for run.json. */
  files?(config: Config): readonly string[];
  run(config: Config, context: StudyContext): Promise<Study>;
}

/**
 * The counterfactual captions of a world.
 *
 * @throws ConfigError if it has none.
 */
export function probesOf({name, encoderProbes}: Environment): EncoderProbes {
  if (encoderProbes) return encoderProbes;
  throw new ConfigError(`study: the environment ${name} has no counterfactual captions to tell apart.`);
}

/** Reads the settings, makes the folder, runs the study, writes and prints what it found. */
export async function runStudy<Config extends StudyConfig>(
  name: string,
  studying: Studying<Config>,
  argv: Arguments,
  io: Io,
  args: readonly string[],
): Promise<void> {
  const {schema} = studying;
  const {value: config, origins} = resolveConfig(schema, await configSources(argv, schema), peerNames);
  if (argv['print-config'] === true) {
    io.stdout.write(renderConfig(schema, config, origins));
    return;
  }
  await studying.check?.(config);
  const environment = environments.get(config.environment).open(config.preset);
  const frozen = await openFrozenEncoder(environment, config.encoder);
  const {folder} = await folderOf(argv, `study-${name}`);
  await writeFile(folder.config, renderConfig(schema, config));
  const encoderFile = frozen.module.weights ?? config.encoder;
  await writeRunInfo(
    folder.info,
    await runInfo(['study', ...args], config.seed, [encoderFile, ...(studying.files?.(config) ?? [])]),
  );
  const line = progressLine(io.stderr, () => performance.now() / 1000);
  let said = '';
  const report = ({stage, done, total}: StudyProgress): void => {
    const tenth = Math.floor((10 * done) / total);
    // A terminal's line renews itself; elsewhere every tenth is said once.
    if (io.stderr.isTTY !== true && said === `${stage} ${tenth}`) return;
    said = `${stage} ${tenth}`;
    line.update({label: stage, fraction: done / total, values: {done}});
  };
  const device = await openDevice(config.device, {threads: config.threads});
  try {
    const study = await studying.run(config, {environment, frozen, device, folder: folder.path, report});
    line.end();
    await writeStudy(folder.path, study);
    if (argv['json'] === true) printJson(io, JSON.parse(studyJson(study)));
    else
      io.stdout.write(
        studyLines(study)
          .map((text) => `${text}\n`)
          .join(''),
      );
    line.note(`folder: ${folder.path}`);
  } finally {
    await device.close();
  }
}
