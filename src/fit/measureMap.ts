/** What a map does to held-out pairs. */
import type {Device} from '../engine/device.js';
import type {NdArray} from '../tensor/ndarray.js';
import type {Branch} from '../tensor/tree.js';
import type * as tf from '@tensorflow/tfjs-core';
import type {TransportMap} from '../transport/maps/transportMap.js';
import {unitRows} from '../transport/metrics/distances.js';
import {frechetDistance} from '../transport/metrics/frechetDistance.js';
import {mutualKnn} from '../transport/metrics/mutualKnn.js';
import {retrievalAtOne} from '../transport/metrics/retrieval.js';
import {structurePreservation} from '../transport/metrics/structurePreservation.js';
import type {CaptionedPairs} from './embedPairs.js';

/** Measures of a map. One that is undefined, since all captions or all images are the same, is NaN, and null in files. */
export interface MapMeasurement {
  /** Share of nearest neighbours that images and videos have in common; the higher the better. */
  readonly mutualKnn: number;
  /** Spearman's ρ of distances between captions before and after; 1: order kept. */
  readonly structure: number;
  /** The same as the released code computes it, on the whole square matrix of distances. */
  readonly structureOfMatrix: number;
  /** Fréchet distance of images and videos; the lower the better. */
  readonly frechet: number;
  /** Share of captions that find their own clip, or one of an equal caption, among all held-out ones. */
  readonly retrieval: number;
  /** Mean cosine of a caption's image and its own video. */
  readonly cosine: number;
}

/** Captions as a map carries them, `[n, E]`. */
export async function applyMap(device: Device, map: TransportMap, text: NdArray<'float32'>): Promise<NdArray<'float32'>> {
  const run = device.jit(`transport/${map.name}`, (inputs) => ({
    mapped: map.apply((inputs['params'] ?? {}) as Branch<tf.Tensor>, inputs['text'] as tf.Tensor),
  }));
  const {outputs} = await run({params: map.params, text});
  return outputs['mapped'] as NdArray<'float32'>;
}

/** Measures a map on held-out pairs, with `k` neighbours. */
export async function measureMap(device: Device, map: TransportMap, pairs: CaptionedPairs, k: number): Promise<MapMeasurement> {
  const {text, video, captions} = pairs;
  const mapped = await applyMap(device, map, text);
  const [images, videos] = [unitRows(mapped).data, unitRows(video).data];
  return {
    mutualKnn: mutualKnn(mapped, video, k),
    structure: structurePreservation(text, mapped),
    structureOfMatrix: structurePreservation(text, mapped, 'matrix'),
    frechet: frechetDistance(mapped, video),
    retrieval: retrievalAtOne(mapped, video, captions),
    cosine: Array.from(images).reduce((sum, v, at) => sum + v * videos[at], 0) / captions.length,
  };
}

/**
 * The order in which checkpoints of one training are preferred: neighbours shared, times structure kept. PISCES keeps the best by
 * each of the two and chooses by hand; the product asks for both.
 */
export const preference = ({mutualKnn: shared, structure}: MapMeasurement): number => (structure > 0 ? shared * structure : 0);
