/**
 * The perceptron with its backward written out: the same values and gradients as `perceptron` under automatic differentiation,
 * in fewer passes over memory.
 *
 * Notation: h = relu(a), n = layer norm of h without scale and shift, r = 1/√(var h + ε), z = n∘s + t. With dn the gradient of n,
 *
 *   da = r∘(dn − mean(dn) − n∘mean(dn∘n))∘[h > 0]
 */
import * as tf from '@tensorflow/tfjs-core';
import {layerNormParts} from '../../autograd/fused.js';
import type {Branch} from '../../tensor/tree.js';

type Backward = (dy: tf.Tensor, saved: tf.Tensor[]) => tf.Tensor[];

/** A function of several tensors with its gradient. */
const withBackward = (
  f: (inputs: tf.Tensor[], save: (tensors: tf.Tensor[]) => void) => {value: tf.Tensor; gradFunc: Backward},
): ((...inputs: tf.Tensor[]) => tf.Tensor) =>
  tf.customGrad<tf.Tensor>((...args: unknown[]) => f(args.slice(0, -1) as tf.Tensor[], args.at(-1) as tf.GradSaveFunc));

const product = (a: tf.Tensor, b: tf.Tensor, transposeA = false, transposeB = false): tf.Tensor =>
  tf.matMul(a, b, transposeA, transposeB);
const affine = (x: tf.Tensor, w: tf.Tensor, b: tf.Tensor): tf.Tensor => tf.add(product(x, w), b);
const column = (v: tf.Tensor): tf.Tensor => tf.reshape(v, [-1, 1]);
/** 1 where a unit is on, after ReLU. */
const isOn = (h: tf.Tensor): tf.Tensor => tf.cast(tf.greater(h, 0), 'float32');
/** Column sums as a product, which the runtime does faster than its sum over rows: `[B, D]` → `[D]`. */
const columnSums = (x: tf.Tensor): tf.Tensor => tf.reshape(product(tf.ones([1, x.shape[0]]), x), [-1]);

interface Layers {
  readonly weights: readonly [tf.Tensor, tf.Tensor, tf.Tensor];
  readonly biases: readonly [tf.Tensor, tf.Tensor, tf.Tensor];
  /** Of the two norms. */
  readonly scales: readonly [tf.Tensor, tf.Tensor];
  readonly shifts: readonly [tf.Tensor, tf.Tensor];
}

function layersOf(params: Branch<tf.Tensor>): Layers {
  const leaf = (i: number, part: string, name: string): tf.Tensor =>
    ((params[i] as Branch<tf.Tensor>)[part] as Branch<tf.Tensor>)[name] as tf.Tensor;
  const linear = (name: string): [tf.Tensor, tf.Tensor, tf.Tensor] => [
    leaf(0, 'linear', name),
    leaf(1, 'linear', name),
    leaf(2, 'linear', name),
  ];
  const norm = (name: string): [tf.Tensor, tf.Tensor] => [leaf(0, 'norm', name), leaf(1, 'norm', name)];
  return {weights: linear('weight'), biases: linear('bias'), scales: norm('scale'), shifts: norm('shift')};
}

/**
 * The perceptron, differentiable in its parameters and its input: `x [B, inputs]` → `[B, outputs]`.
 *
 * In a compiled graph, gradients that nobody asks for are not computed.
 */
export function trainedPerceptron(params: Branch<tf.Tensor>, x: tf.Tensor): tf.Tensor {
  const {weights, biases, scales, shifts} = layersOf(params);
  const op = withBackward(([input, w0, b0, s0, t0, w1, b1, s1, t1, w2, b2], save) => {
    const h1 = tf.relu(affine(input, w0, b0));
    const norm1 = layerNormParts(h1);
    const z1 = tf.add(tf.mul(norm1.y, s0), t0);
    const h2 = tf.relu(affine(z1, w1, b1));
    const norm2 = layerNormParts(h2);
    const z2 = tf.add(tf.mul(norm2.y, s1), t1);
    save([
      ...[input, w0, s0, w1, s1, w2, z1, z2],
      ...[h1, norm1.y, norm1.inverseDeviation],
      ...[h2, norm2.y, norm2.inverseDeviation],
    ]);
    const gradFunc: Backward = (dy, saved) => {
      const [X, W0, S0, W1, S1, W2, Z1, Z2, ...rest] = saved;
      const [of1, of2] = [rest.slice(0, 3), rest.slice(3)];
      /** From the gradient of z to those of s, t and a. */
      const throughNorm = (dz: tf.Tensor, s: tf.Tensor, [h, n, r]: tf.Tensor[]): {s: tf.Tensor; t: tf.Tensor; a: tf.Tensor} => {
        const q = tf.mul(dz, n);
        const share = column(tf.div(s, s.size));
        const centred = tf.sub(tf.mul(dz, s), product(dz, share));
        const along = tf.sub(centred, tf.mul(n, product(q, share)));
        return {s: columnSums(q), t: columnSums(dz), a: tf.mul(tf.mul(along, isOn(h)), r)};
      };
      const second = throughNorm(product(dy, W2, false, true), S1, of2);
      const first = throughNorm(product(second.a, W1, false, true), S0, of1);
      return [
        product(first.a, W0, false, true),
        ...[product(X, first.a, true), columnSums(first.a), first.s, first.t],
        ...[product(Z1, second.a, true), columnSums(second.a), second.s, second.t],
        ...[product(Z2, dy, true), columnSums(dy)],
      ];
    };
    return {value: affine(z2, w2, b2), gradFunc};
  });
  return op(
    x,
    ...[weights[0], biases[0], scales[0], shifts[0]],
    ...[weights[1], biases[1], scales[1], shifts[1]],
    ...[weights[2], biases[2]],
  );
}

/**
 * The perceptron with frozen parameters, differentiable in its input alone. Scales, shifts and the centring of the backward are
 * folded into the weights, once; what is left to do for each batch is little more than its products.
 */
export function frozenPerceptron(params: Branch<tf.Tensor>): (x: tf.Tensor) => tf.Tensor {
  const {weights, biases, scales, shifts} = layersOf(params);
  /** Layer i + 1 after norm i: n·W + b = (n∘s + t)·w + b. `centred` is W less its mean over the hidden units. */
  const [middle, last] = ([0, 1] as const).map((i) => {
    const w = tf.mul(weights[i + 1], column(scales[i]));
    const moved = tf.reshape(product(tf.reshape(shifts[i], [1, -1]), weights[i + 1]), [-1]);
    return {w, centred: tf.sub(w, tf.mean(w, 0, true)), b: tf.add(biases[i + 1], moved)};
  });
  const [w0, b0] = [weights[0], biases[0]];
  const op = withBackward(([input], save) => {
    const h1 = tf.relu(affine(input, w0, b0));
    const {y: n1, inverseDeviation: r1} = layerNormParts(h1);
    const h2 = tf.relu(affine(n1, middle.w, middle.b));
    const {y: n2, inverseDeviation: r2} = layerNormParts(h2);
    const out = product(n2, last.w);
    save([h1, n1, r1, h2, n2, r2, out, middle.centred, last.centred, w0]);
    const gradFunc: Backward = (dy, [H1, N1, R1, H2, N2, R2, OUT, MIDDLE, LAST, W0]) => {
      // The rows' factors r are left to the end: everything in between is linear in a row.
      const along2 = tf.div(tf.sum(tf.mul(dy, OUT), 1, true), H2.shape[1]!);
      const g2 = tf.mul(tf.sub(product(dy, LAST, false, true), tf.mul(N2, along2)), isOn(H2));
      const c1 = product(g2, MIDDLE, false, true);
      const along1 = tf.mean(tf.mul(c1, N1), 1, true);
      const g1 = tf.mul(tf.sub(c1, tf.mul(N1, along1)), isOn(H1));
      return [tf.mul(product(g1, W0, false, true), tf.mul(R1, R2))];
    };
    return {value: tf.add(out, last.b), gradFunc};
  });
  return (x) => op(x);
}
