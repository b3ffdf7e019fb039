/** `rlft pretrain encoder`: train one of a world's video-text encoders from nothing. */
import {z} from 'zod';
import {environments} from '../builtins.js';
import type {EncoderModule} from '../encoder.js';
import {openDevice} from '../engine/devices.js';
import type {Environment} from '../environment.js';
import {ConfigError, UnknownNameError} from '../errors.js';
import type {EncoderDiagnostics} from '../evaluate/encoderDiagnostics.js';
import {suggestion} from '../nearest.js';
import {pretrainEncoder, type EncoderEvent} from '../pretrain/pretrainEncoder.js';
import {deviceSettings} from '../run/runSchema.js';
import {progressLine, type ProgressLine} from './progress.js';
import {LINE_EVERY, noteEnd, noteStart, rateSettings, type Training} from './training.js';

const schema = z.strictObject({
  environment: z.string().min(1).default('fluentClips').describe('Name of the world.'),
  preset: z.string().min(1).default('mini').describe('Which size of the world and of its encoders.'),
  encoder: z.string().min(1).default('a').describe('Which of the encoders of the world.'),
  seed: z
    .int()
    .min(0)
    .max(2 ** 32 - 2)
    .default(0)
    .describe('Initial weights, masks and negatives are drawn from it; 0 to 4294967294.'),
  ...deviceSettings,
  pairs: z.int().min(1).default(192_000).describe('Pairs of clip and caption to see; ≥ 1.'),
  batch: z.int().min(2).default(64).describe('Pairs of one update; ≥ 2.'),
  queue: z.int().min(2).default(1024).describe('Pairs of earlier updates that are contrasted with; ≥ batch.'),
  // Half of a policy's: with those, nearly everything but colours waits for the descent (docs/encoders.md).
  muonRate: rateSettings.muonRate.default(0.01).describe('Peak learning rate of the matrices inside the blocks (Muon); > 0.'),
  adamRate: rateSettings.adamRate.default(8e-4).describe('Peak learning rate of everything else (AdamW); > 0.'),
  emaDecay: z
    .number()
    .min(0)
    .lt(1)
    .default(0.99)
    .describe('Limit of the decay of the averaged weights, which are saved; in [0, 1).'),
  maskedWeight: z
    .number()
    .min(0)
    .default(5)
    .describe('What the error of hidden pixels is multiplied with in the loss; 0: nothing is hidden; ≥ 0.'),
  maskedWordsWeight: z
    .number()
    .min(0)
    .default(1)
    .describe('What the cross-entropy of hidden words is multiplied with in the loss; 0: no word is hidden; ≥ 0.'),
  every: z.int().min(1).default(20_000).describe('Pairs between saved weights and their measurement; ≥ 1.'),
  retrieval: z
    .int()
    .min(64)
    .multipleOf(64)
    .default(512)
    .describe('Clean clips among which retrieval is measured; a multiple of 64.'),
  items: z.int().min(1).default(1000).describe('Counterfactual captions that are measured; ≥ 1.'),
  degraded: z.int().min(0).default(16).describe('Clips that are spoilt by degrees, to compare with the judge; 0: none.'),
});

type EncoderConfig = z.output<typeof schema>;

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

/** The measurements in a few lines. */
export function diagnosticLines({retrieval, discrimination, qualityRank}: EncoderDiagnostics): string[] {
  const {textOfVideo, videoOfText, modalityGap} = retrieval;
  const lines = [
    `  found among 64: caption ${percent(textOfVideo)}, clip ${percent(videoOfText)}; modality gap ${modalityGap.toFixed(3)}`,
  ];
  for (const [kind, {accuracy, auc}] of Object.entries(discrimination ?? {})) {
    lines.push(
      `  ${kind.padEnd(9)} matching accuracy ${percent(accuracy)}, AUC ${auc.matching.toFixed(3)}; similarity AUC ${auc.similarity.toFixed(3)}`,
    );
  }
  if (qualityRank) {
    lines.push(
      `  rank correlation with the judge's quality: similarity ${qualityRank.similarity.toFixed(3)}, matching ${qualityRank.matching.toFixed(3)}`,
    );
  }
  return lines;
}

function narrator(line: ProgressLine): (event: EncoderEvent) => void {
  return (event) => {
    switch (event.kind) {
      case 'started':
        noteStart(line, event);
        break;
      case 'update': {
        const {updates, pairs, fraction, metrics} = event.progress;
        const {contrast, matching, masked, maskedWords} = metrics;
        if (updates % LINE_EVERY === 0)
          line.update({label: `update ${updates}`, fraction, values: {pairs, contrast, matching, masked, maskedWords}});
        break;
      }
      case 'measured':
        for (const text of [`${event.pairs} pairs: ${event.weights}`, ...diagnosticLines(event.diagnostics)]) line.note(text);
        break;
      case 'ended':
        noteEnd(line, event);
    }
  };
}

/**
 * The encoder that a configuration names.
 *
 * @throws ConfigError if the world has none or makes no clips; UnknownNameError naming those that there are.
 */
function encoderIn(config: EncoderConfig): {environment: Environment; module: EncoderModule} {
  const environment = environments.get(config.environment).open(config.preset);
  const {encoders = []} = environment;
  if (encoders.length === 0 || !environment.openClips)
    throw new ConfigError(`pretrain encoder: ${environment.name} has no encoders, or makes no clips to train them on.`);
  const module = encoders.find(({name}) => name === config.encoder);
  if (module) return {environment, module};
  const names = encoders.map(({name}) => name);
  throw new UnknownNameError(`unknown encoder "${config.encoder}"${suggestion(config.encoder, names)}`);
}

/** Trains an encoder. */
export const encoderPretraining: Training<EncoderConfig> = {
  schema,
  check(config) {
    encoderIn(config);
    if (config.queue < config.batch)
      throw new ConfigError(`--queue: wanted at least the batch of ${config.batch} pairs; got ${config.queue}.`);
  },
  async run(config, folder, resume, io) {
    const {pairs, batch, queue, muonRate, adamRate, emaDecay, maskedWeight, maskedWordsWeight} = config;
    const device = await openDevice(config.device, {threads: config.threads});
    try {
      await pretrainEncoder({
        ...encoderIn(config),
        device,
        plan: {pairs, batch, queue, muonRate, adamRate, averageDecay: emaDecay, maskedWeight, maskedWordsWeight},
        seed: config.seed,
        folder,
        resume,
        every: config.every,
        diagnostics: {pairs: config.retrieval, items: config.items, degraded: config.degraded},
        signal: io.signal,
        report: narrator(progressLine(io.stderr, () => performance.now() / 1000)),
      });
    } finally {
      await device.close();
    }
  },
};
