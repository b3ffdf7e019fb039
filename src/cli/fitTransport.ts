/** `rlft fit transport`: carry captions to where videos lie in an encoder's space. */
import {z} from 'zod';
import {environments} from '../builtins.js';
import {openDevice} from '../engine/devices.js';
import {ConfigError} from '../errors.js';
import {isTrained} from '../fit/fitMap.js';
import {fitStreams, fitTransport, type FitEvent} from '../fit/fitTransport.js';
import type {MapMeasurement} from '../fit/measureMap.js';
import {openFrozenEncoder} from '../run/frozenEncoder.js';
import {mapNames} from '../transport/maps/transportMap.js';
import {deviceSettings} from '../run/runSchema.js';
import {progressLine, type ProgressLine} from './progress.js';
import {encoderSetting, LINE_EVERY, type Training} from './training.js';

/** Which clips maps are fitted to and measured on. */
export const pairSettings = {
  clips: z.enum(fitStreams).default('curated').describe('Stream of clips that stand for real videos.'),
  pairs: z.int().min(16).default(20_000).describe('Clips to fit to; ≥ 16.'),
  heldOut: z.int().min(16).default(1024).describe('First clips of the stream, kept to measure on; ≥ 16.'),
};

/** How maps are fitted and measured. */
export const mapSettings = {
  steps: z.int().min(1).default(3000).describe('Steps of a map that is trained; ≥ 1.'),
  batch: z.int().min(2).default(128).describe('Captions of one update; ≥ 2.'),
  mapUpdates: z
    .int()
    .min(1)
    .max(100)
    .default(10)
    .describe('Updates of the map in a step; neural adds one of its potential; ≥ 1.'),
  hidden: z.int().min(1).max(4096).default(256).describe('Width of the hidden layers; ≥ 1.'),
  learningRate: z.number().positive().default(1e-3).describe('Learning rate of the first step; it falls to a twentieth; > 0.'),
  costWeight: z.number().min(0).default(1).describe('Weight of the transport cost against the potential, λ; ≥ 0.'),
  weightDecay: z.number().min(0).default(0).describe('Share of each weight that is added to its gradient; ≥ 0.'),
  maxGradientNorm: z.number().positive().default(1).describe('Largest norm of a gradient; > 0.'),
  epsilon: z.number().positive().default(0.1).describe('Entropy of the entropic plan, as a share of the mean cost; > 0.'),
  planSize: z.int().min(16).max(8192).default(1024).describe('Clips that the entropic plan is made between; ≥ 16.'),
  neighbours: z.int().min(1).default(10).describe('Neighbours of the mutual kNN; ≥ 1.'),
};

const schema = z.strictObject({
  environment: z.string().min(1).default('fluentClips').describe('Name of the world.'),
  preset: z.string().min(1).default('mini').describe('Which size of the world and of its encoders.'),
  encoder: encoderSetting,
  map: z.enum(mapNames).default('neural').describe('Kind of map.'),
  seed: z
    .int()
    .min(0)
    .max(2 ** 32 - 1)
    .default(0)
    .describe('Initial weights and batches are drawn from it; 0 to 4294967295.'),
  ...deviceSettings,
  ...pairSettings,
  features: z.string().default('').describe('Embeddings of an earlier fit, its features.safetensors; empty: they are made.'),
  ...mapSettings,
  every: z.int().min(1).default(250).describe('Steps between maps that are saved and measured; ≥ 1.'),
});

type FitConfig = z.output<typeof schema>;

/** Settings that only some kinds of maps have. */
const trainedOnly = [
  'steps',
  'batch',
  'mapUpdates',
  'hidden',
  'learningRate',
  'weightDecay',
  'maxGradientNorm',
  'every',
] as const;
const idleOf = ({map}: FitConfig): readonly (keyof FitConfig)[] => [
  ...(isTrained(map) ? [] : trainedOnly),
  ...(map === 'neural' ? [] : (['costWeight'] as const)),
  ...(map === 'entropic' ? [] : (['epsilon', 'planSize'] as const)),
];

/** Measures of a map in one line. */
export const measurementLine = ({mutualKnn, structure, frechet, retrieval, cosine}: MapMeasurement): string =>
  `mutual kNN ${mutualKnn.toFixed(4)}, structure ${structure.toFixed(4)}, Fréchet ${frechet.toFixed(4)}, retrieval ${(100 * retrieval).toFixed(1)} %, cosine ${cosine.toFixed(4)}`;

function narrator(line: ProgressLine, folder: string): (event: FitEvent) => void {
  return (event) => {
    switch (event.kind) {
      case 'embedding':
        line.update({label: 'embedding', fraction: event.done / event.total, values: {clips: event.done}});
        break;
      case 'started':
        line.note(`${event.totalUpdates} steps, ${event.updates} done; folder: ${folder}`);
        line.note(`no map: ${measurementLine(event.untransported)}`);
        break;
      case 'update': {
        const {updates, fraction, metrics} = event.progress;
        const {mapLoss, cost, potentialLoss} = metrics;
        const values = cost === undefined ? {loss: mapLoss} : {cost, loss: mapLoss, potential: potentialLoss};
        if (updates % LINE_EVERY === 0) line.update({label: `step ${updates}`, fraction, values});
        break;
      }
      case 'solved': {
        const {iterations, converged, marginalError} = event.solver;
        const how = converged ? 'converged' : 'did not converge';
        line.note(`the plan ${how} in ${iterations} rounds; its rows miss their weights by ${marginalError.toExponential(1)}`);
        break;
      }
      case 'measured':
        line.note(`step ${event.measured.step}: ${measurementLine(event.measured)}`);
        break;
      case 'ended':
        line.end();
        if (event.found && event.found.chosen !== null) line.note(`map.safetensors is that of step ${event.found.chosen}`);
        line.note(event.interrupted ? `interrupted and saved; go on with --resume ${folder}` : 'done');
    }
  };
}

/** Fits a transport map. */
export const transportFitting: Training<FitConfig> = {
  schema,
  check(config) {
    const environment = environments.get(config.environment).open(config.preset);
    if (!environment.openClips || (environment.encoders ?? []).length === 0)
      throw new ConfigError(`fit transport: ${environment.name} has no encoders, or makes no clips to fit to.`);
    const defaults = schema.parse({});
    for (const key of idleOf(config)) {
      if (config[key] !== defaults[key])
        throw new ConfigError(`${key}: has no effect in this run: a map of kind ${config.map} does not use it.`);
    }
  },
  async run(config, folder, resume, io) {
    const {map, seed, clips, pairs, heldOut, neighbours, every, features, epsilon, planSize} = config;
    const environment = environments.get(config.environment).open(config.preset);
    const frozen = await openFrozenEncoder(environment, config.encoder);
    const device = await openDevice(config.device, {threads: config.threads});
    try {
      await fitTransport({
        environment,
        frozen,
        device,
        map,
        plan: config,
        solved: {relativeEpsilon: epsilon, planSize},
        seed,
        clips,
        pairs,
        heldOut,
        neighbours,
        every,
        ...(features !== '' && {features}),
        folder,
        resume,
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
