/**
 * Recomputation, also called gradient checkpointing: a part of a function whose inner values are not kept for the backward pass but
 * computed again there, when its gradient has arrived. Memory of one such part at a time instead of all, for one more forward pass.
 *
 * Two things would undo it in a compiled graph. Equal operators on equal inputs are one node, in our graph and in the runtime, so
 * the second computation would be the first one, kept; and nothing says that the second waits for the gradient. Both are cured by
 * {@link AFTER}: what is computed again is computed from x − 0, where the zero comes from the gradient and no optimiser knows that
 * it is one.
 *
 * @source Chen et al. 2016, Training deep nets with sublinear memory cost, arXiv:1604.06174.
 */
import * as tf from '@tensorflow/tfjs-core';
import {one, type Gradient} from './gradient.js';

/** The kernel that a compiling backend has for "x, but not before `token` is there". */
export const AFTER = 'RlftAfter';

/** The same values, available once `token` is. Eager backends compute in the order of the program anyway. */
export const after = (x: tf.Tensor, token: tf.Tensor): tf.Tensor =>
  tf.getKernel(AFTER, tf.getBackend()) ? tf.engine().runKernel(AFTER, {x, token}, {}) : tf.clone(x);

/** Its gradient: that of the values; the token is only waited for. */
export const ordering: Readonly<Record<string, Gradient>> = {
  [AFTER]: {
    inputsToSave: ['token'],
    gradFunc: (dy, [token]) => ({x: () => tf.clone(one(dy)), token: () => tf.zerosLike(token)}),
  },
};

/** A function of x, and of tensors that stay in memory anyhow. */
export type Recomputable = (x: tf.Tensor, ...held: tf.Tensor[]) => tf.Tensor;

/**
 * The same function, which keeps x and `held` alone for its backward pass and is run again there.
 *
 * The backward pass yields the gradient of x only after those of `held`: recomputed parts in a chain are then gone through one by
 * one, or else the runtime would put off all gradients of weights, and hold what they need, until the last.
 *
 * @param f pure. What depends on x is computed again; what depends on `held` alone, such as parameters, is computed once. Both are
 *   differentiable, float32. Whatever else `f` uses is a constant to the gradient, also where it depends on what one differentiates
 *   by, and is read twice: it must come from outside the function that is differentiated, since tfjs frees what is made inside.
 * @returns value bit for bit that of `f` where no gradient is recorded, and its gradient.
 */
export const recompute =
  (f: Recomputable): Recomputable =>
  (x, ...held) =>
    tf.customGrad<tf.Tensor>((...args: unknown[]) => {
      const inputs = args.slice(0, -1) as tf.Tensor[];
      (args.at(-1) as tf.GradSaveFunc)(inputs);
      return {value: f(...(inputs as [tf.Tensor, ...tf.Tensor[]])), gradFunc: (dy, saved) => backward(f, saved, dy)};
    })(x, ...held);

/** The gradients of f at its inputs, f computed anew. */
function backward(f: Recomputable, [x, ...held]: tf.Tensor[], dy: tf.Tensor): tf.Tensor[] {
  const inputs = [after(x, dy), ...held];
  const {state} = tf.engine();
  // A gradient inside a backward pass: tfjs takes it for a new one, and would throw the tape of the one under way away.
  const tape = state.activeTape;
  try {
    const found = tf.engine().gradients(() => f(...(inputs as [tf.Tensor, ...tf.Tensor[]])), inputs, dy, true).grads;
    const [dx, ...dHeld] = inputs.map((input, i) => (found[i] as tf.Tensor | undefined) ?? tf.zerosLike(input));
    return [dHeld.reduce(after, dx), ...dHeld];
  } finally {
    state.activeTape = tape;
  }
}
