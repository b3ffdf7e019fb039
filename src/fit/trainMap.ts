/** Trains a map of captions to videos that is a network, step by step, and yields its state. */
import type {Device, ResidentTree} from '../engine/device.js';
import {NonFiniteError, ShapeError} from '../errors.js';
import {initialiser} from '../models/initialise.js';
import {moments} from '../numeric/moments.js';
import {adamCorrections} from '../numeric/optim/adamw.js';
import {learningRate} from '../numeric/optim/learningRate.js';
import {float32, int32, scalar, type NdArray} from '../tensor/ndarray.js';
import {pack, packing, unpackArray, type Packing} from '../tensor/pack.js';
import {integers} from '../tensor/random.js';
import type {Params} from '../tensor/tree.js';
import {ADAM, adamState} from '../transport/maps/adam.js';
import {neuralStep} from '../transport/maps/neuralStep.js';
import {whiteningOf} from '../transport/maps/pairedLoss.js';
import {pairedStep} from '../transport/maps/pairedStep.js';
import {perceptronParams} from '../transport/maps/perceptron.js';

/** Kinds of maps that are trained. */
export type TrainedMap = 'neural' | 'l2' | 'kl' | 'moments';

const losses = {l2: 'squaredError', kl: 'featureDivergence', moments: 'gaussianDivergence'} as const;

/** The length of a training, its sizes and rates. */
export interface MapPlan {
  /** Outer steps; the learning rate falls by a cosine over them. */
  readonly steps: number;
  /** Texts of one update. */
  readonly batch: number;
  /** Updates of the map in one step; `neural` adds one of the potential. */
  readonly mapUpdates: number;
  /** Width of the two hidden layers. */
  readonly hidden: number;
  /** Learning rate of the first step; the last one's is a twentieth of it. */
  readonly learningRate: number;
  /** λ of the transport cost; of `neural` alone. */
  readonly costWeight: number;
  readonly weightDecay: number;
  readonly maxGradientNorm: number;
}

/** Embeddings of captions and of their clips: row i of both is a pair. */
export interface EmbeddedPairs {
  /** `[n, E]`. */
  readonly text: NdArray<'float32'>;
  /** `[n, E]`. */
  readonly video: NdArray<'float32'>;
}

/** One finished step. */
export interface MapProgress {
  /** Steps done. */
  readonly updates: number;
  /** Share of the training that is done. */
  readonly fraction: number;
  /** Means over the step's updates: `mapLoss`, `mapGradientNorm`, and, of `neural`, `cost`, `potentialLoss`, …. */
  readonly metrics: Readonly<Record<string, number>>;
}

/** A trainer between two steps. */
export interface MapTrainer {
  readonly totalUpdates: number;
  /** Does the next step. @throws NonFiniteError if a loss or a gradient is not finite; the state is then as before. */
  update(): Promise<MapProgress>;
  /** The map's parameters. */
  params(): Promise<Params>;
  /** Everything a checkpoint needs; restore it by passing it to `openMapTrainer` with the number of steps done. */
  state(): Promise<Params>;
  /** Gives the device's memory back. */
  close(): Promise<void>;
}

/** Where a trainer starts. */
export interface MapStart {
  readonly seed: number;
  readonly updates?: number;
  readonly state?: Params;
}

/** Share of the first learning rate that is left in the end. */
const FINAL_SHARE = 0.05;

/** The mean of a metric of several updates, or the metric itself. */
const mean = ({data}: NdArray): number => Array.from(data).reduce((sum, v) => sum + v, 0) / data.length;

/**
 * Builds a trainer. The embeddings are put on the device once; only indices of batches travel.
 *
 * @throws ShapeError if texts and videos differ in number or width.
 */
export async function openMapTrainer(
  device: Device,
  kind: TrainedMap,
  plan: MapPlan,
  pairs: EmbeddedPairs,
  start: MapStart,
): Promise<MapTrainer> {
  const {text, video} = pairs;
  const [count, width] = text.shape;
  if (text.shape.length !== 2 || video.shape.join() !== text.shape.join()) {
    throw new ShapeError(
      `map training: wanted pairs [n, E]; got texts [${text.shape.join(', ')}], videos [${video.shape.join(', ')}].`,
    );
  }
  const {steps, batch, mapUpdates: rounds, hidden} = plan;
  const draws = initialiser(start.seed);
  const network = (outputs: number): Params =>
    perceptronParams({inputs: width, hidden, outputs}, (from, to) => draws.linear(from, to));
  const fresh = {map: network(width), ...(kind === 'neural' && {potential: network(1)})};
  const layout = {map: packing(fresh.map), potential: packing(fresh.potential ?? {})};
  const beginning = (params: Params, where: Packing): Params => adamState(pack(params, where));
  const state: ResidentTree = await device.put(
    start.state ?? {
      map: beginning(fresh.map, layout.map),
      ...(fresh.potential && {potential: beginning(fresh.potential, layout.potential)}),
    },
  );
  const sets = await device.put({text, video, ...(kind === 'moments' && {...whiteningOf(moments(video))})});
  const step = device.jit(
    `fit/${kind}`,
    kind === 'neural' ? neuralStep(layout, plan) : pairedStep(layout.map, losses[kind], plan),
  );
  let updates = start.updates ?? 0;

  /** `n` rows of the sets, drawn for one use at one step. */
  const rows = (purpose: string, n: number): Int32Array => integers({seed: start.seed, purpose, iteration: updates}, n, count);
  const schedule = (): Params => {
    const rate = plan.learningRate;
    const corrections = Array.from({length: rounds}, (_, k) => adamCorrections(updates * rounds + k + 1, ADAM));
    const ofPotential = adamCorrections(updates + 1, ADAM);
    return {
      learningRate: scalar(learningRate({kind: 'cosine', rate, steps, final: FINAL_SHARE * rate}, updates)),
      mapCorrection1: float32(corrections.map((c) => c.correction1)),
      mapCorrection2: float32(corrections.map((c) => c.correction2)),
      ...(kind === 'neural' && {correction1: scalar(ofPotential.correction1), correction2: scalar(ofPotential.correction2)}),
    };
  };

  return {
    totalUpdates: steps,
    async update(): Promise<MapProgress> {
      const batches = {
        map: int32(rows('mapTexts', rounds * batch), [rounds, batch]),
        ...(kind === 'neural' && {text: int32(rows('potentialTexts', batch)), video: int32(rows('potentialVideos', batch))}),
      };
      const guard = [
        'metrics.mapLoss',
        'metrics.mapGradientNorm',
        ...(kind === 'neural' ? ['metrics.potentialGradientNorm'] : []),
      ];
      const {outputs, applied} = await step({state, sets, batches, schedule: schedule()}, {into: {state}, guard});
      const metrics = Object.fromEntries(
        Object.entries(outputs['metrics'] as Record<string, NdArray>).map(([name, values]) => [name, mean(values)]),
      );
      if (!applied) {
        throw new NonFiniteError(
          `fit: step ${updates} has loss ${metrics['mapLoss']} and gradient norm ${metrics['mapGradientNorm']}; it was not applied. Try a lower learningRate.`,
        );
      }
      updates++;
      return {updates, fraction: updates / steps, metrics};
    },
    async params(): Promise<Params> {
      const {params} = await device.get({params: (state['map'] as ResidentTree)['params']});
      return unpackArray(params as NdArray<'float32'>, layout.map);
    },
    state: () => device.get(state),
    async close(): Promise<void> {
      await device.free(state);
      await device.free(sets);
    },
  };
}
