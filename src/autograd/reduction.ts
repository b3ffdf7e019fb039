/** Derivatives of the kernels that reduce an axis, or run along one. */
import * as tf from '@tensorflow/tfjs-core';
import {one, range, type Gradient, type Gradients} from './gradient.js';

const axesOf = (x: tf.Tensor, axis: unknown): number[] => tf.util.parseAxisParam(axis as number | number[], x.shape);

/** The shape of a reduction's result with the reduced axes kept as 1. */
function kept(x: tf.Tensor, axis: unknown): number[] {
  const axes = axesOf(x, axis);
  return x.shape.map((d, i) => (axes.includes(i) ? 1 : d));
}

/** Sends the gradient of a maximum or minimum to the elements that reach it, shared among ties. */
const extremum: Gradient = {
  inputsToSave: ['x'],
  outputsToSave: [true],
  gradFunc: (dy, [x, y], attrs) => ({
    x: () => {
      const shape = kept(x, attrs['axis'] ?? attrs['reductionIndices']);
      const hit = tf.cast(tf.equal(x, tf.reshape(y, shape)), 'float32');
      const ties = tf.sum(
        hit,
        shape.flatMap((d, i) => (d === 1 && x.shape[i] !== 1 ? [i] : [])),
        true,
      );
      return tf.mul(tf.div(tf.reshape(one(dy), shape), ties), hit);
    },
  }),
};

/** `x` moved by `by` places towards the start of its last axis, `fill` behind it. */
function ahead(x: tf.Tensor, by: number, fill: number): tf.Tensor {
  const n = x.shape.at(-1)!;
  const none = x.shape.slice(1).map((): [number, number] => [0, 0]);
  const rest = tf.slice(
    x,
    x.shape.map((_, i) => (i === x.rank - 1 ? by : 0)),
    x.shape.map((d, i) => (i === x.rank - 1 ? n - by : d)),
  );
  return tf.pad(rest, [...none, [0, by]], fill);
}

/**
 * Solves s[i] = d[i] + f[i]·s[i+1] along the last axis by doubling: log₂ n steps instead of n.
 *
 * @source Blelloch 1990, Prefix sums and their applications, section 1.4.1 (first-order recurrences).
 */
function recurrence(d: tf.Tensor, factors: tf.Tensor): tf.Tensor {
  let [s, f] = [d, factors];
  for (let step = 1; step < d.shape.at(-1)!; step *= 2) {
    s = tf.add(s, tf.mul(f, ahead(s, step, 0)));
    f = tf.mul(f, ahead(f, step, 0));
  }
  return s;
}

/** dL/dx of y[j] = ∏ x[k] over k ≤ j (k < j if exclusive) along the last axis; exact where elements are zero. */
function cumulativeProduct(x: tf.Tensor, dy: tf.Tensor, exclusive: boolean): tf.Tensor {
  const before = tf.cumprod(x, x.rank - 1, true);
  return tf.mul(before, exclusive ? ahead(recurrence(dy, x), 1, 0) : recurrence(dy, ahead(x, 1, 0)));
}

/** An axis moved last, and back. */
const moveLast = (x: tf.Tensor, axis: number): tf.Tensor => tf.transpose(x, [...range(x.rank).filter((i) => i !== axis), axis]);
const moveBack = (x: tf.Tensor, axis: number): tf.Tensor =>
  tf.transpose(x, [...range(axis), x.rank - 1, ...range(x.rank - 1 - axis, axis)]);

/** The product of all others along the last axis: of those before times of those behind. A quotient would fail at zeros. */
const others = (x: tf.Tensor): tf.Tensor => tf.mul(tf.cumprod(x, x.rank - 1, true), tf.cumprod(x, x.rank - 1, true, true));

/** Their gradients. */
export const reduction: Gradients = {
  Sum: {
    inputsToSave: ['x'],
    gradFunc: (dy, [x], attrs) => ({x: () => tf.broadcastTo(tf.reshape(one(dy), kept(x, attrs['axis'])), x.shape)}),
  },
  Mean: {
    inputsToSave: ['x'],
    gradFunc: (dy, [x], attrs) => ({
      x: () => {
        const shape = kept(x, attrs['axis']);
        const count = x.size / shape.reduce((n, d) => n * d, 1);
        return tf.broadcastTo(tf.mul(tf.reshape(one(dy), shape), 1 / count), x.shape);
      },
    }),
  },
  Max: extremum,
  Min: extremum,
  Prod: {
    inputsToSave: ['x'],
    gradFunc: (dy, [x], attrs) => ({
      x: () => {
        const axes = axesOf(x, attrs['axis']);
        const stay = range(x.rank).filter((i) => !axes.includes(i));
        const perm = [...stay, ...axes];
        const moved = tf.transpose(x, perm);
        const shape = stay.map((i) => x.shape[i]);
        const rest = tf.reshape(others(tf.reshape(moved, [...shape, -1])), moved.shape);
        return tf.mul(
          tf.transpose(
            rest,
            perm.map((_, i) => perm.indexOf(i)),
          ),
          tf.reshape(one(dy), kept(x, axes)),
        );
      },
    }),
  },
  Cumsum: {
    gradFunc: (dy, _saved, attrs) => ({
      x: () => tf.cumsum(one(dy), attrs['axis'] as number, attrs['exclusive'] as boolean, !(attrs['reverse'] as boolean)),
    }),
  },
  Cumprod: {
    inputsToSave: ['x'],
    gradFunc: (dy, [x], attrs) => ({
      x: () => {
        const axis = axesOf(x, attrs['axis'])[0];
        const turn = (t: tf.Tensor): tf.Tensor => (attrs['reverse'] === true ? tf.reverse(t, axis) : t);
        const [along, d] = [x, one(dy)].map((t) => moveLast(turn(t), axis)) as [tf.Tensor, tf.Tensor];
        return turn(moveBack(cumulativeProduct(along, d, attrs['exclusive'] === true), axis));
      },
    }),
  },
  Softmax: {
    outputsToSave: [true],
    gradFunc: (dy, [y], attrs) => ({
      logits: () => {
        const weighted = tf.mul(one(dy), y);
        return tf.sub(weighted, tf.mul(tf.sum(weighted, (attrs['dim'] as number | undefined) ?? -1, true), y));
      },
    }),
  },
};
