/** Whole small functions as the graphs that they leave: a change of a lowering, a gradient or a rule shows here. */
import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import {layerNorm} from '../../src/autograd/fused.js';
import {trace, type InputSpec, type NumericFunction} from '../../src/engine/trace.js';
import {depthwiseConvolution} from '../../src/models/depthwiseConvolution.js';
import {attention} from '../../src/models/layers.js';

const f32 = (...shape: number[]): InputSpec => ({dtype: 'float32', shape});
const graphOf = (fn: NumericFunction, specs: Record<string, InputSpec>): string[] =>
  trace('snapshot', fn, specs).graph.toString().split('\n');

describe('engine: traced graphs', () => {
  it('an affine layer and its gradients', () => {
    const loss = (x: tf.Tensor, w: tf.Tensor, b: tf.Tensor): tf.Scalar => tf.mean(tf.square(tf.add(tf.matMul(x, w), b)));
    const lines = graphOf(
      ({x, w, b}) => {
        const {value, grads} = tf.valueAndGrads(loss)([x, w, b] as tf.Tensor[]);
        return {value, dw: grads[1], db: grads[2]};
      },
      {x: f32(8, 3), w: f32(3, 2), b: f32(2)},
    );
    expect(lines).to.deep.equal([
      '(%0: float32[8,3], %1: float32[3,2], %2: float32[2])',
      '%3: float32[8,2] = MatMul(%0, %1)',
      '%4: float32[8,2] = Add(%3, %2)',
      '%5: float32[8,2] = Mul(%4, %4)',
      '%6: float32[] = ReduceMean(%5, [0,1]) {keepdims: 0}',
      '%7: float32[8,2] = Mul(%4, 0.125)',
      '%8: float32[2] = ReduceSum(%7, 0[1]) {keepdims: 0}',
      '%9: float32[3,2] = Gemm(%0, %7) {transA: 1, transB: 0}',
    ]);
  });

  it('layer normalisation and its gradient', () => {
    const lines = graphOf(({x, dy}) => ({dx: tf.grad((z) => layerNorm(z))(x as tf.Tensor, dy as tf.Tensor)}), {
      x: f32(2, 4, 8),
      dy: f32(2, 4, 8),
    });
    expect(lines).to.deep.equal([
      '(%0: float32[2,4,8], %1: float32[2,4,8])',
      '%2: float32[2,4,8], %3: float32[2,4,1], %4: float32[2,4,1] = LayerNormalization(%0, 1[8], 0[8]) {axis: 2, epsilon: {"float":0.00001}}',
      '%5: float32[2,4,8] = Mul(%1, %2)',
      '%6: float32[2,4,1] = ReduceMean(%5, 2[1]) {keepdims: 1}',
      '%7: float32[2,4,1] = ReduceMean(%1, 2[1]) {keepdims: 1}',
      '%8: float32[2,4,8] = Sub(%1, %7)',
      '%9: float32[2,4,8] = Mul(%2, %6)',
      '%10: float32[2,4,8] = Sub(%8, %9)',
      '%11: float32[2,4,8] = Mul(%10, %4)',
    ]);
  });

  it('attention', () => {
    const lines = graphOf(({q, k, v}) => ({o: attention(q as tf.Tensor, k as tf.Tensor, v as tf.Tensor, 0.5)}), {
      q: f32(1, 2, 5, 4),
      k: f32(1, 2, 6, 4),
      v: f32(1, 2, 6, 4),
    });
    expect(lines).to.deep.equal([
      '(%0: float32[1,2,5,4], %1: float32[1,2,6,4], %2: float32[1,2,6,4])',
      '%3: float32[1,2,5,6] = FusedMatMul(%0, %1) {transA: 0, transB: 1}',
      '%4: float32[1,2,5,6] = Mul(%3, 0.5)',
      '%5: float32[1,2,5,6] = Softmax(%4) {axis: 3}',
      '%6: float32[1,2,5,4] = MatMul(%5, %2)',
    ]);
  });

  it('an embedding and its gradient, which is a product with a 0/1 matrix', () => {
    const lines = graphOf(
      ({w, at, dy}) => ({dw: tf.grad((table) => tf.gather(table, at as tf.Tensor1D))(w as tf.Tensor, dy as tf.Tensor)}),
      {w: f32(10, 4), at: {dtype: 'int32', shape: [6]}, dy: f32(6, 4)},
    );
    expect(lines).to.deep.equal([
      '(%0: float32[10,4], %1: int32[6], %2: float32[6,4])',
      '%3: int32[1,6] = Reshape(%1, [1,6])',
      '%4: bool[10,6] = Equal(const[10,1], %3)',
      '%5: float32[10,6] = Cast(%4) {to: 1}',
      '%6: float32[10,4] = MatMul(%5, %2)',
    ]);
  });

  it('a strided convolution, channels first between its edges', () => {
    const lines = graphOf(({x, f}) => ({y: tf.conv2d(x as tf.Tensor4D, f as tf.Tensor4D, 2, 'same')}), {
      x: f32(1, 6, 6, 3),
      f: f32(3, 3, 3, 4),
    });
    expect(lines).to.deep.equal([
      '(%0: float32[1,6,6,3], %1: float32[3,3,3,4])',
      '%2: float32[4,3,3,3] = Transpose(%1) {perm: [3,2,0,1]}',
      '%3: float32[1,3,6,6] = Transpose(%0) {perm: [0,3,1,2]}',
      '%4: float32[1,4,3,3] = Conv(%3, %2) {kernel_shape: [3,3], strides: [2,2], dilations: [1,1], pads: [0,0,1,1], group: 1}',
      '%5: float32[1,3,3,4] = Transpose(%4) {perm: [0,2,3,1]}',
    ]);
  });

  it('a plain number is a constant, an input stays one', () => {
    expect(
      graphOf(({x, rate}) => ({y: tf.mul(tf.add(x as tf.Tensor, 2), rate as tf.Tensor)}), {x: f32(3), rate: f32()}),
    ).to.deep.equal(['(%0: float32[3], %1: float32[])', '%2: float32[3] = Add(%0, 2)', '%3: float32[3] = Mul(%2, %1)']);
  });

  it('has convolutions of blocked channels only for providers that have them, and of whole blocks', () => {
    const domains = (channels: number, blocked: boolean): string[] => {
      const convolve: NumericFunction = ({kernel, x}) => ({
        y: depthwiseConvolution(kernel as tf.Tensor, x as tf.Tensor, [1, 2, 2]),
      });
      const {graph} = trace('domains', convolve, {kernel: f32(channels, 27), x: f32(1, 4, channels)}, blocked);
      return [...new Set(graph.nodes.map((node) => node.domain))];
    };
    expect(domains(16, true)).to.include('com.microsoft.nchwc');
    expect(domains(16, false)).to.deep.equal(['']);
    expect(domains(24, true)).to.deep.equal(['']);
  });
});
