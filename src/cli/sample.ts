/** `rlft sample <captions..>`: videos for captions. */
import {mkdir} from 'node:fs/promises';
import {z} from 'zod';
import {resolveConfig} from '../run/config.js';
import {fileError} from '../run/writeAtomically.js';
import {sample} from '../tune/sample.js';
import {peerNames} from '../options.js';
import {deviceSettings} from '../run/runSchema.js';
import {printJson, type CommandBody} from './command.js';
import {configFlags, configSources, otherFlagNames} from './configFlags.js';

const schema = z.strictObject({
  environment: z.string().min(1).default('fluentClips').describe('Name of the world whose policy it is.'),
  preset: z.string().min(1).default('mini').describe('Which size of the world and of its policy.'),
  policy: z
    .string()
    .min(1)
    .default('shipped')
    .describe('Weights: a safetensors file, a run folder, or "shipped" for those of the preset.'),
  count: z.int().min(1).max(64).default(1).describe('Videos of each caption; 1 to 64.'),
  samplingSteps: z.int().min(1).max(1000).default(16).describe('Denoising steps, without noise; 1 to 1000.'),
  guidanceScale: z.number().min(1).default(1).describe('Classifier-free guidance; 1 is off; ≥ 1.'),
  seed: z
    .int()
    .min(0)
    .max(2 ** 32 - 1)
    .default(0)
    .describe('Initial noise is drawn from it; 0 to 4294967295.'),
  ...deviceSettings,
});

/** The command. */
export const body: CommandBody = {
  positionals: {captions: {type: 'string', array: true, describe: 'What to show, each in quotes', demandOption: true}},
  options: () => ({
    ...configFlags(schema),
    'output-dir': {type: 'string', requiresArg: true, describe: 'Folder for the videos; default samples'},
    json: {type: 'boolean', describe: 'Print the files as one JSON object on stdout'},
  }),
  otherNames: otherFlagNames,
  examples: [
    ['rlft sample "a red car moving left in the desert"', 'the shipped policy'],
    ['rlft sample --policy runs/ddpo-1/policy.safetensors --count 4 "a blue cat and a red bird on the grass"', 'a tuned one'],
  ],
  async run(argv, io) {
    const config = resolveConfig(schema, await configSources(argv, schema), peerNames).value;
    const outputDir = (argv['output-dir'] as string | undefined) ?? 'samples';
    await mkdir(outputDir, {recursive: true}).catch((cause: unknown) => Promise.reject(fileError('make', outputDir, cause)));
    const {samplingSteps, ...rest} = config;
    const made = await sample({...rest, steps: samplingSteps, texts: argv['captions'] as string[], outputDir});
    if (argv['json'] === true) printJson(io, made);
    else for (const {text, file} of made.videos) io.stdout.write(`${file}  ${text}\n`);
    io.stderr.write(`sheet: ${made.sheet}\n`);
  },
};
