/** `rlft fit preference`: learn which clips are preferred, from pairs that the world's judge labels, with mistakes. */
import {z} from 'zod';
import {environments} from '../builtins.js';
import {openDevice} from '../engine/devices.js';
import {ConfigError} from '../errors.js';
import {fitPreference, type PairMeasurement, type PreferenceEvent} from '../fit/fitPreference.js';
import {openFrozenEncoder} from '../run/frozenEncoder.js';
import {deviceSettings} from '../run/runSchema.js';
import {readPolicy, weightsOf} from '../tune/policyWeights.js';
import {progressLine, type ProgressLine} from './progress.js';
import {encoderSetting, LINE_EVERY, type Training} from './training.js';

const schema = z.strictObject({
  environment: z.string().min(1).default('fluentClips').describe('Name of the world.'),
  preset: z.string().min(1).default('mini').describe('Which size of the world, its policy and its encoders.'),
  encoder: encoderSetting,
  policy: z
    .string()
    .min(1)
    .default('shipped')
    .describe('Policy that makes the clips: a safetensors file, or "shipped" for that of the preset.'),
  seed: z
    .int()
    .min(0)
    .max(2 ** 32 - 1)
    .default(0)
    .describe('Clips, mistakes, initial weights and batches are drawn from it; 0 to 4294967295.'),
  ...deviceSettings,
  prompts: z.int().min(1).default(256).describe('Prompts of the split train whose clips are compared; ≥ 1.'),
  heldOut: z.int().min(1).default(64).describe('Prompts of the split heldOut to measure on; ≥ 1.'),
  samples: z.int().min(2).max(32).default(8).describe('Clips of a prompt, each compared with each; 2 to 32.'),
  samplingSteps: z.int().min(1).max(1000).default(10).describe('Denoising steps of a clip, without noise; 1 to 1000.'),
  labelNoise: z.number().min(0).max(0.5).default(0.1).describe('Probability that a label is wrong; 0 to 0.5.'),
  hidden: z.int().min(1).max(4096).default(64).describe('Width of the hidden layers; ≥ 1.'),
  steps: z.int().min(1).default(1000).describe('Updates of the network; ≥ 1.'),
  batch: z.int().min(1).default(64).describe('Pairs of one update; ≥ 1.'),
  learningRate: z.number().positive().default(1e-3).describe('Learning rate of the first update; it falls to a twentieth; > 0.'),
  weightDecay: z.number().min(0).default(1e-3).describe('Share of each weight that is added to its gradient; ≥ 0.'),
});

const shown = ({accuracy, pairs, clips}: PairMeasurement): string =>
  `${(100 * accuracy).toFixed(1)} % of ${pairs} pairs of ${clips} clips`;

function narrator(line: ProgressLine, folder: string): (event: PreferenceEvent) => void {
  return (event) => {
    switch (event.kind) {
      case 'sampling':
        line.update({label: 'sampling', fraction: event.done / event.total, values: {prompts: event.done}});
        break;
      case 'update':
        if (event.updates % LINE_EVERY === 0)
          line.update({label: `update ${event.updates}`, fraction: event.fraction, values: {loss: event.loss}});
        break;
      case 'ended':
        line.end();
        if (!event.found) return line.note(`interrupted; begin anew, with the clips that there are, by --resume ${folder}`);
        line.note(`labels: ${(100 * event.found.mislabelled).toFixed(1)} % wrong`);
        line.note(`as the judge ranks them: ${shown(event.found.train)}; held out: ${shown(event.found.heldOut)}`);
        line.note(`preference.safetensors is in ${folder}`);
    }
  };
}

/** Fits a preference network. */
export const preferenceFitting: Training<z.output<typeof schema>> = {
  schema,
  check(config) {
    const environment = environments.get(config.environment).open(config.preset);
    if (!environment.openJudge || (environment.encoders ?? []).length === 0)
      throw new ConfigError(`fit preference: ${environment.name} has no encoders, or no judge to stand for annotations.`);
    weightsOf(environment, config.policy);
  },
  async run(config, folder, _resume, io) {
    const {prompts, heldOut, samples, samplingSteps, labelNoise, seed} = config;
    const environment = environments.get(config.environment).open(config.preset);
    const frozen = await openFrozenEncoder(environment, config.encoder);
    const {params: policy} = await readPolicy(environment, config.policy);
    const device = await openDevice(config.device, {threads: config.threads});
    try {
      await fitPreference({
        environment,
        frozen,
        device,
        policy,
        prompts,
        heldOut,
        samples,
        samplingSteps,
        labelNoise,
        plan: config,
        seed,
        folder,
        signal: io.signal,
        report: narrator(
          progressLine(io.stderr, () => performance.now() / 1000),
          folder.path,
        ),
      });
    } finally {
      await device.close();
    }
  },
};
