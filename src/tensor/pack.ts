/**
 * Many small parameters as one vector. Optimizer, clipping and averaging are then a few operations on one array instead of a
 * dozen on each of a hundred, and a checkpoint is a handful of arrays.
 */
import * as tf from '@tensorflow/tfjs-core';
import {ShapeError} from '../errors.js';
import {ndarray, sizeOf, type NdArray} from './ndarray.js';
import {leaves, unflatten, type Branch, type Params} from './tree.js';

/** Where each parameter lies in the vector. */
export interface Packing {
  readonly size: number;
  readonly entries: readonly {
    readonly path: string;
    readonly shape: readonly number[];
    readonly offset: number;
    readonly size: number;
  }[];
}

/** The packing of some of a tree's leaves, in the tree's order. */
export function packing(tree: Params, include: (path: string, shape: readonly number[]) => boolean = () => true): Packing {
  let offset = 0;
  const entries = leaves<NdArray>(tree)
    .filter(([path, leaf]) => include(path, leaf.shape))
    .map(([path, leaf]) => {
      const size = sizeOf(leaf.shape);
      const entry = {path, shape: leaf.shape, offset, size};
      offset += size;
      return entry;
    });
  return {size: offset, entries};
}

/**
 * Copies the leaves that a packing names into one vector.
 *
 * @throws ShapeError if one is missing, not float32, or of another shape.
 */
export function pack(tree: Params, layout: Packing): NdArray<'float32'> {
  const byPath = new Map(leaves<NdArray>(tree));
  const data = new Float32Array(layout.size);
  for (const {path, shape, offset} of layout.entries) {
    const leaf = byPath.get(path);
    if (!leaf || leaf.dtype !== 'float32' || leaf.shape.join() !== shape.join()) {
      throw new ShapeError(
        `pack: wanted "${path}" as float32 [${shape.join(', ')}]; got ${leaf ? `${leaf.dtype} [${leaf.shape.join(', ')}]` : 'nothing'}.`,
      );
    }
    data.set(leaf.data, offset);
  }
  return ndarray('float32', [layout.size], data);
}

/** The other way, on arrays. */
export const unpackArray = (vector: NdArray<'float32'>, layout: Packing): Params =>
  unflatten(
    layout.entries.map(
      ({path, shape, offset, size}) => [path, ndarray('float32', shape, vector.data.slice(offset, offset + size))] as const,
    ),
  );

/** The other way, on tensors: one split; differentiable, its gradient being one concatenation. */
export function unpack(vector: tf.Tensor, layout: Packing): Branch<tf.Tensor> {
  const parts = tf.split(
    vector,
    layout.entries.map((e) => e.size),
  );
  return unflatten(layout.entries.map(({path, shape}, i) => [path, tf.reshape(parts[i], [...shape])] as const));
}
