/** Maps that are found in one go, in closed form or by one solve. */
import type {NdArray} from '../tensor/ndarray.js';
import {rows} from '../tensor/ndarray.js';
import type {Params} from '../tensor/tree.js';
import {fitEntropicMap, type EntropicFit, type EntropicMapOptions} from '../transport/maps/entropic.js';
import {fitGaussianMap} from '../transport/maps/gaussianMap.js';
import {fitProcrustes} from '../transport/maps/procrustes.js';
import type {MapName} from '../transport/maps/transportMap.js';
import type {EmbeddedPairs, TrainedMap} from './trainMap.js';

/** Kinds of maps that need no training. */
export type SolvedMap = Exclude<MapName, TrainedMap>;

/** Settings of the maps that have any. */
export interface SolvedMapOptions extends EntropicMapOptions {
  /** Pairs that an entropic plan is made between: its cost grows with their square. */
  readonly planSize: number;
}

/** Whether a kind is trained step by step. */
export const isTrained = (name: MapName): name is TrainedMap => ['neural', 'l2', 'kl', 'moments'].includes(name);

/** A fitted map, and how the solver came out, if there was one. */
export interface SolvedFit {
  readonly params: Params;
  readonly solver?: Omit<EntropicFit, 'params'>;
}

/** Fits a map. */
export function fitMap(name: SolvedMap, {text, video}: EmbeddedPairs, {planSize, ...options}: SolvedMapOptions): SolvedFit {
  const first = (set: NdArray<'float32'>): NdArray<'float32'> => rows(set, 0, Math.min(planSize, set.shape[0]));
  switch (name) {
    case 'identity':
      return {params: {}};
    case 'bures':
      return {params: fitGaussianMap(text, video)};
    case 'procrustes':
      return {params: fitProcrustes(text, video)};
    case 'entropic': {
      const {params, ...solver} = fitEntropicMap(first(text), first(video), options);
      return {params, solver};
    }
  }
}
