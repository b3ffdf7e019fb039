/**
 * Whether the two rewards pull a policy the same way: the cosine of their gradients, the paper's figure 10, with transport and
 * without, and of each with the gradient of plain training on good clips.
 *
 * @source PISCES, arXiv:2602.01624, figure 10.
 */
import * as tf from '@tensorflow/tfjs-core';
import '../autograd/index.js';
import type {Device} from '../engine/device.js';
import type {Environment} from '../environment.js';
import {ConfigError} from '../errors.js';
import {intervalOf, resample, type Interval} from '../evaluate/bootstrap.js';
import {addNoise, flowMatchingError} from '../numeric/forwardProcess.js';
import {heatMap} from '../report/heatMap.js';
import type {DifferentiableReward} from '../reward.js';
import {jointForm, type JointForm} from '../rewards/jointForm.js';
import {packedPolicy, packPolicyFor, policyTensors, type PolicyPacking} from '../rollout/residentPolicy.js';
import {float32, ndarray, sizeOf, type NdArray} from '../tensor/ndarray.js';
import {asVideo} from '../tensor/pixels.js';
import {normals, uniforms} from '../tensor/random.js';
import type {Branch, Params} from '../tensor/tree.js';
import type {Study, StudyProgress} from './study.js';
import {claim} from './verdict.js';

/** The rewards that are compared: with transport and, in the same order, without. */
export const comparedRewards = ['quality', 'semantic', 'similarity', 'matching'] as const;
/** One of them. */
export type ComparedReward = (typeof comparedRewards)[number];

const SUPERVISED = 'good clips';
const objectives = [...comparedRewards, SUPERVISED] as const;
type Objective = (typeof objectives)[number];

/** Noise levels that clips are brought to. */
const TIMES = {from: 0.05, to: 0.95};

/** What to measure. */
export interface GradientsStudyRequest {
  readonly environment: Environment;
  readonly device: Device;
  /** Weights of the policy whose parameters the gradients are of. */
  readonly policy: Params;
  readonly rewards: Readonly<Record<ComparedReward, DifferentiableReward>>;
  /** Batches; each gives one gradient of each objective. */
  readonly batches: number;
  /** Clips of a batch. */
  readonly clips: number;
  /** Smallest difference of a cosine that counts. */
  readonly margin: number;
  readonly seed: number;
  /** Draws of the bootstrap over batches. */
  readonly draws: number;
  readonly report: (progress: StudyProgress) => void;
}

/**
 * Inner products of the gradients of all objectives, ascending: of the mean of each reward of one-step predictions decode(x̂0(x_t)),
 * and of less the error of x̂0, as pre-training weighs it.
 *
 * inputs `{trained, frozen, reward, batch}`, `batch`: `video` uint8 `[B, F, H, W, C]`, `noise` of that shape, `time [B]`, `tokens`,
 * `prompts` as the rewards encode them → `{products: [5, 5]}`.
 */
function gradientProducts(
  {environment}: GradientsStudyRequest,
  layout: PolicyPacking,
  joint: JointForm,
): (inputs: Branch<tf.Tensor>) => Branch<tf.Tensor> {
  return (inputs) => {
    const batch = inputs['batch'] as Branch<tf.Tensor>;
    const [time, noise] = [batch['time'], batch['noise']] as tf.Tensor[];
    const clean = asVideo(batch['video'] as tf.Tensor);
    const latent = addNoise(clean, noise, time);
    const gradientOf = (objective: Objective): tf.Tensor =>
      tf.grad((trained) => {
        const {policy} = environment;
        const params = policyTensors({trained, frozen: inputs['frozen'] as tf.Tensor}, layout);
        const predicted = policy.denoise(params, latent, time, policy.encode(params, batch['tokens'] as tf.Tensor));
        if (objective === SUPERVISED) {
          return tf.neg(tf.mean(flowMatchingError(predicted, clean, time)));
        }
        const scores = joint.scores(
          inputs['reward'] as Branch<tf.Tensor>,
          environment.decodeInGraph!(predicted),
          batch['prompts'] as Branch<tf.Tensor>,
        );
        return tf.mean(scores[objective]);
      })(inputs['trained'] as tf.Tensor);
    const gradients = tf.stack(objectives.map(gradientOf));
    return {products: tf.matMul(gradients, gradients, false, true)};
  };
}

/** Cosines `[5·5]` of a batch, from inner products. */
function cosines(products: NdArray): Float64Array {
  const n = objectives.length;
  const norms = objectives.map((_, i) => Math.sqrt(products.data[i * n + i]));
  return Float64Array.from({length: n * n}, (_, k) => products.data[k] / (norms[Math.floor(k / n)] * norms[k % n]));
}

/**
 * Runs the study.
 *
 * @throws ConfigError if the world makes no clips, decodes outside the graph, or has latents that are not its clips.
 */
export async function gradientsStudy(request: GradientsStudyRequest): Promise<Study> {
  const {environment, device, policy, rewards, batches, clips, margin, seed, draws, report} = request;
  const {name, latentShape, videoShape} = environment;
  if (!environment.openClips || !environment.decodeInGraph || latentShape.join() !== videoShape.join())
    throw new ConfigError(
      `study: wanted a world that makes clips which are its latents, and decodes in the graph; ${name} does not.`,
    );
  const layout = packPolicyFor(environment, policy);
  const joint = jointForm(rewards);
  const fixed = await device.put({...packedPolicy(policy, layout), reward: joint.params});
  const source = environment.openClips('curated', 1);
  const measure = device.jit('study/gradients', gradientProducts(request, layout, joint));
  const found: Float64Array[] = [];
  try {
    for (let batch = 0; batch < batches; batch++) {
      const {videos, texts} = await source.clips(
        Array.from({length: clips}, (_, i) => batch * clips + i),
        false,
      );
      const key = (purpose: string) => ({seed, purpose, iteration: batch});
      const {outputs} = await measure({
        ...fixed,
        batch: {
          video: videos,
          noise: ndarray('float32', videos.shape, normals(key('studyNoise'), new Float32Array(sizeOf(videos.shape)))),
          time: float32(uniforms(key('studyTime'), new Float32Array(clips)).map((u) => TIMES.from + (TIMES.to - TIMES.from) * u)),
          tokens: environment.policy.tokenize(texts),
          prompts: joint.encode(texts.map((text, i) => ({id: `curated-${batch * clips + i}`, text}))),
        },
      });
      found.push(cosines(outputs['products'] as NdArray));
      report({stage: 'gradients', done: batch + 1, total: batches});
    }
  } finally {
    await source.close();
    await device.free(fixed);
  }
  return describe(found, {margin, seed, draws});
}

const pairs: readonly (readonly [Objective, Objective])[] = [
  ['quality', 'semantic'],
  ['similarity', 'matching'],
  ...comparedRewards.map((reward) => [reward, SUPERVISED] as const),
];

const pairName = ([a, b]: readonly [Objective, Objective]): string => `${a}, ${b}`;
const cellOf = ([a, b]: readonly [Objective, Objective]): number =>
  objectives.indexOf(a) * objectives.length + objectives.indexOf(b);

/** Tables, claims and picture of cosines by batch. */
async function describe(
  found: readonly Float64Array[],
  {margin, seed, draws}: Pick<GradientsStudyRequest, 'margin' | 'seed' | 'draws'>,
): Promise<Study> {
  const meanOf = (cell: number, indices: ArrayLike<number>, value = (cosine: number): number => cosine): number => {
    let sum = 0;
    for (let i = 0; i < indices.length; i++) sum += value(found[indices[i]][cell]);
    return sum / indices.length;
  };
  const cells = pairs.map(cellOf);
  const resampled = resample(
    found.length,
    (indices) => [
      ...cells.map((cell) => meanOf(cell, indices)),
      ...cells.map((cell) => meanOf(cell, indices, (cosine) => Number(cosine < 0))),
    ],
    seed,
    draws,
  );
  const cosineOf = (i: number): Interval => intervalOf(resampled, (all) => all[i]);
  const difference = (i: number, j: number): Interval => intervalOf(resampled, (all) => all[i] - all[j]);
  const all = Int32Array.from({length: found.length}, (_, i) => i);
  const claims = [
    claim({
      name: 'the rewards do not fight',
      says: `the cosine of ${pairName(pairs[0])} is not below 0 by more than the margin`,
      paper: 'near 0, at the end .0074',
      measured: cosineOf(0),
      threshold: -margin,
    }),
    claim({
      name: 'transport makes them agree',
      says: `the cosine of ${pairName(pairs[0])} is above that of ${pairName(pairs[1])}`,
      paper: '',
      measured: difference(0, 1),
      threshold: margin,
    }),
    claim({
      name: 'transport turns to good clips (quality)',
      says: `the cosine of ${pairName(pairs[2])} is above that of ${pairName(pairs[4])}`,
      paper: '',
      measured: difference(2, 4),
      threshold: margin,
    }),
    claim({
      name: 'transport turns to good clips (semantic)',
      says: `the cosine of ${pairName(pairs[3])} is above that of ${pairName(pairs[5])}`,
      paper: '',
      measured: difference(3, 5),
      threshold: margin,
    }),
  ];
  return {
    name: 'gradients',
    source: 'PISCES, figure 10',
    tables: [
      {
        title: `cosines of gradients, the mean over ${found.length} batches`,
        rows: pairs.map((pair, i) => ({
          gradients: pairName(pair),
          cosine: cosineOf(i),
          'share below 0': intervalOf(resampled, (each) => each[pairs.length + i]),
        })),
      },
    ],
    claims,
    verdict: {question: 'do the gradients of the two rewards not fight, as the paper says?', answer: claims[0].verdict},
    pictures: {
      'cosines.png': await heatMap({
        title: 'cosines of gradients',
        columnLabel: '',
        rowLabel: '',
        columns: objectives.map(shortName),
        rows: objectives.map(shortName),
        values: objectives.map((_r, r) => objectives.map((_c, c) => meanOf(r * objectives.length + c, all))),
        digits: 3,
      }),
    },
  };
}

/** As long as a cell of the picture is wide. */
const shortName = (objective: Objective): string =>
  ({similarity: 'similar', [SUPERVISED]: 'clips'})[objective as string] ?? objective;
