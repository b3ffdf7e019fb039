/**
 * A pre-training run of a video-text encoder in its folder. At intervals it writes the averaged weights, and what they can tell
 * apart; whoever ships an encoder chooses one.
 */
import {join} from 'node:path';
import type {Device} from '../engine/device.js';
import type {EncoderModule} from '../encoder.js';
import type {Environment} from '../environment.js';
import {diagnoseEncoder, type DiagnosticsOptions, type EncoderDiagnostics} from '../evaluate/encoderDiagnostics.js';
import {openEncoderSession} from '../evaluate/encoderSession.js';
import type {RunFolder} from '../run/runFolder.js';
import {writeWeights} from '../run/weights.js';
import {writeAtomically} from '../run/writeAtomically.js';
import type {Params} from '../tensor/tree.js';
import {openEncoderTrainer, type EncoderPlan, type EncoderProgress, type EncoderTrainer} from './trainEncoder.js';
import {trainInFolder} from './trainInFolder.js';

/** Worker threads that render clips, and that judge. */
const RENDER_THREADS = 1;
const JUDGE_THREADS = 2;

/** What is said while it goes. */
export type EncoderEvent =
  | {readonly kind: 'started'; readonly totalUpdates: number; readonly updates: number; readonly folder: string}
  | {readonly kind: 'update'; readonly progress: EncoderProgress}
  | {readonly kind: 'measured'; readonly pairs: number; readonly diagnostics: EncoderDiagnostics; readonly weights: string}
  | {readonly kind: 'ended'; readonly interrupted: boolean; readonly updates: number};

/** What to train and where. */
export interface PretrainEncoderRequest {
  readonly environment: Environment;
  readonly module: EncoderModule;
  readonly device: Device;
  readonly plan: EncoderPlan;
  readonly seed: number;
  readonly folder: RunFolder;
  readonly resume: boolean;
  /** Pairs between measurements and saved weights. */
  readonly every: number;
  /** How much is measured. */
  readonly diagnostics: DiagnosticsOptions;
  readonly signal: AbortSignal;
  /** Told what happens, in order. */
  readonly report: (event: EncoderEvent) => void;
}

/** Runs it until the plan is done or the signal aborts; state is saved either way. */
export async function pretrainEncoder(request: PretrainEncoderRequest): Promise<void> {
  const {environment, module, device, plan, seed, folder, report, signal, resume, every} = request;
  const updates = await trainInFolder<EncoderProgress, EncoderTrainer>({
    folder,
    resume,
    signal,
    every,
    open: (start) => openEncoderTrainer(environment, module, device, plan, {seed, ...start}, RENDER_THREADS),
    started: (totalUpdates, done) => report({kind: 'started', totalUpdates, updates: done, folder: folder.path}),
    updated(progress) {
      report({kind: 'update', progress});
      const {loss, contrast, matching, masked, maskedWords, gradientNorm} = progress.metrics;
      return {
        'train/loss': loss,
        'train/contrast': contrast,
        'train/matching': matching,
        'train/masked': masked,
        'train/maskedWords': maskedWords,
        'train/gradientNorm': gradientNorm,
        'train/pairs': progress.pairs,
      };
    },
    seen: (progress) => progress.pairs,
    measure: async (trainer, {pairs}) => report(await measure(request, await trainer.averaged(), pairs)),
  });
  report({kind: 'ended', interrupted: signal.aborted, updates});
}

/** Saves the averaged weights in half precision, and examines them. */
async function measure(request: PretrainEncoderRequest, params: Params, pairs: number): Promise<EncoderEvent> {
  const {environment, module, device, folder, diagnostics: options} = request;
  const name = `encoder-${module.name}-${String(pairs).padStart(7, '0')}`;
  const weights = join(folder.path, `${name}.safetensors`);
  await writeWeights(weights, params, {
    floats: 'F16',
    metadata: {environment: environment.name, preset: environment.preset, encoder: module.name, pairs: String(pairs)},
  });
  const session = await openEncoderSession(device, module.encoder, params);
  const judge = options.degraded > 0 ? environment.openJudge?.(JUDGE_THREADS) : undefined;
  try {
    const diagnostics = await diagnoseEncoder(session, environment, judge, options);
    await writeAtomically(join(folder.path, `${name}.json`), [
      new TextEncoder().encode(`${JSON.stringify(diagnostics, null, 2)}\n`),
    ]);
    return {kind: 'measured', pairs, diagnostics, weights};
  } finally {
    await judge?.close();
    await session.close();
  }
}
