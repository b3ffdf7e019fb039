/**
 * A fit of the preference reward in its folder: a policy makes clips of prompts, the world's judge ranks those of one prompt, some
 * labels are turned round, and a network on a frozen encoder learns them. Clips of held-out prompts, ranked without mistakes, tell
 * how often it is right.
 */
import {existsSync} from 'node:fs';
import {join} from 'node:path';
import type {FrozenEncoder} from '../encoder.js';
import type {Device} from '../engine/device.js';
import type {Environment, Judge, Prompt} from '../environment.js';
import {ConfigError, CorruptFileError} from '../errors.js';
import {openEncoderSession, type EncoderSession} from '../evaluate/encoderSession.js';
import {comparedPairs, type PreferencePair} from '../numeric/comparedPairs.js';
import {policySamples} from '../rollout/policySamples.js';
import {hashParams} from '../run/hashParams.js';
import {writePreferenceModel} from '../run/preferenceModel.js';
import type {RunFolder} from '../run/runFolder.js';
import {readWeights, writeWeights} from '../run/weights.js';
import {writeAtomically} from '../run/writeAtomically.js';
import {concatRows, float32, type NdArray} from '../tensor/ndarray.js';
import type {Params} from '../tensor/tree.js';
import {mislabelled, pairAccuracy} from './preferencePairs.js';
import type {EmbeddedPairs} from './trainMap.js';
import {preferenceScores, trainPreference, type PreferencePlan} from './trainPreference.js';

/** Threads that judge while the device waits. */
const JUDGE_THREADS = 2;
/** Clips that are sampled at once. */
const DEVICE_BATCH = 32;

/** Clips as they are learnt from: embedded, each with its caption, and judged. */
export interface JudgedClips extends EmbeddedPairs {
  /** `[n]`, the judge's total of each. */
  readonly totals: NdArray<'float32'>;
}

/** How well pairs are ranked. */
export interface PairMeasurement {
  readonly clips: number;
  /** Pairs that the judge tells apart. */
  readonly pairs: number;
  /** Share that is ranked as the judge ranks it. */
  readonly accuracy: number;
}

/** What a fit found: `measurements.json`. */
export interface PreferenceMeasurements {
  /** Share of the training labels that were turned round. */
  readonly mislabelled: number;
  readonly train: PairMeasurement;
  /** On prompts that were not trained on, by the judge without mistakes. */
  readonly heldOut: PairMeasurement;
}

/** What is said while it goes. */
export type PreferenceEvent =
  | {readonly kind: 'sampling'; readonly done: number; readonly total: number}
  | {readonly kind: 'update'; readonly updates: number; readonly fraction: number; readonly loss: number}
  | {readonly kind: 'ended'; readonly found: PreferenceMeasurements | undefined};

/** What to fit and where. */
export interface FitPreferenceRequest {
  readonly environment: Environment;
  readonly frozen: FrozenEncoder;
  readonly device: Device;
  /** The policy that makes the clips. */
  readonly policy: Params;
  /** Prompts of the split `train`, and of the split `heldOut`. */
  readonly prompts: number;
  readonly heldOut: number;
  /** Clips of each prompt. */
  readonly samples: number;
  readonly samplingSteps: number;
  /** Probability that a label is turned round, in [0, .5]. */
  readonly labelNoise: number;
  readonly plan: PreferencePlan;
  readonly seed: number;
  readonly folder: RunFolder;
  readonly signal: AbortSignal;
  /** Told what happens, in order. */
  readonly report: (event: PreferenceEvent) => void;
}

/**
 * Runs it. Clips that are in the folder from an earlier try are taken as they are; the training begins anew, with the same result.
 *
 * @returns what was found; undefined if the signal aborts first.
 * @throws ConfigError if the world has no judge, if the clips in the folder are others than these, or if no pair differs.
 */
export async function fitPreference(request: FitPreferenceRequest): Promise<PreferenceMeasurements | undefined> {
  const {frozen, device, samples, labelNoise, plan, seed, folder, signal, report} = request;
  const origin = originOf(request);
  const clips = await clipsOf(request, origin);
  const pairsOf = ({totals: {data}}: JudgedClips): PreferencePair[] =>
    comparedPairs(
      data,
      Array.from(data, (_, i) => `${Math.floor(i / samples)}`),
      'all',
    ).pairs;
  const pairs = clips && pairsOf(clips.train);
  const heldOutPairs = clips && pairsOf(clips.heldOut);
  if (pairs?.length === 0 || heldOutPairs?.length === 0) {
    throw new ConfigError('fit: wanted clips of one prompt that the judge tells apart; all score alike; take more prompts.');
  }
  const labels = pairs && mislabelled(pairs, labelNoise, seed);
  const params =
    clips &&
    labels &&
    (await trainPreference(device, clips.train, labels, plan, seed, signal, (updates, loss) =>
      report({kind: 'update', updates, fraction: updates / plan.steps, loss}),
    ));
  if (!clips || !pairs || !labels || !heldOutPairs || !params) {
    report({kind: 'ended', found: undefined});
    return undefined;
  }
  const measured = async (set: JudgedClips, wanted: typeof pairs): Promise<PairMeasurement> => ({
    clips: set.totals.data.length,
    pairs: wanted.length,
    accuracy: pairAccuracy(await preferenceScores(device, params, set), wanted),
  });
  const found: PreferenceMeasurements = {
    mislabelled: labels.filter(({better}, i) => better !== pairs[i].better).length / labels.length,
    train: await measured(clips.train, pairs),
    heldOut: await measured(clips.heldOut, heldOutPairs),
  };
  await writePreferenceModel(join(folder.path, 'preference.safetensors'), params, frozen, {
    ...origin,
    labelNoise: String(labelNoise),
    trainPairs: String(pairs.length),
    heldOutPairs: String(heldOutPairs.length),
    heldOutAccuracy: found.heldOut.accuracy.toFixed(4),
  });
  await writeAtomically(join(folder.path, 'measurements.json'), [`${JSON.stringify(found, null, 2)}\n`]);
  report({kind: 'ended', found});
  return found;
}

/** What clips were made of; they serve again only where all of it is the same. */
const originOf = (request: FitPreferenceRequest): Readonly<Record<string, string>> => ({
  environment: request.environment.name,
  preset: request.environment.preset,
  encoderHash: hashParams(request.frozen.params),
  policyHash: hashParams(request.policy),
  prompts: String(request.prompts),
  heldOut: String(request.heldOut),
  samples: String(request.samples),
  samplingSteps: String(request.samplingSteps),
  seed: String(request.seed),
});

interface ClipSets {
  readonly train: JudgedClips;
  readonly heldOut: JudgedClips;
}

/** Clips from the folder, or made and put there; undefined if the signal aborts first. */
async function clipsOf(request: FitPreferenceRequest, origin: Readonly<Record<string, string>>): Promise<ClipSets | undefined> {
  const {environment, frozen, device, prompts, heldOut, folder} = request;
  const path = join(folder.path, 'features.safetensors');
  if (existsSync(path)) return readClipSets(path, origin);
  const judge = environment.openJudge?.(JUDGE_THREADS);
  if (!judge) throw new ConfigError(`fit: the environment ${environment.name} has no judge to stand for annotations.`);
  const session = await openEncoderSession(device, frozen.encoder, frozen.params);
  try {
    const total = prompts + heldOut;
    const train = await judgedClips(request, session, judge, environment.prompts('train', prompts), {done: 0, total});
    const rest = environment.prompts('heldOut', heldOut);
    const measured = train && (await judgedClips(request, session, judge, rest, {done: prompts, total}));
    if (!train || !measured) return undefined;
    const sets = {train, heldOut: measured};
    await writeWeights(path, {train: {...train}, heldOut: {...measured}}, {metadata: origin});
    return sets;
  } finally {
    await session.close();
    await judge.close();
  }
}

/** Samples of a policy, those of one prompt side by side. */
async function judgedClips(
  {environment, device, policy, samples, samplingSteps, seed, signal, report}: FitPreferenceRequest,
  session: EncoderSession,
  judge: Judge,
  prompts: readonly Prompt[],
  {done, total}: {readonly done: number; readonly total: number},
): Promise<JudgedClips | undefined> {
  const atOnce = Math.max(1, Math.floor(DEVICE_BATCH / samples));
  const how = {policy, prompts, samples, steps: samplingSteps, seed, purpose: 'preference', atOnce};
  const parts: JudgedClips[] = [];
  if (signal.aborted) return undefined;
  let made = done;
  for await (const {videos, prompts: own} of policySamples({environment, device, ...how})) {
    const judgements = await judge.judge(videos, own);
    parts.push({
      text: await session.embedTexts(own.map(({text}) => text)),
      video: await session.embedVideos(videos),
      totals: float32(judgements.map((scores) => scores['total'] as number)),
    });
    report({kind: 'sampling', done: (made += own.length / samples), total});
    if (signal.aborted && made < done + prompts.length) return undefined;
  }
  const all = (of: keyof JudgedClips): NdArray<'float32'> => concatRows(parts.map((part) => part[of]));
  return {text: all('text'), video: all('video'), totals: all('totals')};
}

async function readClipSets(path: string, origin: Readonly<Record<string, string>>): Promise<ClipSets> {
  const {params, metadata} = await readWeights(path);
  for (const [key, wanted] of Object.entries(origin)) {
    if (metadata[key] === wanted) continue;
    throw new ConfigError(`features ${path}: wanted ${key} ${wanted}; got ${metadata[key] ?? 'none'}; make them anew.`);
  }
  const set = (name: string, prompts: number): JudgedClips => {
    const found = (params[name] ?? {}) as Partial<Record<keyof JudgedClips, NdArray<'float32'>>>;
    const count = prompts * Number(origin['samples']);
    const {text, video, totals} = found;
    if (text?.shape[0] !== count || video?.shape.join() !== text.shape.join() || totals?.shape.join() !== String(count))
      throw new CorruptFileError(`features ${path}: wanted ${count} judged clips called ${name}.`);
    return {text, video, totals};
  };
  return {train: set('train', Number(origin['prompts'])), heldOut: set('heldOut', Number(origin['heldOut']))};
}
