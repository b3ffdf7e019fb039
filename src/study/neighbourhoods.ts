/** Vectors as points of a plane in which neighbours stay neighbours: a picture, and nothing to measure on. */
import {UMAP} from 'umap-js';
import type {NdArray} from '../tensor/ndarray.js';
import {uniforms} from '../tensor/random.js';

const NEIGHBOURS = 15;
/** Uniform numbers that are drawn at a time. */
const CHUNK = 4096;

/** Uniform numbers in [0, 1) without end, the same for a seed. */
function uniformSource(seed: number): () => number {
  let [chunk, at] = [0, CHUNK];
  let drawn: Float32Array = new Float32Array(CHUNK);
  return () => {
    if (at === CHUNK) {
      drawn = uniforms({seed, purpose: 'neighbourhoods', iteration: chunk++}, new Float32Array(CHUNK));
      at = 0;
    }
    return drawn[at++];
  };
}

/**
 * Uniform manifold approximation and projection.
 *
 * @param vectors `[n, E]`, n > 15.
 * @returns `[n, 2]`; distances between groups mean little.
 * @source McInnes et al. 2018, UMAP, arXiv:1802.03426.
 */
export function neighbourhoods({data, shape: [count, width]}: NdArray<'float32'>, seed: number): Float64Array {
  const points = Array.from({length: count}, (_, i) => Array.from(data.subarray(i * width, (i + 1) * width)));
  return Float64Array.from(new UMAP({nComponents: 2, nNeighbors: NEIGHBOURS, random: uniformSource(seed)}).fit(points).flat());
}
