/**
 * A fit of a transport map in its folder: embeddings are made once and kept, the map is trained or solved, and what it does to
 * held-out pairs is measured at intervals. Every measured map is written; `map.safetensors` is the one that is preferred.
 */
import {existsSync} from 'node:fs';
import {readFile} from 'node:fs/promises';
import {join} from 'node:path';
import type {FrozenEncoder} from '../encoder.js';
import type {Device} from '../engine/device.js';
import type {Environment} from '../environment.js';
import {ConfigError} from '../errors.js';
import {openEncoderSession} from '../evaluate/encoderSession.js';
import {trainInFolder} from '../pretrain/trainInFolder.js';
import {listCheckpoints} from '../run/checkpoint.js';
import {hashParams} from '../run/hashParams.js';
import type {RunFolder} from '../run/runFolder.js';
import {readWeights, writeWeights} from '../run/weights.js';
import {writeAtomically} from '../run/writeAtomically.js';
import type {Params} from '../tensor/tree.js';
import {transportMap, type MapName} from '../transport/maps/transportMap.js';
import {
  clipPairs,
  collectPairs,
  readFeatures,
  writeFeatures,
  type CaptionedPairs,
  type FeatureOrigin,
  type FitFeatures,
} from './embedPairs.js';
import {fitMap, isTrained, type SolvedFit, type SolvedMapOptions} from './fitMap.js';
import {measureMap, preference, type MapMeasurement} from './measureMap.js';
import {openMapTrainer, type MapPlan, type MapProgress, type MapTrainer} from './trainMap.js';

/** Worker threads that render clips. */
const RENDER_THREADS = 1;

/** Streams of clips that a map can be fitted to. */
export const fitStreams = ['curated', 'pairs', 'train', 'validation'] as const;

/** A measured map of one fit. */
export interface MeasuredStep extends MapMeasurement {
  /** Steps done; 1 for a map that is solved. */
  readonly step: number;
  /** Name of its file in the folder. */
  readonly file: string;
}

/** What a fit found: `measurements.json`. */
export interface FitMeasurements {
  readonly map: MapName;
  /** Held-out pairs, and neighbours of the mutual kNN. */
  readonly heldOut: number;
  readonly neighbours: number;
  /** The encoder's space as it is. */
  readonly untransported: MapMeasurement;
  readonly steps: readonly MeasuredStep[];
  /** Step of the map that is preferred so far. */
  readonly chosen: number | null;
}

/** What is said while it goes. */
export type FitEvent =
  | {readonly kind: 'embedding'; readonly done: number; readonly total: number}
  | {readonly kind: 'started'; readonly totalUpdates: number; readonly updates: number; readonly untransported: MapMeasurement}
  | {readonly kind: 'update'; readonly progress: MapProgress}
  | {readonly kind: 'solved'; readonly solver: NonNullable<SolvedFit['solver']>}
  | {readonly kind: 'measured'; readonly measured: MeasuredStep}
  | {readonly kind: 'ended'; readonly interrupted: boolean; readonly found: FitMeasurements | undefined};

/** What to fit and where. */
export interface FitTransportRequest {
  readonly environment: Environment;
  readonly frozen: FrozenEncoder;
  readonly device: Device;
  readonly map: MapName;
  readonly plan: MapPlan;
  readonly solved: SolvedMapOptions;
  readonly seed: number;
  /** Stream of clips that stand for real videos. */
  readonly clips: (typeof fitStreams)[number];
  /** Clips to fit to, and the first clips of the stream, which are kept to measure on. */
  readonly pairs: number;
  readonly heldOut: number;
  /** Neighbours of the mutual kNN. */
  readonly neighbours: number;
  /** Steps between measurements. */
  readonly every: number;
  /** A file of features of an earlier fit of the same pairs, instead of making them; default: they are made, and kept in the folder. */
  readonly features?: string | undefined;
  readonly folder: RunFolder;
  readonly resume: boolean;
  readonly signal: AbortSignal;
  /** Told what happens, in order. */
  readonly report: (event: FitEvent) => void;
}

/**
 * Runs it until the map is fitted or the signal aborts; what there is by then is saved.
 *
 * @returns the measurements; undefined if it was interrupted before the first one.
 * @throws ConfigError if the world makes no clips, or the features are others than these.
 */
export async function fitTransport(request: FitTransportRequest): Promise<FitMeasurements | undefined> {
  const {map, plan, seed, folder, signal, report, device} = request;
  const features = await featuresOf(request);
  if (!features) {
    report({kind: 'ended', interrupted: true, found: undefined});
    return undefined;
  }
  const book = await openMeasurements(request, features.heldOut);
  if (isTrained(map)) {
    await trainInFolder<MapProgress, MapTrainer>({
      folder,
      resume: request.resume && (await listCheckpoints(folder.checkpoints)).length > 0,
      signal,
      every: request.every,
      async open(start) {
        const trainer = await openMapTrainer(device, map, plan, features.train, {seed, ...start});
        // A process that was killed between a checkpoint and its measurement owes it.
        const {updates = 0} = start;
        const due = updates > 0 && (updates % request.every === 0 || updates === plan.steps);
        if (due && !book.has(updates)) await book.measure(updates, await trainer.params());
        return trainer;
      },
      started: (totalUpdates, updates) =>
        report({kind: 'started', totalUpdates, updates, untransported: book.found().untransported}),
      updated(progress) {
        report({kind: 'update', progress});
        return Object.fromEntries(Object.entries(progress.metrics).map(([name, value]) => [`train/${name}`, value]));
      },
      seen: ({updates}) => updates,
      measure: async (trainer, {updates}) => book.measure(updates, await trainer.params()),
    });
  } else if (!book.has(1)) {
    report({kind: 'started', totalUpdates: 1, updates: 0, untransported: book.found().untransported});
    const {params, solver} = fitMap(map, features.train, request.solved);
    if (solver) report({kind: 'solved', solver});
    await book.measure(1, params);
  }
  const found = book.found();
  const interrupted = signal.aborted && found.steps.at(-1)?.step !== (isTrained(map) ? plan.steps : 1);
  report({kind: 'ended', interrupted, found});
  return found;
}

const originOf = ({environment, frozen, clips, pairs, heldOut}: FitTransportRequest): FeatureOrigin => ({
  environment: environment.name,
  preset: environment.preset,
  encoderHash: hashParams(frozen.params),
  clips,
  pairs: String(pairs),
  heldOut: String(heldOut),
});

/** Features from a file, or made and put into one; undefined if the signal aborts first. */
async function featuresOf(request: FitTransportRequest): Promise<FitFeatures | undefined> {
  const {environment, frozen, device, clips, pairs, heldOut, folder, signal, report} = request;
  const origin = originOf(request);
  const own = join(folder.path, 'features.safetensors');
  const given = request.features ?? (existsSync(own) ? own : undefined);
  if (given !== undefined) return readFeatures(given, origin);
  if (!environment.openClips) throw new ConfigError(`fit: environment "${environment.name}" makes no clips of its own.`);
  const source = environment.openClips(clips, RENDER_THREADS);
  const session = await openEncoderSession(device, frozen.encoder, frozen.params);
  try {
    const total = heldOut + pairs;
    const from = clipPairs(session, source);
    const collect = (first: number, count: number): Promise<CaptionedPairs | undefined> =>
      collectPairs(from, first, count, signal, (done) => report({kind: 'embedding', done: first + done, total}));
    const measured = await collect(0, heldOut);
    const fitted = measured && (await collect(heldOut, pairs));
    if (!measured || !fitted) return undefined;
    const features = {train: {text: fitted.text, video: fitted.video}, heldOut: measured};
    await writeFeatures(own, features, origin);
    return features;
  } finally {
    await session.close();
    await source.close();
  }
}

/** The measured maps of a folder, in memory and in its files. */
interface Measurements {
  has(step: number): boolean;
  /** Writes a map, measures it as it will be read, and notes both. */
  measure(step: number, params: Params): Promise<void>;
  found(): FitMeasurements;
}

async function openMeasurements(request: FitTransportRequest, pairs: CaptionedPairs): Promise<Measurements> {
  const {environment, frozen, device, map, plan, folder, resume, neighbours, clips, report} = request;
  const width = frozen.encoder.embeddingWidth;
  const path = join(folder.path, 'measurements.json');
  const identity = transportMap('identity', {}, width, 'identity');
  let found: FitMeasurements =
    resume && existsSync(path)
      ? (JSON.parse(await readFile(path, 'utf8')) as FitMeasurements)
      : {
          map,
          heldOut: pairs.captions.length,
          neighbours,
          untransported: await measureMap(device, identity, pairs, neighbours),
          steps: [],
          chosen: null,
        };
  const metadata = {
    map,
    environment: environment.name,
    preset: environment.preset,
    encoder: frozen.encoder.name,
    encoderHash: hashParams(frozen.params),
    width: String(width),
    ...(isTrained(map) && {hidden: String(plan.hidden)}),
    clips,
    pairs: String(request.pairs),
  };
  return {
    has: (step) => found.steps.some((row) => row.step === step),
    found: () => found,
    async measure(step, params) {
      const file = `map-${String(step).padStart(6, '0')}.safetensors`;
      await writeWeights(join(folder.path, file), params, {floats: 'F16', metadata: {...metadata, step: String(step)}});
      // Half precision is what ships, so it is what is measured.
      const written = transportMap(map, (await readWeights(join(folder.path, file))).params, width, file);
      const measured = {step, file, ...(await measureMap(device, written, pairs, neighbours))};
      const steps = [...found.steps.filter((row) => row.step !== step), measured].sort((a, b) => a.step - b.step);
      const best = steps.reduce((a, b) => (preference(b) > preference(a) ? b : a));
      await writeAtomically(join(folder.path, 'map.safetensors'), [await readFile(join(folder.path, best.file))]);
      found = {...found, steps, chosen: best.step};
      await writeAtomically(path, [`${JSON.stringify(found, null, 2)}\n`]);
      report({kind: 'measured', measured});
    },
  };
}
