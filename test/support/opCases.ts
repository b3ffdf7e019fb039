/**
 * One table of operators: what they are called with, and nothing about how they are checked. `test/engine/ops.test.ts` runs
 * each of them eagerly and compiled, forward and backward; `kernels.test.ts` sees that no lowering is missing from it.
 */
import * as tf from '@tensorflow/tfjs-core';
import {geluWithoutGradient, layerNorm, rotary} from '../../src/autograd/fused.js';
import {after, recompute} from '../../src/autograd/recompute.js';
import {depthwiseConvolution} from '../../src/models/depthwiseConvolution.js';
import {gelu} from '../../src/models/layers.js';
import {normals, permutation, uniforms} from '../../src/tensor/random.js';
import {ndarray, sizeOf, type NdArray} from '../../src/tensor/ndarray.js';

/** Tensors of a case by name. */
export type Tensors = Readonly<Record<string, tf.Tensor>>;

/** One call of an operator. */
export interface OpCase {
  readonly name: string;
  readonly inputs: Readonly<Record<string, NdArray>>;
  readonly run: (x: Tensors) => tf.Tensor | tf.Tensor[];
  /** Float inputs to differentiate; all of them unless said otherwise. */
  readonly gradients: readonly string[];
  /** Largest relative error of compiled against eager, over 1e-5, where it must be wider, with the reason beside the case. */
  readonly rtol: number;
  /** False at a kink, where backends must agree on a gradient but no finite difference knows it. */
  readonly smooth: boolean;
}

type Shape = readonly number[];

let draws = 0;
const key = (): {seed: number; purpose: string; sample: number} => ({seed: 7, purpose: 'opCases', sample: draws++});

/** Uniform in [low, high]. */
const f = (shape: Shape, low = -1, high = 1): NdArray =>
  ndarray(
    'float32',
    shape,
    uniforms(key(), new Float32Array(sizeOf(shape))).map((u) => low + u * (high - low)),
  );

/** Magnitudes in [.2, 1] with random signs: nothing near the kinks at zero. */
const away = (shape: Shape): NdArray => {
  const u = uniforms(key(), new Float32Array(2 * sizeOf(shape)));
  return ndarray(
    'float32',
    shape,
    Float32Array.from({length: sizeOf(shape)}, (_, i) => (u[2 * i] < 0.5 ? -1 : 1) * (0.2 + 0.8 * u[2 * i + 1])),
  );
};

/** Different numbers, at least .2 apart, in random order: nothing near the ties of a maximum. */
const distinct = (shape: Shape): NdArray => {
  const order = permutation(key(), sizeOf(shape));
  return ndarray(
    'float32',
    shape,
    Float32Array.from(order, (p) => 0.2 * (p - order.length / 2) + 0.07),
  );
};

/** Integers in [low, high). */
const i = (shape: Shape, high: number, low = 0): NdArray =>
  ndarray(
    'int32',
    shape,
    Int32Array.from(uniforms(key(), new Float32Array(sizeOf(shape))), (u) => low + Math.floor(u * (high - low))),
  );

const ints = (shape: Shape, values: readonly number[]): NdArray => ndarray('int32', shape, Int32Array.from(values));
const floats = (shape: Shape, values: readonly number[]): NdArray => ndarray('float32', shape, Float32Array.from(values));
const b = (shape: Shape): NdArray =>
  ndarray(
    'bool',
    shape,
    Uint8Array.from(uniforms(key(), new Float32Array(sizeOf(shape))), (u) => (u < 0.5 ? 0 : 1)),
  );

/** Table of all cases. */
export const opCases: OpCase[] = [];

interface Options {
  readonly gradients?: readonly string[];
  readonly rtol?: number;
  readonly smooth?: boolean;
}

function op(
  name: string,
  inputs: Record<string, NdArray>,
  run: (x: Tensors) => tf.Tensor | tf.Tensor[],
  options: Options = {},
): void {
  const floatNames = Object.keys(inputs).filter((n) => inputs[n].dtype === 'float32');
  opCases.push({
    name,
    inputs,
    run,
    gradients: options.gradients ?? floatNames,
    rtol: options.rtol ?? 1e-5,
    smooth: options.smooth ?? true,
  });
}

const none = {gradients: []} as const;

// ── One operand ──────────────────────────────────────────────────────────────────────────────────────────────────────────────
const unary = (name: string, fn: (x: tf.Tensor) => tf.Tensor | tf.Tensor[], x: NdArray, options?: Options): void =>
  op(name, {x}, (t) => fn(t['x']), options);
const s = [2, 3, 5];

unary('abs', tf.abs, away(s));
unary('acos', tf.acos, f(s, -0.9, 0.9));
unary('acosh', tf.acosh, f(s, 1.2, 4));
unary('asin', tf.asin, f(s, -0.9, 0.9));
unary('asinh', tf.asinh, f(s, -3, 3));
unary('atan', tf.atan, f(s, -3, 3));
unary('atanh', tf.atanh, f(s, -0.8, 0.8));
unary('ceil', tf.ceil, floats([4], [-1.5, -0.3, 0.4, 1.6]));
unary('clipByValue', (x) => tf.clipByValue(x, -0.6, 0.5), floats([6], [-0.9, -0.4, 0, 0.2, 0.8, 3]));
unary('cos', tf.cos, f(s, -4, 4));
unary('cosh', tf.cosh, f(s, -2, 2));
unary('elu', tf.elu, away(s));
unary('erf', tf.erf, f(s, -2, 2), {rtol: 5e-5}); // tfjs has a five-term fit, good to 1.5e-7 absolute; onnxruntime is exact
unary('exp', tf.exp, f(s, -2, 2));
unary('exp of integers', tf.exp, ints([4], [-2, 0, 1, 3]), none);
unary('expm1', tf.expm1, f(s, -2, 2));
unary('expm1 near zero', tf.expm1, f(s, -1e-4, 1e-4), none);
unary('floor', tf.floor, floats([4], [-1.5, -0.3, 0.4, 1.6]));
unary('isFinite', tf.isFinite, floats([5], [NaN, Infinity, -Infinity, 0, 3e38]), none);
unary('isInf', tf.isInf, floats([5], [NaN, Infinity, -Infinity, 0, 3e38]), none);
unary('isNaN', tf.isNaN, floats([5], [NaN, Infinity, -Infinity, 0, 3e38]), none);
unary('leakyRelu', (x) => tf.leakyRelu(x, 0.1), away(s));
unary('log', tf.log, f(s, 0.2, 3));
unary('log1p', tf.log1p, f(s, -0.5, 3));
unary('log1p near zero', tf.log1p, f(s, -1e-4, 1e-4), none);
unary('log1p of infinity', tf.log1p, floats([3], [Infinity, 1e30, -1]), none);
unary('logicalNot', tf.logicalNot, b([6]), none);
unary('neg', tf.neg, f(s));
unary('neg of integers', tf.neg, i(s, 9, -9), none);
unary('reciprocal', tf.reciprocal, away(s));
unary('relu', tf.relu, away(s));
unary(
  'relu keeps NaN',
  tf.relu,
  floats(
    [19],
    Array.from({length: 19}, (_, k) => (k % 6 === 0 ? NaN : k - 9)),
  ),
  none,
);
unary('relu6', tf.relu6, floats([5], [-1, 0.5, 3, 5.5, 7]));
unary('round', tf.round, floats([8], [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0.4, 0.6]), none);
unary('rsqrt', tf.rsqrt, f(s, 0.2, 3));
unary('selu', tf.selu, away(s));
unary('sigmoid', tf.sigmoid, f(s, -5, 5));
unary('sign', tf.sign, floats([4], [-3, 0, 0.5, Infinity]), none);
unary('sin', tf.sin, f(s, -4, 4));
unary('sinh', tf.sinh, f(s, -2, 2));
unary('softplus', tf.softplus, f(s, -5, 5));
unary('sqrt', tf.sqrt, f(s, 0.2, 3));
unary('square', tf.square, f(s));
unary('step', (x) => tf.step(x, 0.3), away(s));
unary('step of NaN', (x) => tf.step(x, 0.3), floats([3], [NaN, -1, 1]), none);
unary('tan', tf.tan, f(s, -1, 1));
unary('tanh', tf.tanh, f(s, -3, 3));
unary('logSigmoid', tf.logSigmoid, f(s, -5, 5));
unary('cast to integers', (x) => tf.cast(x, 'int32'), floats([5], [-1.7, -0.2, 0, 0.9, 3.5]), none);
unary('cast to truth values', (x) => tf.cast(x, 'bool'), floats([4], [0, -1, 0.5, NaN]), none);
unary('cast of truth values', (x) => tf.cast(x, 'float32'), b([5]), none);
unary(
  'cast of bytes',
  (x) => tf.mul(tf.cast(x, 'float32'), 1 / 255),
  ndarray('uint8', [4], Uint8Array.from([0, 1, 128, 255])),
  none,
);
unary('zerosLike and onesLike', (x) => tf.add(tf.add(x, tf.zerosLike(x)), tf.onesLike(x)), f(s));
unary('clone', (x) => tf.mul(tf.clone(x), x), f(s));

// ── Two operands ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
type Binary = (x: tf.Tensor, y: tf.Tensor) => tf.Tensor;
const binary = (name: string, fn: Binary, a: NdArray, c: NdArray, options?: Options): void =>
  op(name, {a, c}, (t) => fn(t['a'], t['c']), options);

binary('add', tf.add, f(s), f(s));
binary('add, a vector to rows', tf.add, f([4, 3]), f([3]));
binary('add, a column and a row', tf.add, f([4, 1]), f([1, 3]));
binary('add, a scalar', tf.add, f([]), f([2, 2]));
binary('add, four axes to two', tf.add, f([2, 1, 3, 1]), f([3, 4]));
binary('add of integers', tf.add, i(s, 99, -99), i(s, 99, -99), none);
binary('sub', tf.sub, f([2, 3, 1]), f([3, 4]));
binary('mul', tf.mul, f([2, 3, 1]), f([3, 4]));
binary('mul by itself', (a) => tf.mul(a, a), f([2, 3]), f([1]), {gradients: ['a']});
binary('div', tf.div, f([2, 3, 1]), away([3, 4]));
binary('divNoNan', tf.divNoNan, f([4]), floats([4], [0.5, 0, -2, 0]), none); // its gradient at 0 is 0/0, also in tfjs
binary(
  'div of integers',
  tf.div,
  ints([8], [7, -7, 7, -7, 5, 0, 2147483647, 16777217]),
  ints([8], [2, 2, -2, -2, 3, 4, 2, 1]),
  none,
);
binary('floorDiv', tf.floorDiv, floats([5], [7.5, -7.5, 3, 0.2, -0.2]), floats([5], [2, 2, -1.5, 1, 1]), none);
binary('mod', tf.mod, floats([4], [5.3, -5.3, 5.3, -5.3]), floats([4], [3, 3, -3, -3]));
binary('mod of integers', tf.mod, ints([5], [7, -7, 7, -7, 6]), ints([5], [4, 4, -4, -4, 3]), none);
binary('maximum', tf.maximum, distinct([2, 3, 1]), floats([4], [-0.5, 0.11, 0.3, 0.71]));
binary('maximum, tied', tf.maximum, floats([3], [1, 2, 3]), floats([3], [1, 2, 4]), {smooth: false});
unary('max, tied', (x) => tf.max(x, 1), floats([2, 3], [1, 3, 3, 2, 2, 2]), {smooth: false});
binary('minimum', tf.minimum, distinct([2, 3, 1]), floats([4], [-0.5, 0.11, 0.3, 0.71]));
binary('maximum of integers', tf.maximum, i(s, 9, -9), i([5], 9, -9), none);
binary('pow', tf.pow, f([2, 3, 1], 0.3, 2), f([4], -2, 2));
binary('pow, a whole exponent of negative numbers', (a) => tf.pow(a, 3), away(s), f([1]), {gradients: ['a']});
binary('pow of integers', tf.pow, i([6], 5, -4), i([6], 4), none);
binary('squaredDifference', tf.squaredDifference, f([2, 3, 1]), f([3, 4]));
binary('atan2', tf.atan2, away([2, 3, 1]), away([4]));
binary('atan2, on the axes', tf.atan2, floats([4], [1, -1, 0, 0.5]), floats([4], [0, 0, 2, -1]), none);
binary('prelu', tf.prelu, away([2, 3, 4]), f([4], 0.1, 0.4));
binary('bitwiseAnd', tf.bitwiseAnd, ints([4], [7, -7, 12, 255]), ints([4], [3, 6, 10, 16]), none);
for (const [name, fn] of Object.entries({
  equal: tf.equal,
  notEqual: tf.notEqual,
  greater: tf.greater,
  greaterEqual: tf.greaterEqual,
  less: tf.less,
  lessEqual: tf.lessEqual,
}) as [string, Binary][]) {
  binary(name, fn, floats([2, 3], [1, 2, 3, NaN, -1, Infinity]), floats([3], [1, 3, 2]), none);
  binary(`${name} of integers`, fn, i([2, 5], 3), i([5], 3), none);
  binary(`${name} of truth values`, fn, b([2, 5]), b([5]), none);
}
for (const [name, fn] of Object.entries({logicalAnd: tf.logicalAnd, logicalOr: tf.logicalOr, logicalXor: tf.logicalXor}) as [
  string,
  Binary,
][]) {
  binary(name, fn, b([2, 5]), b([5]), none);
}
op('where', {c: b([2, 4]), t: f([2, 4]), e: f([2, 4])}, (x) => tf.where(x['c'], x['t'], x['e']));
op('where, a scalar for one side', {c: b([2, 4]), t: f([2, 4]), e: f([])}, (x) => tf.where(x['c'], x['t'], x['e']));
op('where of integers', {c: b([5]), t: i([5], 9), e: i([5], 9)}, (x) => tf.where(x['c'], x['t'], x['e']));
op('addN', {p: f([3]), q: f([3]), r: f([3])}, (x) => tf.addN([x['p'], x['q'], x['r'], x['p']]));

// ── Shape ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
unary('reshape', (x) => tf.square(tf.reshape(x, [5, -1])), f(s));
unary('expandDims', (x) => tf.square(tf.expandDims(x, -2)), f(s));
unary('squeeze', (x) => tf.square(tf.squeeze(x)), f([2, 1, 3]));
unary('transpose', (x) => tf.mul(tf.transpose(x, [2, 0, 1]), floatTable([5, 2, 3])), f(s));
unary('transpose by default', (x) => tf.mul(tf.transpose(x), floatTable([5, 3, 2])), f(s));
unary('slice', (x) => tf.slice(x, [0, 1, 2], [2, -1, 2]), f([2, 4, 5]));
unary('slice of nothing', (x) => tf.slice(x, [0, 1], [2, 0]), f([2, 4]), none);
unary('stridedSlice', (x) => tf.stridedSlice(x, [0, 1, 4], [2, 4, 0], [1, 2, -2]), f([2, 4, 5]));
unary('stridedSlice with masks', (x) => tf.stridedSlice(x, [2, 1], [3, 2], [1, 2], 1, 2), f([3, 5]));
unary('stridedSlice, backwards to the start', (x) => tf.stridedSlice(x, [3], [0], [-1], 0, 1), f([5]));
unary(
  'pad',
  (x) =>
    tf.pad(
      x,
      [
        [1, 0],
        [0, 2],
      ],
      0.5,
    ),
  f([2, 3]),
);
unary(
  'mirrorPad, reflect',
  (x) =>
    tf.mirrorPad(
      x,
      [
        [1, 2],
        [2, 1],
      ],
      'reflect',
    ),
  f([3, 4]),
);
unary(
  'mirrorPad, symmetric',
  (x) =>
    tf.mirrorPad(
      x,
      [
        [3, 2],
        [0, 1],
      ],
      'symmetric',
    ),
  f([3, 4]),
);
unary('tile', (x) => tf.tile(x, [2, 3]), f([2, 3]));
unary('tile, of single elements', (x) => tf.tile(x, [4, 1]), f([1, 3]));
unary('broadcastTo', (x) => tf.mul(tf.broadcastTo(x, [2, 4, 3]), floatTable([2, 4, 3])), f([4, 1]));
unary('reverse', (x) => tf.mul(tf.reverse(x, [0, -1]), floatTable([2, 3, 5])), f(s));
unary('flipLeftRight', (x) => tf.image.flipLeftRight(x as tf.Tensor4D), f([1, 2, 3, 2]), none);
unary('split in equal parts', (x) => tf.split(x, 3, 1), f([2, 6]));
unary('split by sizes', (x) => tf.split(x, [1, 4, 1], -1), f([2, 6]));
unary('unstack', (x) => tf.unstack(x, 1), f([2, 3, 2]));
op('concat', {p: f([2, 1]), q: f([2, 3])}, (x) => tf.concat([x['p'], x['q'], x['p']], 1));
op('concat with an empty part', {p: f([0, 3]), q: f([2, 3])}, (x) => tf.concat([x['p'], x['q']], 0), {gradients: ['q']});
op('stack', {p: f([2, 3]), q: f([2, 3])}, (x) => tf.stack([x['p'], x['q']], -1));
unary(
  'spaceToBatchND',
  (x) =>
    tf.spaceToBatchND(
      x,
      [2, 2],
      [
        [1, 1],
        [0, 2],
      ],
    ),
  f([1, 2, 4, 2]),
);
unary(
  'batchToSpaceND',
  (x) =>
    tf.batchToSpaceND(
      x,
      [2, 2],
      [
        [0, 1],
        [1, 0],
      ],
    ),
  f([4, 2, 2, 1]),
);
unary('depthToSpace', (x) => tf.depthToSpace(x as tf.Tensor4D, 2, 'NHWC'), f([1, 2, 3, 8]));
unary('diag', tf.diag, f([4]));
unary(
  'range, linspace, fill, eye',
  (x) => tf.add(x, tf.stack([tf.range(5, 0, -2), tf.linspace(0, 1, 3), tf.fill([3], 2), tf.sum(tf.eye(3), 0)])),
  f([4, 3]),
);
unary(
  'meshgrid',
  (x) => tf.add(tf.mul(x, tf.meshgrid(tf.range(0, 3), tf.range(0, 2))[0]), tf.meshgrid(tf.range(0, 3), tf.range(0, 2))[1]),
  f([2, 3]),
);
unary('upperTriangle by bandPart', (x) => tf.linalg.bandPart(x, 0, -1), f([3, 4]), none);

/** A constant table, so that an output's order matters. */
function floatTable(shape: number[]): tf.Tensor {
  return tf.tensor(
    Array.from({length: sizeOf(shape)}, (_, k) => Math.sin(k + 1)),
    shape,
  );
}

// ── Reductions and running results ───────────────────────────────────────────────────────────────────────────────────────────
unary('sum', (x) => tf.sum(x, [0, 2]), f(s));
unary('sum of all', (x) => tf.square(tf.sum(x)), f(s));
unary('sum of a scalar', (x) => tf.sum(x), f([]));
unary('sum, axes kept', (x) => tf.sum(x, -1, true), f(s));
unary('sum over single elements', (x) => tf.sum(x, [1]), f([3, 1, 2]));
unary('sum of truth values', (x) => tf.sum(x, 0), b([6, 2]), none);
unary('sum of integers', (x) => tf.sum(x, 0), i([6, 2], 50, -50), none);
unary('sum of nothing', (x) => tf.sum(x, 0), f([0, 3]), none);
unary('mean', (x) => tf.mean(x, [1]), f(s));
unary('mean of all', (x) => tf.mean(x), f(s));
unary('mean of integers', (x) => tf.mean(x, 0), i([4, 2], 9), none);
unary('max', (x) => tf.max(x, [0, 2]), distinct(s));
unary('min', (x) => tf.min(x, 1, true), distinct(s));
unary('max of integers', (x) => tf.max(x, 0), i([6, 2], 50, -50), none);
unary('prod', (x) => tf.prod(x, [0, 2]), f(s, 0.5, 1.5));
unary('prod with zeros', (x) => tf.prod(x, 1), floats([3, 3], [0, 2, 3, 1, 2, 3, 0, 0, 3]));
unary('argMax', (x) => tf.argMax(x, 1), distinct(s), none);
unary('argMin', (x) => tf.argMin(x, -1), distinct(s), none);
unary('argMax, tied', (x) => tf.argMax(x, 0), floats([4], [1, 3, 3, 2]), none);
unary('all', (x) => tf.all(x, 1), b([4, 3]), none);
unary('any', (x) => tf.any(x, 1), b([4, 3]), none);
unary('softmax', (x) => tf.softmax(x, -1), f(s, -3, 3));
unary('logSoftmax', (x) => tf.logSoftmax(x), f(s, -3, 3));
unary('logSumExp', (x) => tf.logSumExp(x, [1]), f(s, -3, 3));
unary('moments', (x) => Object.values(tf.moments(x, [1])), f(s));
unary('norm', (x) => tf.norm(x, 'euclidean', -1), away(s));
unary('cumsum', (x) => tf.cumsum(x, 1), f(s));
// tfjs' CPU kernels take no negative axis here.
unary('cumsum, exclusive and reversed', (x) => tf.cumsum(x, 2, true, true), f(s));
unary('cumprod', (x) => tf.cumprod(x, 1), f([2, 7, 2], 0.5, 1.5));
unary('cumprod, exclusive', (x) => tf.cumprod(x, 1, true), f([2, 5], 0.5, 1.5));
unary('cumprod, reversed', (x) => tf.cumprod(x, 0, false, true), f([5, 2], 0.5, 1.5));
unary('cumprod, exclusive and reversed', (x) => tf.cumprod(x, 0, true, true), f([4, 2], 0.5, 1.5));
unary('cumprod with zeros', (x) => tf.cumprod(x, 1), floats([2, 5], [1, 2, 0, 3, 4, 0, 2, 0, 1, 5]));
unary('topk', (x) => Object.values(tf.topk(x, 3)), distinct([2, 7]));
unary('sort', (x) => tf.topk(x, 7).values, distinct([2, 7]));
unary('topk of integers', (x) => Object.values(tf.topk(x, 2)), ints([2, 4], [4, 1, 3, 2, -1, -2, -3, -4]), none);

// ── Indices ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────
op('gather', {x: f([5, 3]), at: i([2, 4], 5)}, (x) => tf.gather(x['x'], x['at']));
op('gather along the middle', {x: f([2, 4, 3]), at: i([5], 4)}, (x) => tf.gather(x['x'], x['at'], 1));
op('gather along the last axis', {x: f([2, 4]), at: i([2, 2], 4)}, (x) => tf.gather(x['x'], x['at'], -1));
op('gather, one index', {x: f([4, 3]), at: i([], 4)}, (x) => tf.gather(x['x'], x['at']));
op('gather within batches', {x: f([2, 5, 3]), at: i([2, 4], 5)}, (x) => tf.gather(x['x'], x['at'], 1, 1));
op('gather within batches, deeper', {x: f([2, 3, 5, 2]), at: i([2, 2, 2], 5)}, (x) => tf.gather(x['x'], x['at'], 2, 1));
op('gather of many rows', {x: f([600, 2]), at: i([9], 600)}, (x) => tf.gather(x['x'], x['at']));
op('gatherND', {x: f([3, 4, 2]), at: ints([3, 2], [0, 1, 2, 3, 0, 1])}, (x) => tf.gatherND(x['x'], x['at']));
op('scatterND', {u: f([4, 2]), at: ints([4, 1], [1, 3, 1, 0])}, (x) => tf.scatterND(x['at'], x['u'], [5, 2]));
op('scatterND, two index axes', {u: f([3]), at: ints([3, 2], [0, 1, 2, 0, 0, 1])}, (x) => tf.scatterND(x['at'], x['u'], [3, 2]));
op('scatterND of integers', {u: i([4], 9), at: ints([4, 1], [1, 3, 1, 0])}, (x) => tf.scatterND(x['at'], x['u'], [5]));
op('tensorScatterUpdate', {x: f([5, 2]), u: f([2, 2]), at: ints([2, 1], [3, 1])}, (x) =>
  tf.tensorScatterUpdate(x['x'], x['at'], x['u']),
);
op('unsortedSegmentSum', {x: f([6, 2]), at: ints([6], [0, 2, 0, 1, -1, 9])}, (x) =>
  tf.unsortedSegmentSum(x['x'], x['at'] as tf.Tensor1D, 4),
);
op('unsortedSegmentSum, many segments', {x: f([6, 2]), at: ints([6], [0, 600, 0, 1, -1, 700])}, (x) =>
  tf.unsortedSegmentSum(x['x'], x['at'] as tf.Tensor1D, 601),
);
op('oneHot', {at: ints([2, 3], [0, 1, 2, 3, -1, 5])}, (x) => tf.oneHot(x['at'], 4));
op('oneHot, other numbers', {at: i([4], 3)}, (x) => tf.oneHot(x['at'], 3, 2, -1, 'int32'));
for (const side of ['left', 'right'] as const) {
  op(
    `searchSorted, ${side}`,
    {x: floats([2, 4], [1, 2, 2, 5, 0, 1, 3, 3]), v: floats([2, 3], [2, 0, 9, 3, 1, -1])},
    (x) => tf.searchSorted(x['x'], x['v'], side),
    none,
  );
}

// ── Matrices ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────
for (const ta of [false, true]) {
  for (const tb of [false, true]) {
    const name = `${ta ? ', left transposed' : ''}${tb ? ', right transposed' : ''}`;
    op(`matMul${name}`, {p: f(ta ? [4, 3] : [3, 4]), q: f(tb ? [5, 4] : [4, 5])}, (x) => tf.matMul(x['p'], x['q'], ta, tb));
    op(`matMul in stacks${name}`, {p: f(ta ? [2, 4, 3] : [2, 3, 4]), q: f(tb ? [2, 5, 4] : [2, 4, 5])}, (x) =>
      tf.matMul(x['p'], x['q'], ta, tb),
    );
  }
}
op('matMul, a stack by one matrix', {p: f([2, 2, 3, 4]), q: f([4, 5])}, (x) => tf.matMul(x['p'], x['q']));
op('matMul, one matrix by a stack', {p: f([1, 3, 4]), q: f([2, 4, 5])}, (x) => tf.matMul(x['p'], x['q']));
op('matMul over nothing', {p: f([3, 0]), q: f([0, 2])}, (x) => tf.matMul(x['p'], x['q']), none);
op('dot', {p: f([4]), q: f([4, 3])}, (x) => tf.dot(x['p'], x['q']));
op('outerProduct', {p: f([4]), q: f([3])}, (x) => tf.outerProduct(x['p'] as tf.Tensor1D, x['q'] as tf.Tensor1D));
op('einsum, a product', {p: f([2, 3, 4]), q: f([2, 4, 5])}, (x) => tf.einsum('bij,bjk->bik', x['p'], x['q']));
op('einsum, outer', {p: f([3]), q: f([4])}, (x) => tf.einsum('i,j->ij', x['p'], x['q']));
op('einsum, a letter of one operand alone', {p: f([3, 4, 2]), q: f([4])}, (x) => tf.einsum('ijk,j->i', x['p'], x['q']));
op('einsum, one operand', {p: f([3, 4])}, (x) => tf.einsum('ij->ji', x['p']));
op(
  'fused.matMul',
  {p: f([3, 4]), q: f([4, 5]), bias: f([5])},
  (x) => tf.fused.matMul({a: x['p'], b: x['q'], bias: x['bias'], activation: 'elu'}),
  none,
);
for (const activation of ['relu', 'relu6', 'sigmoid', 'leakyrelu', 'prelu', 'linear'] as const) {
  op(
    `fused.matMul, ${activation}`,
    {p: f([3, 4]), q: f([4, 5]), alpha: f([5], 0.1, 0.5)},
    (x) =>
      tf.fused.matMul({a: x['p'], b: x['q'], activation, ...(activation === 'prelu' && {preluActivationWeights: x['alpha']})}),
    none,
  );
}

// ── Convolutions and pictures ────────────────────────────────────────────────────────────────────────────────────────────────
type Pad = 'same' | 'valid' | number;
const conv2d = (
  name: string,
  x: Shape,
  filter: Shape,
  strides: number | [number, number],
  pad: Pad | tf.backend_util.ExplicitPadding,
  dilations: number | [number, number] = 1,
): void =>
  op(`conv2d, ${name}`, {x: f(x), filter: f(filter)}, (t) =>
    tf.conv2d(t['x'] as tf.Tensor4D, t['filter'] as tf.Tensor4D, strides, pad, 'NHWC', dilations),
  );
conv2d('same', [2, 5, 4, 2], [3, 3, 2, 3], 1, 'same');
conv2d('valid', [1, 5, 6, 2], [2, 3, 2, 2], 1, 'valid');
conv2d('strided, same', [2, 5, 6, 2], [3, 3, 2, 2], 2, 'same');
conv2d('strided, valid, with a rest', [1, 6, 7, 1], [2, 3, 1, 2], [2, 3], 'valid');
conv2d('padded by a number', [1, 4, 4, 2], [3, 3, 2, 2], 2, 1);
conv2d('padded unevenly', [1, 4, 5, 2], [3, 2, 2, 2], 1, [
  [0, 0],
  [2, 0],
  [0, 1],
  [0, 0],
]);
conv2d('dilated', [1, 7, 7, 2], [3, 2, 2, 2], 1, 'same', [2, 3]);
conv2d('of points', [2, 3, 3, 4], [1, 1, 4, 5], 1, 'same');
conv2d('of the whole picture', [2, 3, 3, 2], [3, 3, 2, 4], 1, 'valid');
conv2d('of patches', [1, 6, 4, 3], [2, 2, 3, 5], 2, 'valid');
conv2d('of padded points', [1, 3, 3, 2], [1, 1, 2, 2], 1, 1);
op('conv1d', {x: f([2, 7, 2]), filter: f([3, 2, 3])}, (t) =>
  tf.conv1d(t['x'] as tf.Tensor3D, t['filter'] as tf.Tensor3D, 1, 'same'),
);
op('conv1d, strided', {x: f([2, 7, 2]), filter: f([3, 2, 3])}, (t) =>
  tf.conv1d(t['x'] as tf.Tensor3D, t['filter'] as tf.Tensor3D, 2, 'valid'),
);
op('conv1d, dilated', {x: f([2, 8, 2]), filter: f([3, 2, 2])}, (t) =>
  tf.conv1d(t['x'] as tf.Tensor3D, t['filter'] as tf.Tensor3D, 1, 'valid', 'NWC', 2),
);
const conv3d = (name: string, x: Shape, filter: Shape, strides: number | [number, number, number], pad: 'same' | 'valid'): void =>
  op(`conv3d, ${name}`, {x: f(x), filter: f(filter)}, (t) =>
    tf.conv3d(t['x'] as tf.Tensor5D, t['filter'] as tf.Tensor5D, strides, pad),
  );
conv3d('same', [2, 3, 4, 3, 2], [3, 3, 3, 2, 2], 1, 'same');
conv3d('valid', [1, 3, 4, 4, 2], [2, 2, 3, 2, 3], 1, 'valid');
conv3d('strided', [1, 4, 5, 4, 2], [2, 3, 3, 2, 2], [1, 2, 2], 'same');
conv3d('of points', [1, 2, 3, 2, 3], [1, 1, 1, 3, 4], 1, 'same');
const depthwise = (
  name: string,
  x: Shape,
  filter: Shape,
  strides: number | [number, number],
  pad: Pad,
  dilations: number | [number, number] = 1,
): void =>
  op(`depthwiseConv2d, ${name}`, {x: f(x), filter: f(filter)}, (t) =>
    tf.depthwiseConv2d(t['x'] as tf.Tensor4D, t['filter'] as tf.Tensor4D, strides, pad, 'NHWC', dilations),
  );
depthwise('same', [2, 5, 4, 3], [3, 3, 3, 1], 1, 'same');
depthwise('two outputs a channel', [1, 4, 5, 2], [2, 3, 2, 2], 1, 'valid');
depthwise('strided', [2, 5, 5, 2], [3, 3, 2, 2], 2, 'same');
depthwise('dilated', [1, 6, 6, 2], [2, 2, 2, 1], 1, 'same', [2, 2]);
op('conv2dTranspose', {x: f([1, 3, 3, 2]), filter: f([3, 3, 3, 2])}, (t) =>
  tf.conv2dTranspose(t['x'] as tf.Tensor4D, t['filter'] as tf.Tensor4D, [1, 6, 6, 3], 2, 'same'),
);
op('conv2dTranspose, valid', {x: f([2, 2, 3, 2]), filter: f([2, 3, 1, 2])}, (t) =>
  tf.conv2dTranspose(t['x'] as tf.Tensor4D, t['filter'] as tf.Tensor4D, [2, 3, 5, 1], 1, 'valid'),
);
op('conv3dTranspose', {x: f([1, 2, 2, 2, 2]), filter: f([2, 2, 2, 3, 2])}, (t) =>
  tf.conv3dTranspose(t['x'] as tf.Tensor5D, t['filter'] as tf.Tensor5D, [1, 4, 4, 4, 3], 2, 'valid'),
);
op('separableConv2d', {x: f([1, 4, 4, 2]), d: f([2, 2, 2, 2]), p: f([1, 1, 4, 3])}, (t) =>
  tf.separableConv2d(t['x'] as tf.Tensor4D, t['d'] as tf.Tensor4D, t['p'] as tf.Tensor4D, 1, 'same'),
);
op(
  'fused.conv2d',
  {x: f([1, 4, 4, 2]), filter: f([3, 3, 2, 3]), bias: f([3])},
  (t) =>
    tf.fused.conv2d({
      x: t['x'] as tf.Tensor4D,
      filter: t['filter'] as tf.Tensor4D,
      strides: 1,
      pad: 'same',
      bias: t['bias'],
      activation: 'relu',
    }),
  none,
);
op(
  'fused.depthwiseConv2d',
  {x: f([1, 4, 4, 2]), filter: f([3, 3, 2, 1]), bias: f([2])},
  (t) =>
    tf.fused.depthwiseConv2d({
      x: t['x'] as tf.Tensor4D,
      filter: t['filter'] as tf.Tensor4D,
      strides: 1,
      pad: 'same',
      bias: t['bias'],
    }),
  none,
);

const image = (name: string, x: NdArray, fn: (x: tf.Tensor4D) => tf.Tensor, options?: Options): void =>
  unary(name, (t) => fn(t as tf.Tensor4D), x, options);
image('avgPool, valid', f([2, 4, 4, 2]), (x) => tf.avgPool(x, 2, 2, 'valid'));
image('avgPool, same, overlapping', f([1, 5, 4, 2]), (x) => tf.avgPool(x, 3, 2, 'same'));
image('avgPool, with a rest', f([1, 5, 5, 1]), (x) => tf.avgPool(x, [2, 3], 2, 'valid'));
image('maxPool', distinct([2, 4, 4, 2]), (x) => tf.maxPool(x, 2, 2, 'valid'));
image(
  'maxPool, tied',
  floats([1, 4, 4, 1], [1, 1, 0, 2, 1, 1, 2, 2, 0, 0, 3, 1, 0, 0, 1, 3]),
  (x) => tf.maxPool(x, 2, 1, 'valid'),
  {smooth: false},
);
image('maxPool, same, overlapping', distinct([1, 5, 4, 2]), (x) => tf.maxPool(x, 3, 1, 'same'));
image('pool, dilated', f([1, 6, 6, 1]), (x) => tf.pool(x, [2, 2], 'avg', 'valid', [2, 2]));
unary('avgPool3d', (x) => tf.avgPool3d(x as tf.Tensor5D, 2, 2, 'valid'), f([1, 2, 4, 4, 2]));
unary('avgPool3d, same', (x) => tf.avgPool3d(x as tf.Tensor5D, [2, 3, 3], 1, 'same'), f([1, 3, 4, 3, 1]));
unary('maxPool3d', (x) => tf.maxPool3d(x as tf.Tensor5D, 2, 2, 'valid'), distinct([1, 2, 4, 4, 2]));
for (const alignCorners of [false, true]) {
  for (const halfPixelCenters of alignCorners ? [false] : [false, true]) {
    const name = alignCorners ? ', corners aligned' : halfPixelCenters ? ', half-pixel centres' : '';
    image(`resizeBilinear${name}`, f([2, 3, 4, 2]), (x) => tf.image.resizeBilinear(x, [5, 3], alignCorners, halfPixelCenters));
    image(`resizeNearestNeighbor${name}`, f([2, 3, 4, 2]), (x) =>
      tf.image.resizeNearestNeighbor(x, [6, 3], alignCorners, halfPixelCenters),
    );
  }
}
op(
  'batchNorm',
  {x: f([2, 3, 2]), mean: f([2]), variance: f([2], 0.5, 2), offset: f([2]), scale: f([2])},
  (t) => tf.batchNorm(t['x'], t['mean'], t['variance'], t['offset'], t['scale'], 1e-3),
  none,
);

// ── Operators of our own ─────────────────────────────────────────────────────────────────────────────────────────────────────
unary('layerNorm', (x) => layerNorm(x, 1e-3), f([2, 3, 8]));
unary('layerNorm of small numbers, where ε counts', (x) => layerNorm(x, 1e-2), f([2, 6], -0.05, 0.05));
const angles = Array.from({length: 3}, (_, n) => [n * 0.7, n * 0.2]);
unary('rotary', (x) => rotary(x, angles), f([2, 2, 3, 4]));
unary('rotary, inverse', (x) => rotary(x, angles, true), f([1, 2, 3, 4]));

// One operator where no gradient is recorded, several where one is; tfjs' error function is good to 1.5e-7 only.
unary('gelu', gelu, f([2, 9], -3, 3), {rtol: 5e-5});

// The token is waited for, and changes nothing, whatever it holds.
op('after', {x: f([2, 3]), token: floats([3], [NaN, Infinity, -0.5])}, (t) => after(t['x'], t['token']), {gradients: ['x']});
op('recompute', {x: f([2, 3]), w: f([3, 3])}, (t) => {
  const step = recompute((x, w) => tf.tanh(tf.matMul(x as tf.Tensor2D, w as tf.Tensor2D)));
  return step(step(t['x'], t['w']), t['w']);
});

/** A random direction for finite differences, largest component 1. */
export function direction(shape: Shape, sample: number): Float32Array {
  const d = normals({seed: 11, purpose: 'direction', sample}, new Float32Array(sizeOf(shape)));
  const largest = d.reduce((m, x) => Math.max(m, Math.abs(x)), 1e-9);
  return d.map((x) => x / largest);
}
// Where there is no such operator, and in the check of this one, it is composed.
const composedGelu = (x: tf.Tensor): tf.Tensor => tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1));
op(
  'gelu with its bias',
  {x: f([2, 9], -3, 3), bias: f([9])},
  (t) => geluWithoutGradient(t['x'], t['bias']) ?? composedGelu(tf.add(t['x'], t['bias'])),
  {...none, rtol: 5e-5},
);
for (const frames of [1, 3]) {
  op(`depthwiseConvolution of blocked channels, frames: ${frames}`, {kernel: f([16, 27]), x: f([2, 6 * frames, 16])}, (t) =>
    depthwiseConvolution(t['kernel'], t['x'], [frames, 2, 3]),
  );
}
