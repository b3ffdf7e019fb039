/** `rlft pretrain policy`: train a world's base policy from nothing. */
import {z} from 'zod';
import {environments} from '../builtins.js';
import {openDevice} from '../engine/devices.js';
import {ConfigError} from '../errors.js';
import {pretrain, type PretrainEvent} from '../pretrain/pretrain.js';
import {deviceSettings} from '../run/runSchema.js';
import {progressLine, type ProgressLine} from './progress.js';
import {LINE_EVERY, noteEnd, noteStart, rateSettings, type Training} from './training.js';

const schema = z.strictObject({
  environment: z.string().min(1).default('fluentClips').describe('Name of the world.'),
  preset: z.string().min(1).default('mini').describe('Which size of the world and of its policy.'),
  seed: z
    .int()
    .min(0)
    .max(2 ** 32 - 1)
    .default(0)
    .describe('Initial weights and noise are drawn from it; 0 to 4294967295.'),
  ...deviceSettings,
  stills: z.int().min(0).default(100_000).describe('Stills of the first stage; ≥ 0.'),
  clips: z.int().min(1).default(110_000).describe('Clips of the second stage; ≥ 1.'),
  stillBatch: z.int().min(1).default(64).describe('Stills of one update; ≥ 1.'),
  clipBatch: z.int().min(1).default(32).describe('Clips of one update; ≥ 1.'),
  ...rateSettings,
  emaDecay: z
    .number()
    .min(0)
    .lt(1)
    .default(0.999)
    .describe('Limit of the decay of the averaged weights, which are saved; in [0, 1).'),
  captionDrop: z.number().min(0).lt(1).default(0.1).describe('Share of captions withheld, for guidance; in [0, 1).'),
  every: z.int().min(1).default(10_000).describe('Clips between saved weights, their judgement and their sheet; ≥ 1.'),
  prompts: z.int().min(0).default(200).describe('Held-out prompts that the judge measures; 0: none.'),
});

function narrator(line: ProgressLine): (event: PretrainEvent) => void {
  return (event) => {
    switch (event.kind) {
      case 'started':
        noteStart(line, event);
        break;
      case 'update': {
        const {updates, stills, clips, loss} = event.progress;
        if (updates % LINE_EVERY === 0)
          line.update({label: `update ${updates}`, fraction: event.fraction, values: {stills, clips, loss}});
        break;
      }
      case 'measured': {
        line.note(
          `${event.clips} clips: held-out error at t = .3, .6, .8, .95: ${event.heldOut.map((e) => e.toFixed(5)).join(' ')}; ${event.weights}`,
        );
        if (event.gates) {
          const scores = Object.entries(event.gates.scores).map(([name, score]) => `${name} ${score.toFixed(3)}`);
          line.note(`  ${scores.join(', ')}; gates missed: ${event.gates.missed.join(', ') || 'none'}`);
        }
        break;
      }
      case 'ended':
        noteEnd(line, event);
    }
  };
}

/** Trains a policy. */
export const policyPretraining: Training<z.output<typeof schema>> = {
  schema,
  check(config) {
    const environment = environments.get(config.environment).open(config.preset);
    if (!environment.openClips) throw new ConfigError(`pretrain: ${environment.name} makes no clips of its own to train on.`);
  },
  async run(config, folder, resume, io) {
    const device = await openDevice(config.device, {threads: config.threads});
    const {stills, clips, stillBatch, clipBatch, muonRate, adamRate, emaDecay, captionDrop} = config;
    try {
      await pretrain({
        environment: environments.get(config.environment).open(config.preset),
        device,
        plan: {stills, clips, stillBatch, clipBatch, muonRate, adamRate, averageDecay: emaDecay, captionDrop},
        seed: config.seed,
        folder,
        resume,
        every: config.every,
        prompts: config.prompts,
        signal: io.signal,
        report: narrator(progressLine(io.stderr, () => performance.now() / 1000)),
      });
    } finally {
      await device.close();
    }
  },
};
