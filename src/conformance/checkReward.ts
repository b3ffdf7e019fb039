/** Whether a reward keeps the second contract. */
import * as tf from '@tensorflow/tfjs-core';
import '../autograd/index.js';
import type {Device} from '../engine/device.js';
import type {Environment, Prompt} from '../environment.js';
import type {DifferentiableReward, Reward, RewardModule} from '../reward.js';
import {take, type NdArray} from '../tensor/ndarray.js';
import type {Branch} from '../tensor/tree.js';
import {rewardContext, unturned} from '../tune/rewardContext.js';
import {allFinite, findingsOf, isIdentifier, largestGap, sameData, type Findings} from './findings.js';
import {onDevice} from './onDevice.js';
import {testNoise} from './testNoise.js';

/** Videos of a check. */
const COUNT = 6;
/** The two forms of a reward, and a score after reordering, may differ by float32 rounding, relative to the scores' size. */
const SLACK = 1e-4;
/** Relative width of the agreement with finite differences. */
const SLOPE_SLACK = 0.02;

/** What an author knows and a check cannot. */
export interface RewardExamples {
  /** Videos of which each of `better` must score above the one of `worse`, for the prompt beside it. */
  readonly better: NdArray<'float32'>;
  readonly worse: NdArray<'float32'>;
  readonly prompts: readonly Prompt[];
}

/**
 * Runs every check of a reward in a world.
 *
 * @param environment whose videos it scores; a small one.
 * @param options.examples pairs that show that higher is better.
 * @param options.device where its networks and its differentiable form run; default: a device of its own.
 * @throws ContractError that lists all faults.
 */
export async function checkReward(
  module: RewardModule,
  environment: Environment,
  options: {readonly examples?: RewardExamples; readonly device?: Device} = {},
): Promise<void> {
  const found = findingsOf(`reward "${module.name}"`);
  found.check(isIdentifier(module.name), `name: wanted an identifier such as brightness; got "${module.name}"`);
  found.check(module.unit !== '', 'unit: wanted one, such as 1 or px; got none');
  found.check(/^\S[^\n]*$/.test(module.summary), 'summary: wanted one line; got none, or several');
  await onDevice(options.device, async (device) => {
    const opened = rewardContext(environment, device, {reward: module.name, ...unturned});
    try {
      const reward = await found.part('open', () => module.open(opened.context));
      if (reward) await checkOpened(found, module, reward, {...options, environment, device});
    } finally {
      await opened.close();
    }
  });
  found.finish();
}

async function checkOpened(
  found: Findings,
  module: RewardModule,
  reward: Reward,
  {environment, device, examples}: {environment: Environment; device: Device; examples?: RewardExamples},
): Promise<void> {
  found.check(reward.name === module.name, `name: wanted ${module.name}, as registered; got ${reward.name}`);
  found.check(reward.unit === module.unit, `unit: wanted ${module.unit}, as registered; got ${reward.unit}`);
  const prompts = repeated(environment.prompts('train', 3), COUNT);
  const videos = environment.decode(testNoise('reward', [COUNT, ...environment.latentShape], 0.4));
  const scores = await found.part('score', () => checkScore(found, reward, videos, prompts));
  if (examples) await found.part('examples', () => checkExamples(found, reward, examples));
  const {differentiable} = reward;
  if (scores && differentiable) {
    await found.part('differentiable', () => checkDifferentiable(found, differentiable, {videos, prompts, scores, device}));
  }
  await found.part('close', () => reward.close?.());
}

const repeated = (prompts: readonly Prompt[], count: number): Prompt[] =>
  Array.from({length: count}, (_, i) => prompts[i % prompts.length]);

/** The size that differences of scores are measured by. */
const sizeOfScores = (scores: ArrayLike<number>): number => Array.from(scores).reduce((m, x) => Math.max(m, Math.abs(x)), 1e-3);

async function checkScore(
  found: Findings,
  reward: Reward,
  videos: NdArray<'float32'>,
  prompts: readonly Prompt[],
): Promise<Float32Array | undefined> {
  const before = videos.data.slice();
  const scores = await reward.score(videos, prompts);
  found.check(scores instanceof Float32Array, 'score: wanted a Float32Array; got something else');
  found.check(scores.length === COUNT, `score: wanted ${COUNT} scores, one a video; got ${scores.length}`);
  if (scores.length !== COUNT) return undefined;
  found.check(allFinite(scores), `score: wanted finite scores; got ${Array.from(scores).join(', ')}`);
  found.check(sameData(videos.data, before), 'score: wanted the videos untouched; it writes into them');
  found.check(sameData(await reward.score(videos, prompts), scores), 'score: wanted the same scores at every call; they changed');
  const order = [4, 2, 5, 0, 3, 1];
  const moved = await reward.score(
    take(videos, order),
    order.map((i) => prompts[i]),
  );
  found.check(
    largestGap(
      moved,
      order.map((i) => scores[i]),
    ) <=
      SLACK * sizeOfScores(scores),
    'score: wanted each score to go with its video; reordering the videos changes them',
  );
  found.check(
    scores.some((x) => x !== scores[0]),
    `score: wanted different videos to differ; all score ${scores[0]}`,
  );
  return scores;
}

async function checkExamples(found: Findings, reward: Reward, {better, worse, prompts}: RewardExamples): Promise<void> {
  const [high, low] = [await reward.score(better, prompts), await reward.score(worse, prompts)];
  high.forEach((score, i) =>
    found.check(score > low[i], `score: wanted higher to be better; example ${i} scores ${score}, the worse one ${low[i]}`),
  );
}

async function checkDifferentiable(
  found: Findings,
  reward: DifferentiableReward,
  given: {
    readonly videos: NdArray<'float32'>;
    readonly prompts: readonly Prompt[];
    readonly scores: Float32Array;
    readonly device: Device;
  },
): Promise<void> {
  const {videos, prompts, scores, device} = given;
  const scoreOf = (inputs: Branch<tf.Tensor>, video: tf.Tensor): tf.Tensor =>
    reward.score(inputs['params'] as Branch<tf.Tensor>, video, inputs['prompts'] as Branch<tf.Tensor>);
  const both = device.jit('reward', (inputs) => {
    const video = inputs['video'] as tf.Tensor;
    return {scores: scoreOf(inputs, video), gradient: tf.grad((v: tf.Tensor) => tf.sum(scoreOf(inputs, v)))(video)};
  });
  const run = async (video: NdArray<'float32'>): Promise<{scores: NdArray<'float32'>; gradient: NdArray<'float32'>}> =>
    (await both({params: reward.params, prompts: reward.encode(prompts), video})).outputs as never;

  const here = await run(videos);
  found.check(
    here.scores.shape.join() === String(COUNT),
    `differentiable: wanted [${COUNT}]; got [${here.scores.shape.join(', ')}]`,
  );
  if (here.scores.data.length !== COUNT) return;
  found.check(
    largestGap(here.scores.data, scores) <= SLACK * sizeOfScores(scores),
    `differentiable: wanted the scores of score, ${Array.from(scores).join(', ')}; got ${Array.from(here.scores.data).join(', ')}`,
  );
  const gradient = here.gradient.data;
  found.check(allFinite(gradient), 'differentiable: wanted a finite gradient; got another');
  const norm = Math.sqrt(gradient.reduce((sum, g) => sum + g * g, 0));
  found.check(norm > 0, 'differentiable: wanted a gradient; it is 0 for every pixel');
  if (!(norm > 0)) return;
  // Along its own gradient a function rises at the rate of the gradient's norm. The step moves pixels by .01 (rms), or less where
  // scores would change by more than a fiftieth of their size: networks are steep and bend soon.
  const length = Math.min(0.01 * Math.sqrt(gradient.length), (0.02 * COUNT * sizeOfScores(scores)) / norm);
  const shifted = (by: number): NdArray<'float32'> => ({
    ...videos,
    data: videos.data.map((x, i) => x + (by * length * gradient[i]) / norm),
  });
  const total = async (by: number): Promise<number> => (await run(shifted(by))).scores.data.reduce((a, b) => a + b, 0);
  const slope = ((await total(1)) - (await total(-1))) / (2 * length);
  const {heldConstant} = reward;
  found.check(
    heldConstant === undefined ? Math.abs(slope - norm) <= SLOPE_SLACK * norm : slope > 0,
    `differentiable: wanted the slope of the scores along the gradient to be ${heldConstant === undefined ? 'its norm' : `above 0, ${heldConstant} being held constant`}, ${norm}; finite differences give ${slope}`,
  );
}
