/** Derivatives of the kernels that pick or place elements by index. */
import * as tf from '@tensorflow/tfjs-core';
import {one, range, type Gradients} from './gradient.js';

const product = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);

/** The gradient of indices, which tfjs asks for where they depend on what is differentiated; it wants it in float32. */
const nothing = (indices: tf.Tensor): tf.Tensor => tf.zeros(indices.shape);

/** Elements back to where they were picked from; positions are different, so nothing is added up. */
function place(values: tf.Tensor, indices: tf.Tensor, n: number): tf.Tensor {
  const k = values.shape.at(-1)!;
  const rows = values.size / k;
  const starts = tf.tensor2d(
    range(rows).map((i) => i * n),
    [rows, 1],
    'int32',
  );
  const at = tf.reshape(tf.add(tf.reshape(indices, [rows, k]), starts), [-1, 1]);
  const flat = tf.tensorScatterUpdate(tf.zeros([rows * n]), at, tf.reshape(values, [-1]));
  return tf.reshape(flat, [...values.shape.slice(0, -1), n]);
}

/**
 * The gradient of a gather along `axis` with `shared` batch axes: rows of dy added up by index.
 *
 * dy is `[shared…, outer…, picked…, inner…]`; the picked axes go behind the shared ones, and each batch entry counts its rows
 * from its own start.
 */
function ungather(dy: tf.Tensor, x: tf.Tensor, indices: tf.Tensor, axis: number, shared: number): tf.Tensor {
  const picked = indices.rank - shared;
  const outer = range(axis - shared, shared);
  const inner = range(x.rank - axis - 1, axis + picked);
  const ready = tf.transpose(dy, [...range(shared), ...range(picked, axis), ...outer, ...inner]);
  const n = x.shape[axis];
  const batches = product(x.shape.slice(0, shared));
  const perBatch = tf.reshape(indices, [batches, indices.size / batches]);
  const starts = range(batches).map((i) => i * n);
  const ids = tf.reshape(batches === 1 ? perBatch : tf.add(perBatch, tf.tensor2d(starts, [batches, 1], 'int32')), [-1, 1]);
  const rest = [...outer, ...inner].map((i) => dy.shape[i]);
  const rows = tf.scatterND(ids, tf.reshape(ready, [indices.size, ...rest]), [batches * n, ...rest]);
  const back = tf.reshape(rows, [...x.shape.slice(0, shared), n, ...rest]);
  return tf.transpose(back, [
    ...range(shared),
    ...range(axis - shared, shared + 1),
    shared,
    ...range(x.rank - axis - 1, axis + 1),
  ]);
}

/** Rows of dy by segment; rows that no segment took get zero. */
function segmentRows(dy: tf.Tensor, ids: tf.Tensor): tf.Tensor {
  const n = dy.shape[0];
  const inside = tf.logicalAnd(tf.greaterEqual(ids, tf.scalar(0, 'int32')), tf.less(ids, tf.scalar(n, 'int32')));
  const safe = tf.where(inside, ids, tf.zerosLike(ids));
  const mask = tf.reshape(tf.cast(inside, 'float32'), [...ids.shape, ...dy.shape.slice(1).map(() => 1)]);
  return tf.mul(tf.gather(dy, safe as tf.Tensor1D), mask);
}

/** Their gradients. */
export const indexing: Gradients = {
  TopK: {
    inputsToSave: ['x'],
    outputsToSave: [false, true],
    gradFunc: (dy, [x, indices]) => ({x: () => place((dy as tf.Tensor[])[0], indices, x.shape.at(-1)!)}),
  },
  GatherV2: {
    inputsToSave: ['x', 'indices'],
    gradFunc: (dy, [x, indices], attrs) => ({
      x: () => {
        const axis = tf.util.parseAxisParam(attrs['axis'] as number, x.shape)[0];
        const shared = (attrs['batchDims'] as number | undefined) ?? 0;
        return ungather(one(dy), x, indices, axis, shared < 0 ? shared + indices.rank : shared);
      },
      indices: () => nothing(indices),
    }),
  },
  GatherNd: {
    inputsToSave: ['params', 'indices'],
    gradFunc: (dy, [params, indices]) => ({
      params: () => tf.scatterND(indices, one(dy), params.shape),
      indices: () => nothing(indices),
    }),
  },
  ScatterNd: {
    inputsToSave: ['indices'],
    gradFunc: (dy, [indices]) => ({updates: () => tf.gatherND(one(dy), indices), indices: () => nothing(indices)}),
  },
  TensorScatterUpdate: {
    inputsToSave: ['indices', 'updates'],
    gradFunc: (dy, [indices, updates]) => ({
      // Times one, which makes a copy: tfjs' CPU kernel writes into its operand.
      tensor: () => tf.tensorScatterUpdate(tf.mul(one(dy), 1), indices, tf.zerosLike(updates)),
      updates: () => tf.gatherND(one(dy), indices),
      indices: () => nothing(indices),
    }),
  },
  UnsortedSegmentSum: {
    inputsToSave: ['segmentIds'],
    gradFunc: (dy, [segmentIds]) => ({x: () => segmentRows(one(dy), segmentIds), segmentIds: () => nothing(segmentIds)}),
  },
  OneHot: {inputsToSave: ['indices'], gradFunc: (_dy, [indices]) => ({indices: () => tf.zeros(indices.shape, 'float32')})},
};
