/** The size of a run's work, from its configuration alone. */
import type {ConfiguredAlgorithm} from '../algorithm.js';
import type {SamplerTables} from '../numeric/samplers/named.js';
import type {RunConfig} from '../run/runSchema.js';
import type {Geometry} from './events.js';

/** Counts prompts, clips, steps, transitions and updates of one iteration. */
export function geometryOf(
  config: RunConfig,
  algorithm: ConfiguredAlgorithm,
  tables: SamplerTables,
  trainedParameters: number,
  latentSize: number,
): Geometry {
  const {promptsPerIteration: prompts, samplesPerPrompt} = config;
  const passes = config.guidanceScale === 1 ? 1 : 2;
  const {clips: plan} = algorithm;
  if (plan) return clipGeometry(plan.count, algorithm.work, trainedParameters, latentSize, passes);
  const clips = prompts * samplesPerPrompt;
  const steps = tables.stochastic.length;
  const noisy = tables.stochastic.filter(({std}) => std > 0).length;
  const window = algorithm.window?.(0, 0, steps, config.seed);
  const {stepShare, updatesPerIteration, samples = samplesPerPrompt} = algorithm.work;
  const {predictions: announced} = algorithm.work;
  const predictions = typeof announced === 'function' ? announced(samplesPerPrompt) : announced;
  const learntSteps = predictions === undefined ? (window ? Math.min(window.size, noisy) : noisy) : 0;
  const learntClips = prompts * Math.min(samples, samplesPerPrompt);
  return {
    prompts,
    samplesPerPrompt,
    clips,
    steps,
    learntSteps,
    transitions: learntClips * (predictions ?? Math.max(1, Math.floor(learntSteps * stepShare))),
    updates: updatesPerIteration,
    trainedParameters,
    passes,
    // Those that are learnt from, and those that are made meanwhile.
    trajectoryBytes: (config.overlapRollouts ? 2 : 1) * clips * (steps + 1) * latentSize * 4,
  };
}

/** The same of an algorithm that learns from the world's own clips: nothing is sampled. */
function clipGeometry(
  clips: number,
  {predictions, updatesPerIteration}: ConfiguredAlgorithm['work'],
  trainedParameters: number,
  latentSize: number,
  passes: 1 | 2,
): Geometry {
  return {
    prompts: clips,
    samplesPerPrompt: 1,
    clips,
    steps: 0,
    learntSteps: 0,
    transitions: clips * (typeof predictions === 'number' ? predictions : 1),
    updates: updatesPerIteration,
    trainedParameters,
    passes,
    trajectoryBytes: clips * latentSize * 4,
  };
}
