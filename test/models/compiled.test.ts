/** The layers with closed-form gradients as compiled graphs, passes included, give the numbers that they give eagerly. */
import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import '../../src/autograd/index.js';
import type {Device} from '../../src/engine/device.js';
import {openOrtDevice} from '../../src/engine/ortDevice.js';
import type {NumericFunction} from '../../src/engine/trace.js';
import {depthwiseConvolution} from '../../src/models/depthwiseConvolution.js';
import {attention, gelu, geluFeedForward, modulatedNorm} from '../../src/models/layers.js';
import {float32, sizeOf, type NdArray} from '../../src/tensor/ndarray.js';
import {normals} from '../../src/tensor/random.js';
import {leaves} from '../../src/tensor/tree.js';
import {runEagerly} from '../support/eager.js';

const draw = (purpose: string, ...shape: number[]): NdArray<'float32'> =>
  float32(normals({seed: 5, purpose}, new Float32Array(sizeOf(shape))), shape);

describe('compiled layers', () => {
  let device: Device;
  before(async () => {
    device = await openOrtDevice('cpu', {provider: 'cpu', threads: 1}, {});
  });
  after(() => device.close());

  /** Value without gradients, and loss and gradients of Σ y·w over all inputs but w. */
  async function agree(
    name: string,
    layer: (x: Record<string, tf.Tensor>) => tf.Tensor,
    inputs: Record<string, NdArray>,
  ): Promise<void> {
    const names = Object.keys(inputs);
    const fn: NumericFunction = (given) => {
      const x = given as Record<string, tf.Tensor>;
      const free = names.filter((n) => n !== 'w' && n !== 'bias');
      const {value, grads} = tf.valueAndGrads((...xs: tf.Tensor[]) =>
        tf.sum(tf.mul(layer({...x, ...Object.fromEntries(free.map((n, i) => [n, xs[i]]))}), x.w)),
      )(free.map((n) => x[n]));
      return {y: layer(x), loss: value, ...Object.fromEntries(free.map((n, i) => [`d${n}`, grads[i]]))};
    };
    const {outputs} = await device.jit(name, fn)(inputs);
    for (const [path, wanted] of leaves<NdArray>(runEagerly(fn, inputs))) {
      const found = outputs[path] as NdArray;
      const values = Array.from(wanted.data);
      const largest = values.reduce((m, v) => Math.max(m, Math.abs(v)), 1e-12);
      const difference = values.reduce((m, v, i) => Math.max(m, Math.abs(v - found.data[i])), 0);
      expect(difference / largest, `${name}: ${path}`).to.be.below(1e-5);
    }
  }

  it('attention', () =>
    agree('attention', ({q, k, v, bias}) => attention(q, k, v, 0.3, bias), {
      q: draw('q', 2, 3, 40, 8),
      k: draw('k', 2, 3, 50, 8),
      v: draw('v', 2, 3, 50, 8),
      bias: float32(
        Float32Array.from({length: 100}, (_, i) => (i % 7 === 0 ? -1e4 : 0)),
        [2, 50],
      ),
      w: draw('w', 2, 3, 40, 8),
    }));

  it('modulatedNorm', () =>
    agree('modulatedNorm', ({x, scale, shift}) => modulatedNorm(x, scale, shift), {
      x: draw('x', 2, 40, 16),
      scale: draw('scale', 2, 1, 16),
      shift: draw('shift', 2, 1, 16),
      w: draw('w', 2, 40, 16),
    }));

  it('gelu', () => agree('gelu', ({x}) => gelu(x), {x: draw('x', 7, 9), w: draw('w', 7, 9)}));

  it('geluFeedForward, with its products transposed', () =>
    agree('geluFeedForward', ({x, a, b, c, d}) => geluFeedForward({in: {weight: a, bias: b}, out: {weight: c, bias: d}}, x), {
      x: draw('x', 4, 300, 16),
      a: draw('a', 16, 64),
      b: draw('b', 64),
      c: draw('c', 64, 16),
      d: draw('d', 16),
      w: draw('w', 4, 300, 16),
    }));

  it('depthwiseConvolution', () =>
    agree('depthwiseConvolution', ({kernel, x}) => depthwiseConvolution(kernel, x, [4, 3, 5]), {
      kernel: draw('kernel', 6, 27),
      x: draw('x', 3, 60, 6),
      w: draw('w', 3, 60, 6),
    }));

  for (const frames of [1, 4]) {
    it(`depthwiseConvolution of blocked channels, ${frames} frame(s)`, () =>
      agree('blocked', ({kernel, x}) => depthwiseConvolution(kernel, x, [frames, 3, 5]), {
        kernel: draw('kernel', 32, 27),
        x: draw('x', 3, 15 * frames, 32),
        w: draw('w', 3, 15 * frames, 32),
      }));
  }
});
