/**
 * The peephole rules. Each is seen twice: in the graph that it leaves, which is written out, and in the numbers, which are those
 * of tfjs. The last block holds the places where a rule must keep its hands off.
 */
import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import type {Device} from '../../src/engine/device.js';
import {openDevice} from '../../src/engine/devices.js';
import {Graph} from '../../src/engine/graph.js';
import {trace, type NumericFunction} from '../../src/engine/trace.js';
import {float32, int32, ndarray, type NdArray} from '../../src/tensor/ndarray.js';
import {leaves, type Branch, type Params} from '../../src/tensor/tree.js';
import {runEagerly} from '../support/eager.js';
import {expectNear} from '../support/near.js';

type F = (x: tf.Tensor, y: tf.Tensor) => tf.Tensor;

interface Case {
  readonly name: string;
  readonly fn: F;
  readonly x: NdArray;
  readonly y?: NdArray;
  /** The nodes, one a line. */
  readonly graph: readonly string[];
}

const some = (...shape: number[]): NdArray =>
  float32(
    Array.from({length: shape.reduce((n, d) => n * d, 1)}, (_, i) => Math.sin(i + 1) * 3),
    shape,
  );
/** Numbers on which careless algebra shows. */
const odd = float32([1e30, -1e30, 1e-30, 3e38, -2, 0.1]);

const cases: Case[] = [
  {name: 'x + 0, 0 + x and x − 0 are x', fn: (x) => tf.sub(tf.add(0, tf.add(x, 0)), 0), x: odd, graph: []},
  {name: '0 − x is −x', fn: (x) => tf.sub(0, x), x: odd, graph: ['%1: float32[6] = Neg(%0)']},
  {name: 'x·1, 1·x and x/1 are x', fn: (x) => tf.div(tf.mul(1, tf.mul(x, 1)), 1), x: odd, graph: []},
  {
    name: 'a zero that spreads its operand still spreads it',
    fn: (x) => tf.add(x, tf.zeros([2, 3])),
    x: some(3),
    graph: ['%1: float32[2,3] = Expand(%0, [2,3])'],
  },
  {name: '−(−x) is x', fn: (x) => tf.neg(tf.neg(x)), x: odd, graph: []},
  {
    name: 'x + (−y) is x − y',
    fn: (x, y) => tf.add(x, tf.neg(y)),
    x: some(3),
    y: some(3),
    graph: ['%2: float32[3] = Sub(%0, %1)'],
  },
  {
    name: '(−y) + x is x − y',
    fn: (x, y) => tf.add(tf.neg(y), x),
    x: some(3),
    y: some(3),
    graph: ['%2: float32[3] = Sub(%0, %1)'],
  },
  {
    name: 'x − (−y) is x + y',
    fn: (x, y) => tf.sub(x, tf.neg(y)),
    x: some(3),
    y: some(3),
    graph: ['%2: float32[3] = Add(%0, %1)'],
  },
  {name: 'x/c is a product', fn: (x) => tf.div(x, 4), x: odd, graph: ['%1: float32[6] = Mul(%0, 0.25)']},
  {
    name: 'constant factors meet',
    fn: (x) => tf.mul(0.5, tf.mul(tf.div(x, 4), 3)),
    x: odd,
    graph: ['%1: float32[6] = Mul(%0, 0.375)'],
  },
  {
    name: 'constants are computed beforehand',
    fn: (x) => tf.add(x, tf.sqrt(tf.exp(tf.sub(tf.mul(tf.add(tf.ones([6]), 2), 2), tf.div(tf.fill([6], 8), 2))))),
    x: some(6),
    graph: [`%1: float32[6] = Add(%0, ${Math.fround(Math.sqrt(Math.fround(Math.exp(2))))})`],
  },
  {
    name: 'reshapes of reshapes are one',
    fn: (x) => tf.reshape(tf.reshape(x, [6]), [3, 2]),
    x: some(2, 3),
    graph: ['%1: float32[3,2] = Reshape(%0, [3,2])'],
  },
  {name: 'a reshape to the same shape is none', fn: (x) => tf.reshape(tf.reshape(x, [6]), [2, 3]), x: some(2, 3), graph: []},
  {
    name: 'transposes of transposes are one',
    fn: (x) => tf.transpose(tf.transpose(x, [1, 2, 0]), [0, 2, 1]),
    x: some(2, 3, 4),
    graph: ['%1: float32[3,2,4] = Transpose(%0) {perm: [1,0,2]}'],
  },
  {
    name: 'a transpose and its inverse are none',
    fn: (x) => tf.transpose(tf.transpose(x, [1, 2, 0]), [2, 0, 1]),
    x: some(2, 3, 4),
    graph: [],
  },
  {
    name: 'a transpose that moves axes of size 1 only is a reshape',
    fn: (x) => tf.transpose(x, [1, 0, 2]),
    x: some(2, 1, 4),
    graph: ['%1: float32[1,2,4] = Reshape(%0, [1,2,4])'],
  },
  {
    name: 'an operand that was spread out spreads by itself',
    fn: (x, y) => tf.mul(x, tf.broadcastTo(y, [2, 3])),
    x: some(2, 3),
    y: some(1, 3),
    graph: ['%2: float32[2,3] = Mul(%0, %1)'],
  },
  {
    name: 'two operands that were spread out meet before they are',
    fn: (x, y) => tf.mul(tf.broadcastTo(x, [4, 2, 3]), tf.broadcastTo(y, [4, 2, 3])),
    x: some(1, 1, 3),
    y: some(1, 2, 1),
    graph: ['%2: float32[1,2,3] = Mul(%0, %1)', '%3: float32[4,2,3] = Expand(%2, [4,2,3])'],
  },
  {
    name: 'a table of one number is that number',
    fn: (x) => tf.maximum(x, tf.fill([2, 3], 0.5)),
    x: some(2, 3),
    graph: ['%1: float32[2,3] = Max(%0, 0.5)'],
  },
  {
    name: 'a choice spreads its operands by itself',
    fn: (x) => tf.where(tf.greater(x, 0), x, 7),
    x: some(2, 3),
    graph: ['%1: bool[2,3] = Greater(%0, 0)', '%2: float32[2,3] = Where(%1, %0, 7)'],
  },
  {
    name: 'bytes become floats in one cast',
    fn: (x) => tf.cast(x, 'float32'),
    x: ndarray('uint8', [3], Uint8Array.from([0, 128, 255])),
    graph: ['%1: float32[3] = Cast(%0) {to: 1}'],
  },
  {name: 'a cast to the same dtype is none', fn: (x) => tf.cast(x, 'float32'), x: odd, graph: []},
  {
    name: 'equal subexpressions are one',
    fn: (x, y) => tf.sub(tf.exp(tf.add(x, y)), tf.sqrt(tf.exp(tf.add(x, y)))),
    x: some(3),
    y: some(3),
    graph: [
      '%2: float32[3] = Add(%0, %1)',
      '%3: float32[3] = Exp(%2)',
      '%4: float32[3] = Sqrt(%3)',
      '%5: float32[3] = Sub(%3, %4)',
    ],
  },
  {name: 'what no output needs is dropped', fn: (x) => (tf.exp(x), tf.neg(x)), x: some(3), graph: ['%1: float32[3] = Neg(%0)']},

  // ── Where a rule must not apply ────────────────────────────────────────────────────────────────────────────────────────────
  {
    name: 'factors whose product would overflow stay apart',
    fn: (x) => tf.mul(tf.mul(x, 1e30), 1e20),
    x: float32([1e-30, 1e-20]),
    graph: [`%1: float32[2] = Mul(%0, ${Math.fround(1e30)})`, `%2: float32[2] = Mul(%1, ${Math.fround(1e20)})`],
  },
  {
    name: 'factors whose product would vanish stay apart',
    fn: (x) => tf.mul(tf.mul(x, 1e-30), 1e-20),
    x: float32([1e30, 1e20]),
    graph: [`%1: float32[2] = Mul(%0, ${Math.fround(1e-30)})`, `%2: float32[2] = Mul(%1, ${Math.fround(1e-20)})`],
  },
  {
    name: 'a divisor whose reciprocal would vanish stays one',
    fn: (x) => tf.div(x, 3e38),
    x: float32([3e38, 1e38]),
    graph: [`%1: float32[2] = Div(%0, ${Math.fround(3e38)})`],
  },
  {name: 'division by zero stays one', fn: (x) => tf.div(x, 0), x: float32([1, -1, 0]), graph: ['%1: float32[3] = Div(%0, 0)']},
  {
    name: 'integers are left alone',
    fn: (x) => tf.add(tf.mul(x, tf.scalar(1, 'int32')), tf.scalar(0, 'int32')),
    x: int32([1, 2]),
    graph: ['%1: int32[2] = Mul(%0, 1)', '%2: int32[2] = Add(%1, 0)'],
  },
  {
    name: 'constants that differ in dtype, shape or sign of zero are different',
    fn: (x) => tf.div(tf.mul(x, tf.cast(tf.greater(tf.cast(x, 'int32'), tf.scalar(0, 'int32')), 'float32')), tf.scalar(-0)),
    x: float32([2, 3]),
    graph: [
      '%1: int32[2] = Cast(%0) {to: 6}',
      '%2: bool[2] = Greater(%1, 0)',
      '%3: float32[2] = Cast(%2) {to: 1}',
      '%4: float32[2] = Mul(%0, %3)',
      '%5: float32[2] = Div(%4, 0)',
    ],
  },
  {
    name: 'slopes that differ are different operators',
    fn: (x) => tf.sub(tf.leakyRelu(x, 0.25), tf.leakyRelu(x, 0.5)),
    x: some(4),
    graph: [
      '%1: float32[4] = LeakyRelu(%0) {alpha: {"float":0.25}}',
      '%2: float32[4] = LeakyRelu(%0) {alpha: {"float":0.5}}',
      '%3: float32[4] = Sub(%1, %2)',
    ],
  },
];

const inputsOf = ({x, y}: Case): Params => ({x, ...(y && {y})});
const functionOf =
  ({fn}: Case): NumericFunction =>
  (inputs) => ({z: fn(inputs['x'] as tf.Tensor, inputs['y'] as tf.Tensor)});

const linesOf = (c: Case): string[] => {
  const specs = Object.fromEntries(leaves<NdArray>(inputsOf(c)).map(([name, {dtype, shape}]) => [name, {dtype, shape}]));
  return trace(c.name, functionOf(c), specs).graph.toString().split('\n').slice(1);
};

describe('engine: simplification', () => {
  let device: Device;
  let compiled: Params;
  before(async () => {
    device = await openDevice('cpu', {threads: 1});
    const together: NumericFunction = (inputs) =>
      Object.fromEntries(cases.map((c, i) => [i, functionOf(c)(inputs[i] as Branch<tf.Tensor>)]));
    ({outputs: compiled} = await device.jit('simplified', together)(Object.fromEntries(cases.map((c, i) => [i, inputsOf(c)]))));
  });
  after(() => device.close());

  cases.forEach((c, i) => {
    it(c.name, () => {
      const lines = linesOf(c);
      expect(lines).to.deep.equal(c.graph);
      const {z: wanted} = runEagerly(functionOf(c), inputsOf(c)) as Record<string, NdArray>;
      const {z: got} = compiled[i] as Record<string, NdArray>;
      expect(got.shape).to.deep.equal(wanted.shape);
      expectNear(got.data, wanted.data, {rtol: 1e-6, atol: 0}, 'z');
    });
  });

  it('x·0 is 0, whatever x: the one rule that may hide a NaN', () => {
    const x = float32([NaN, Infinity, 1]);
    expect(linesOf({name: 'zero', fn: (t) => tf.mul(t, 0), x, graph: []})).to.deep.equal([]);
  });

  it('keeps equal large tables once, and tables that differ in one number apart', () => {
    const graph = new Graph();
    const table = Float32Array.from({length: 500}, (_, i) => i);
    const other = table.slice();
    other[499] = -1;
    const first = graph.constant(table, [500], 'float32');
    expect(graph.constant(table.slice(), [500], 'float32')).to.equal(first);
    expect(graph.constant(table, [5, 100], 'float32')).not.to.equal(first);
    expect(graph.constant(table, [500], 'int32')).not.to.equal(first);
    expect(graph.constant(other, [500], 'float32')).not.to.equal(first);
    // These two have one checksum, being equal as float32.
    const large = (n: number): Int32Array => Int32Array.from({length: 100}, (_, i) => (i === 0 ? n : i));
    expect(graph.constant(large(2 ** 24), [100], 'int32')).not.to.equal(graph.constant(large(2 ** 24 + 1), [100], 'int32'));
  });

  it('tells attributes apart that JSON does not', () => {
    const graph = new Graph();
    const x = graph.input({dtype: 'float32', shape: [2]});
    const bounded = (float: number): unknown => graph.op('LeakyRelu', [x], {dtype: 'float32', shape: [2]}, {alpha: {float}});
    expect(new Set([Infinity, -Infinity, NaN, 0, -0].map(bounded)).size).to.equal(5);
    expect(bounded(Infinity)).to.equal(bounded(Infinity));
  });
});
