/**
 * What can be done with scores in an expression, each in two forms that agree: on plain numbers, and on tensors `[B]`, through
 * which gradients flow. `groupNormalise`, which looks at several videos at once, is in `groupNormalise.ts`.
 */
import * as tf from '@tensorflow/tfjs-core';

/** Scores `[B]` in a graph, or a constant. */
export type Operand = tf.Tensor | number;

/** One operation, elementwise. */
export interface Operation {
  /** Arguments it takes, at least and at most. */
  readonly arity: readonly [least: number, most: number];
  /** On the scores of one video. */
  readonly number: (...values: number[]) => number;
  /** On the scores of a batch. */
  readonly tensor: (...values: Operand[]) => tf.Tensor;
}

const unary = (number: (x: number) => number, tensor: (x: Operand) => tf.Tensor): Operation => ({arity: [1, 1], number, tensor});

const binary = (number: (x: number, y: number) => number, tensor: (x: Operand, y: Operand) => tf.Tensor): Operation => ({
  arity: [2, 2],
  number,
  tensor,
});

/** An operation of two that is applied from left to right to any number of arguments. */
const folded = (number: (...values: number[]) => number, tensor: (x: Operand, y: Operand) => tf.Tensor): Operation => ({
  arity: [2, 8],
  number,
  tensor: (...values) => values.reduce(tensor) as tf.Tensor,
});

/** The operators `+ − * /` and the minus sign, by the names that the parser gives them. */
export const operators: ReadonlyMap<string, Operation> = new Map([
  ['add', binary((x, y) => x + y, tf.add)],
  ['subtract', binary((x, y) => x - y, tf.sub)],
  ['multiply', binary((x, y) => x * y, tf.mul)],
  ['divide', binary((x, y) => x / y, tf.div)],
  ['unaryMinus', unary((x) => -x, tf.neg)],
]);

/** The functions, by their names. Where arguments are equal, `min` and `max` pass the gradient to the first. */
export const functions: ReadonlyMap<string, Operation> = new Map<string, Operation>([
  ['min', folded(Math.min, tf.minimum)],
  ['max', folded(Math.max, tf.maximum)],
  [
    'clip',
    {
      arity: [3, 3],
      number: (x, low, high) => Math.min(high, Math.max(low, x)),
      tensor: (x, low, high) => tf.clipByValue(x, low as number, high as number),
    },
  ],
  ['exp', unary(Math.exp, tf.exp)],
  ['log', unary(Math.log, tf.log)],
  ['sqrt', unary(Math.sqrt, tf.sqrt)],
  ['tanh', unary(Math.tanh, tf.tanh)],
  ['sigmoid', unary((x) => 1 / (1 + Math.exp(-x)), tf.sigmoid)],
]);
