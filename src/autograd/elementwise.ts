/** Derivatives of the element-wise kernels. `dy` is the gradient of the result. */
import * as tf from '@tensorflow/tfjs-core';
import {unbroadcast, type Gradient, type Gradients} from './gradient.js';

/** From the input x. */
const ofInput = (derivative: (dy: tf.Tensor, x: tf.Tensor) => tf.Tensor): Gradient => ({
  inputsToSave: ['x'],
  gradFunc: (dy, [x]) => ({x: () => derivative(dy as tf.Tensor, x)}),
});

/** From the result y, which is cheaper where the derivative is a function of it. */
const ofOutput = (derivative: (dy: tf.Tensor, y: tf.Tensor) => tf.Tensor): Gradient => ({
  outputsToSave: [true],
  gradFunc: (dy, [y]) => ({x: () => derivative(dy as tf.Tensor, y)}),
});

/** Zero almost everywhere. */
const flat: Gradient = {gradFunc: (dy) => ({x: () => tf.zerosLike(dy as tf.Tensor)})};

/** Of truth values and positions, which do not move with their inputs: `tf.where(tf.greater(x, 0), …)` must not stop the gradient of x. */
const constant = (...inputs: string[]): Gradient => ({
  inputsToSave: inputs,
  gradFunc: (_dy, saved) => Object.fromEntries(inputs.map((name, i) => [name, () => tf.zeros(saved[i].shape)])),
});

const ofBoth = (
  da: (dy: tf.Tensor, a: tf.Tensor, b: tf.Tensor) => tf.Tensor,
  db: (dy: tf.Tensor, a: tf.Tensor, b: tf.Tensor) => tf.Tensor,
): Gradient => ({
  inputsToSave: ['a', 'b'],
  gradFunc: (dy, [a, b]) => ({
    a: () => unbroadcast(da(dy as tf.Tensor, a, b), a.shape),
    b: () => unbroadcast(db(dy as tf.Tensor, a, b), b.shape),
  }),
});

const only = (dy: tf.Tensor, mask: tf.Tensor): tf.Tensor => tf.mul(dy, tf.cast(mask, 'float32'));

/** Their gradients. */
export const elementwise: Gradients = {
  Abs: ofInput((dy, x) => tf.mul(dy, tf.sign(x))),
  Acos: ofInput((dy, x) => tf.neg(tf.div(dy, tf.sqrt(tf.sub(1, tf.square(x)))))),
  Acosh: ofInput((dy, x) => tf.div(dy, tf.sqrt(tf.sub(tf.square(x), 1)))),
  Asin: ofInput((dy, x) => tf.div(dy, tf.sqrt(tf.sub(1, tf.square(x))))),
  Asinh: ofInput((dy, x) => tf.div(dy, tf.sqrt(tf.add(tf.square(x), 1)))),
  Atan: ofInput((dy, x) => tf.div(dy, tf.add(tf.square(x), 1))),
  Atanh: ofInput((dy, x) => tf.div(dy, tf.sub(1, tf.square(x)))),
  Ceil: flat,
  Floor: flat,
  Round: flat,
  Sign: flat,
  Step: flat,
  ZerosLike: flat,
  OnesLike: flat,
  Cos: ofInput((dy, x) => tf.neg(tf.mul(dy, tf.sin(x)))),
  Cosh: ofInput((dy, x) => tf.mul(dy, tf.sinh(x))),
  Elu: {
    outputsToSave: [true],
    gradFunc: (dy, [y]) => ({x: () => tf.where(tf.greater(y, 0), dy as tf.Tensor, tf.mul(dy as tf.Tensor, tf.add(y, 1)))}),
  },
  Erf: ofInput((dy, x) => tf.mul(dy, tf.mul(tf.exp(tf.neg(tf.square(x))), 2 / Math.sqrt(Math.PI)))),
  Exp: ofOutput((dy, y) => tf.mul(dy, y)),
  Expm1: ofOutput((dy, y) => tf.mul(dy, tf.add(y, 1))),
  Identity: {gradFunc: (dy) => ({x: () => dy as tf.Tensor})},
  LeakyRelu: {
    inputsToSave: ['x'],
    gradFunc: (dy, [x], attrs) => ({
      x: () => tf.where(tf.greater(x, 0), dy as tf.Tensor, tf.mul(dy as tf.Tensor, attrs['alpha'] as number)),
    }),
  },
  Log: ofInput((dy, x) => tf.div(dy, x)),
  Log1p: ofInput((dy, x) => tf.div(dy, tf.add(x, 1))),
  Neg: {gradFunc: (dy) => ({x: () => tf.neg(dy as tf.Tensor)})},
  Reciprocal: ofOutput((dy, y) => tf.neg(tf.mul(dy, tf.square(y)))),
  Relu: ofInput((dy, x) => only(dy, tf.greater(x, 0))),
  Relu6: ofInput((dy, x) => only(dy, tf.logicalAnd(tf.greater(x, 0), tf.less(x, 6)))),
  Rsqrt: ofOutput((dy, y) => tf.mul(dy, tf.mul(tf.mul(y, tf.square(y)), -0.5))),
  Selu: ofInput((dy, x) => {
    const [scale, alpha] = [1.0507009873554805, 1.6732632423543772];
    return tf.mul(dy, tf.where(tf.greater(x, 0), tf.fill(x.shape, scale), tf.mul(tf.exp(x), scale * alpha)));
  }),
  Sigmoid: ofOutput((dy, y) => tf.mul(dy, tf.mul(y, tf.sub(1, y)))),
  Sin: ofInput((dy, x) => tf.mul(dy, tf.cos(x))),
  Sinh: ofInput((dy, x) => tf.mul(dy, tf.cosh(x))),
  Softplus: ofInput((dy, x) => tf.mul(dy, tf.sigmoid(x))),
  Sqrt: ofOutput((dy, y) => tf.div(tf.mul(dy, 0.5), y)),
  Square: ofInput((dy, x) => tf.mul(dy, tf.mul(x, 2))),
  Tan: ofOutput((dy, y) => tf.mul(dy, tf.add(tf.square(y), 1))),
  Tanh: ofOutput((dy, y) => tf.mul(dy, tf.sub(1, tf.square(y)))),
  ClipByValue: {
    inputsToSave: ['x'],
    gradFunc: (dy, [x], attrs) => ({
      x: () =>
        only(
          dy as tf.Tensor,
          tf.logicalAnd(tf.greaterEqual(x, attrs['clipValueMin'] as number), tf.lessEqual(x, attrs['clipValueMax'] as number)),
        ),
    }),
  },
  Cast: {gradFunc: (dy) => ({x: () => tf.clone(dy as tf.Tensor)})},

  Add: ofBoth(
    (dy) => dy,
    (dy) => dy,
  ),
  Sub: ofBoth(
    (dy) => dy,
    (dy) => tf.neg(dy),
  ),
  Multiply: ofBoth(
    (dy, _a, b) => tf.mul(dy, tf.cast(b, 'float32')),
    (dy, a) => tf.mul(dy, tf.cast(a, 'float32')),
  ),
  RealDiv: ofBoth(
    (dy, _a, b) => tf.div(dy, tf.cast(b, 'float32')),
    (dy, a, b) => tf.neg(tf.div(tf.mul(dy, a), tf.square(b))),
  ),
  // A tie gives the whole gradient to the first operand, as the peers' clipped objectives expect.
  Maximum: ofBoth(
    (dy, a, b) => only(dy, tf.greaterEqual(a, b)),
    (dy, a, b) => only(dy, tf.less(a, b)),
  ),
  Minimum: ofBoth(
    (dy, a, b) => only(dy, tf.lessEqual(a, b)),
    (dy, a, b) => only(dy, tf.greater(a, b)),
  ),
  SquaredDifference: ofBoth(
    (dy, a, b) => tf.mul(dy, tf.mul(tf.sub(a, b), 2)),
    (dy, a, b) => tf.mul(dy, tf.mul(tf.sub(b, a), 2)),
  ),
  FloorDiv: constant('a', 'b'),
  Mod: ofBoth(
    (dy) => dy,
    (dy, a, b) => tf.neg(tf.mul(dy, tf.floor(tf.div(a, b)))),
  ),
  Atan2: ofBoth(
    (dy, a, b) => tf.div(tf.mul(dy, b), tf.add(tf.square(a), tf.square(b))),
    (dy, a, b) => tf.neg(tf.div(tf.mul(dy, a), tf.add(tf.square(a), tf.square(b)))),
  ),
  Pow: {
    inputsToSave: ['a', 'b'],
    outputsToSave: [true],
    gradFunc: (dy, [a, b, y]) => ({
      a: () => unbroadcast(tf.mul(dy as tf.Tensor, tf.mul(b, tf.pow(a, tf.sub(b, 1)))), a.shape),
      // The exponent's derivative is y·ln a, which is 0 by convention where a ≤ 0.
      b: () =>
        unbroadcast(
          tf.mul(dy as tf.Tensor, tf.mul(y, tf.where(tf.greater(a, 0), tf.log(tf.maximum(a, 1e-38)), tf.zerosLike(a)))),
          b.shape,
        ),
    }),
  },
  Prelu: {
    inputsToSave: ['x', 'alpha'],
    gradFunc: (dy, [x, alpha]) => ({
      x: () => tf.where(tf.greater(x, 0), dy as tf.Tensor, tf.mul(dy as tf.Tensor, alpha)),
      alpha: () =>
        unbroadcast(tf.where(tf.greater(x, 0), tf.zerosLike(dy as tf.Tensor), tf.mul(dy as tf.Tensor, x)), alpha.shape),
    }),
  },
  Select: {
    inputsToSave: ['condition', 't', 'e'],
    gradFunc: (dy, [condition, t, e]) => ({
      condition: () => tf.zeros(condition.shape),
      t: () => unbroadcast(tf.where(condition, dy as tf.Tensor, tf.zerosLike(dy as tf.Tensor)), t.shape),
      e: () => unbroadcast(tf.where(condition, tf.zerosLike(dy as tf.Tensor), dy as tf.Tensor), e.shape),
    }),
  },
  AddN: {
    saveAllInputs: true,
    gradFunc: (dy, saved) => Object.fromEntries(saved.map((_, i) => [i, () => tf.clone(dy as tf.Tensor)])),
  },

  // Truth values and positions.
  Equal: constant('a', 'b'),
  NotEqual: constant('a', 'b'),
  Greater: constant('a', 'b'),
  GreaterEqual: constant('a', 'b'),
  Less: constant('a', 'b'),
  LessEqual: constant('a', 'b'),
  LogicalAnd: constant('a', 'b'),
  LogicalOr: constant('a', 'b'),
  BitwiseAnd: constant('a', 'b'),
  LogicalNot: constant('x'),
  IsNan: constant('x'),
  IsInf: constant('x'),
  IsFinite: constant('x'),
  ArgMax: constant('x'),
  ArgMin: constant('x'),
  All: constant('x'),
  Any: constant('x'),
  SearchSorted: constant('sortedSequence', 'values'),
};
