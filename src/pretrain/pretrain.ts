/**
 * A pre-training run in its folder: train, measure, save, and take up again. Ships nothing by itself: it writes weights at
 * intervals, with what the judge says of each, and whoever ships one chooses.
 */
import {join} from 'node:path';
import type {Environment} from '../environment.js';
import type {Device} from '../engine/device.js';
import {measureGates, type GateReport} from '../evaluate/gates.js';
import {clipOf, contactSheet} from '../report/pictures.js';
import {createGenerator} from '../rollout/generate.js';
import {noiseless} from '../rollout/noiseless.js';
import {packPolicyFor, putPolicy} from '../rollout/residentPolicy.js';
import type {RunFolder} from '../run/runFolder.js';
import {writeWeights} from '../run/weights.js';
import {writeAtomically} from '../run/writeAtomically.js';
import {toBytes} from '../tensor/pixels.js';
import type {Params} from '../tensor/tree.js';
import type {PretrainPlan} from './schedule.js';
import {trainInFolder} from './trainInFolder.js';
import {openPolicyTrainer, type PolicyTrainer, type PretrainProgress} from './trainPolicy.js';

/** Sampling steps of the judged clips, and prompts of a sheet. */
const STEPS = 16;
const SHOWN = 16;
/** Worker threads that render clips, and that judge. */
const RENDER_THREADS = 1;
const JUDGE_THREADS = 2;

/** What is said while it goes. */
export type PretrainEvent =
  | {readonly kind: 'started'; readonly totalUpdates: number; readonly updates: number; readonly folder: string}
  | {readonly kind: 'update'; readonly progress: PretrainProgress; readonly fraction: number}
  | {
      readonly kind: 'measured';
      readonly clips: number;
      readonly heldOut: readonly number[];
      readonly gates: GateReport | undefined;
      readonly weights: string;
    }
  | {readonly kind: 'ended'; readonly interrupted: boolean; readonly updates: number};

/** What to train and where. */
export interface PretrainRequest {
  readonly environment: Environment;
  readonly device: Device;
  readonly plan: PretrainPlan;
  readonly seed: number;
  readonly folder: RunFolder;
  readonly resume: boolean;
  /** Clips between measurements and saved weights. */
  readonly every: number;
  /** Held-out prompts that the judge measures; 0: none. */
  readonly prompts: number;
  readonly signal: AbortSignal;
  /** Told what happens, in order. */
  readonly report: (event: PretrainEvent) => void;
}

/** Runs it until the plan is done or the signal aborts; state is saved either way. */
export async function pretrain(request: PretrainRequest): Promise<void> {
  const {environment, device, plan, seed, folder, report, signal, resume, every} = request;
  const updates = await trainInFolder<PretrainProgress, PolicyTrainer>({
    folder,
    resume,
    signal,
    every,
    open: (start) => openPolicyTrainer(environment, device, plan, {seed, ...start}, RENDER_THREADS),
    started: (totalUpdates, done) => report({kind: 'started', totalUpdates, updates: done, folder: folder.path}),
    updated(progress) {
      report({kind: 'update', progress, fraction: progress.plan.progress});
      return {
        'train/loss': progress.loss,
        'train/gradientNorm': progress.gradientNorm,
        'train/stills': progress.stills,
        'train/clips': progress.clips,
      };
    },
    seen: (progress) => progress.clips,
    measure: async (trainer, {clips}) => report(await measure(request, await trainer.averaged(), await trainer.heldOut(), clips)),
  });
  report({kind: 'ended', interrupted: signal.aborted, updates});
}

/** Saves the averaged weights in half precision, reads what the judge says of them, and draws a sheet. */
async function measure(
  {environment, device, folder, prompts}: PretrainRequest,
  params: Params,
  heldOut: readonly number[],
  clips: number,
): Promise<PretrainEvent> {
  const name = `policy-${String(clips).padStart(7, '0')}`;
  const weights = join(folder.path, `${name}.safetensors`);
  await writeWeights(weights, params, {
    floats: 'F16',
    metadata: {environment: environment.name, preset: environment.preset, clips: String(clips)},
  });
  if (prompts === 0 || !environment.openJudge) return {kind: 'measured', clips, heldOut, gates: undefined, weights};
  const layout = packPolicyFor(environment, params);
  const policy = await putPolicy(device, params, layout);
  const judge = environment.openJudge(JUDGE_THREADS);
  try {
    const generate = createGenerator(environment, device, layout, 'gaussian', 1);
    const gates = await measureGates({environment, generate, policy, judge, prompts, steps: STEPS});
    const shown = environment.prompts('heldOut', SHOWN);
    const {videos} = await generate(policy, noiseless({prompts: shown, steps: STEPS, seed: 0, purpose: 'sheet'}));
    const bytes = toBytes(videos);
    const rows = shown.map((prompt, i) => ({caption: prompt.text, clips: [clipOf(bytes, i)]}));
    await writeAtomically(join(folder.samples, `${name}.png`), [(await contactSheet(rows, {minimumSide: 48})).bytes]);
    return {kind: 'measured', clips, heldOut, gates, weights};
  } finally {
    await judge.close();
    await device.free(policy);
  }
}
