/**
 * Muon: momentum whose update is orthogonalised, for the weight matrices inside a network.
 *
 * @source Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks".
 */
import * as tf from '@tensorflow/tfjs-core';

/** Coefficients of the quintic iteration x ↦ ax + bx³ + cx⁵ on singular values. */
const [A, B, C] = [3.4445, -4.775, 2.0315];
const ITERATIONS = 5;

/**
 * Pushes the singular values of each matrix of a stack towards 1 (to about .7 … 1.2).
 *
 * @param stack `[n, rows, columns]`.
 */
export function newtonSchulz(stack: tf.Tensor): tf.Tensor {
  const [, rows, columns] = stack.shape as [number, number, number];
  const tall = rows > columns;
  let x = tf.div(stack, tf.add(tf.sqrt(tf.sum(tf.square(stack), [1, 2], true)), 1e-7));
  for (let i = 0; i < ITERATIONS; i++) {
    // The Gram matrix of the shorter side, so that no transpose is ever written out.
    const gram = tall ? tf.matMul(x, x, true, false) : tf.matMul(x, x, false, true);
    const mix = tf.add(tf.mul(gram, B), tf.mul(tf.matMul(gram, gram), C));
    x = tf.add(tf.mul(x, A), tall ? tf.matMul(x, mix) : tf.matMul(mix, x));
  }
  return x;
}

/** Constants of the rule. */
export interface MuonOptions {
  /** μ, decay of the momentum. */
  readonly momentum: number;
  /** Share of a weight taken off at each update, times the learning rate. */
  readonly weightDecay: number;
}

/**
 * Orthogonalised updates of weight matrices stored `[in, out]`.
 *
 * A matrix wider than a whole multiple of its input (queries, keys and values side by side) is orthogonalised in square parts;
 * equal shapes are stacked, so that the graph has a few products and not a few for every matrix.
 *
 * @param matrices Nesterov-momentum gradients, each `[in, out]`.
 * @param squareParts for each matrix, whether it is several square ones side by side.
 * @returns updates in the same order, scaled by √max(1, out/in).
 */
export function orthogonalise(matrices: readonly tf.Tensor[], squareParts: readonly boolean[]): tf.Tensor[] {
  const byShape = new Map<string, {index: number; parts: tf.Tensor[]}[]>();
  matrices.forEach((matrix, index) => {
    const [inputs, outputs] = matrix.shape as [number, number];
    const parts = squareParts[index] ? tf.split(matrix, outputs / inputs, 1) : [matrix];
    const key = parts[0].shape.join();
    byShape.set(key, [...(byShape.get(key) ?? []), {index, parts}]);
  });
  const updates: tf.Tensor[] = [];
  for (const members of byShape.values()) {
    const all = members.flatMap((m) => m.parts);
    const [inputs, outputs] = all[0].shape as [number, number];
    const scaled = tf.mul(newtonSchulz(tf.stack(all)), Math.sqrt(Math.max(1, outputs / inputs)));
    const back = tf.unstack(scaled);
    let at = 0;
    for (const {index, parts} of members) {
      const mine = back.slice(at, (at += parts.length));
      updates[index] = mine.length === 1 ? mine[0] : tf.concat(mine, 1);
    }
  }
  return updates;
}

/**
 * Nesterov momentum: m ← μm + (1−μ)g; the direction is g + μ(m − g).
 *
 * @returns the new momentum and the direction.
 */
export function nesterov(gradient: tf.Tensor, momentum: tf.Tensor, mu: number): {momentum: tf.Tensor; direction: tf.Tensor} {
  const next = tf.add(tf.mul(momentum, mu), tf.mul(gradient, 1 - mu));
  return {momentum: next, direction: tf.add(tf.mul(gradient, 1 - mu), tf.mul(next, mu))};
}
