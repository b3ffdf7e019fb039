/** The layers of networks against PyTorch's numbers (test/fixtures/ops.json), values and all gradients, eagerly and compiled. */
import * as tf from '@tensorflow/tfjs-core';
import {layerNorm} from '../../src/autograd/fused.js';
import type {Device} from '../../src/engine/device.js';
import {openDevice} from '../../src/engine/devices.js';
import type {NumericFunction} from '../../src/engine/trace.js';
import {geluTanh} from '../../src/models/geluTanh.js';
import {attention, gelu, silu, timeEmbedding} from '../../src/models/layers.js';
import {causalMask, maskedAttention, maskOf} from '../../src/models/maskedAttention.js';
import {groupNorm, rmsNorm, unitLength} from '../../src/models/norms.js';
import {depthwiseConv3d, upsampleNearest} from '../../src/models/volumes.js';
import {float32, ndarray, type NdArray} from '../../src/tensor/ndarray.js';
import type {Branch, Params} from '../../src/tensor/tree.js';
import {runEagerly} from '../support/eager.js';
import {cases, expectClose, expectOutput, numbers, type Case} from '../support/golden.js';

type X = Readonly<Record<string, tf.Tensor>>;
type P = Record<string, never>;
type Layer = (x: X, params: P) => tf.Tensor;

/** `[N, C, …]`, as PyTorch has images, to `[N, …, C]` and back. */
const toLast = (x: tf.Tensor): tf.Tensor => tf.transpose(x, [0, ...Array.from({length: x.rank - 2}, (_, i) => i + 2), 1]);
const toFirst = (x: tf.Tensor): tf.Tensor =>
  tf.transpose(x, [0, x.rank - 1, ...Array.from({length: x.rank - 2}, (_, i) => i + 1)]);
/** `[out, in, …]` to `[…, in, out]`. */
const filterOf = (w: tf.Tensor): tf.Tensor => tf.transpose(w, [...Array.from({length: w.rank - 2}, (_, i) => i + 2), 1, 0]);
const affine = (y: tf.Tensor, x: X): tf.Tensor => tf.add(tf.mul(y, x['g']), x['b']);

const sdpa: Layer = ({q, k, v, mask}, params) => {
  const scale = (params['scale'] as number | null) ?? 1 / Math.sqrt(q.shape.at(-1)!);
  const kind = params['mask'] as string | null;
  if (kind === 'causal') return maskedAttention(q, k, v, scale, causalMask(q.shape[2]!, k.shape[2]));
  if (kind === 'bool') return maskedAttention(q, k, v, scale, maskOf(mask));
  if (kind === 'float') return maskedAttention(q, k, v, scale, mask);
  return attention(q, k, v, scale);
};

const conv3d: Layer = ({x, w, b}, params) => {
  const padding = params['padding'] as [number, number, number];
  const groups = params['groups'] as number;
  if (groups === 1) {
    return toFirst(
      tf.add(
        tf.conv3d(toLast(x) as tf.Tensor5D, filterOf(w) as tf.Tensor5D, params['stride'] as [number, number, number], 'valid'),
        b,
      ),
    );
  }
  // [out, 1, …] with `out` channel by channel → […, channels, outputs a channel].
  const [outputs, , ...size] = w.shape;
  const filter = tf.transpose(tf.reshape(w, [groups, outputs / groups, ...size]), [2, 3, 4, 0, 1]);
  return toFirst(tf.add(depthwiseConv3d(toLast(x), filter, padding), b));
};

const conv2d: Layer = ({x, w, b}, params) => {
  const [p, q] = params['padding'] as [number, number];
  const pad: tf.backend_util.ExplicitPadding = [
    [0, 0],
    [p, p],
    [q, q],
    [0, 0],
  ];
  return toFirst(
    tf.add(
      tf.conv2d(toLast(x) as tf.Tensor4D, filterOf(w) as tf.Tensor4D, params['stride'] as [number, number], pad as never),
      b,
    ),
  );
};

/** adaLN-zero block with self- and cross-attention, as the case's `order` spells it. */
const ditBlock: Layer = (x, params) => {
  const {heads, gelu: kind, layer_norm_eps: epsilon} = params as unknown as {heads: number; gelu: string; layer_norm_eps: number};
  const times = (y: tf.Tensor, w: string): tf.Tensor =>
    tf.reshape(tf.matMul(tf.reshape(y, [-1, y.shape.at(-1)!]), x[w], false, true), [...y.shape.slice(0, -1), x[w].shape[0]]);
  const [batch, tokens, width] = x['x'].shape as [number, number, number];
  const attend = (y: tf.Tensor, source: tf.Tensor, [q, k, v, o]: string[]): tf.Tensor => {
    const split = (z: tf.Tensor): tf.Tensor => tf.transpose(tf.reshape(z, [batch, -1, heads, width / heads]), [0, 2, 1, 3]);
    const out = attention(split(times(y, q)), split(times(source, k)), split(times(source, v)), 1 / Math.sqrt(width / heads));
    return times(tf.reshape(tf.transpose(out, [0, 2, 1, 3]), [batch, tokens, width]), o);
  };
  const modulation = tf.add(times(silu(x['e']), 'Wm'), x['bm']);
  const [shift1, scale1, gate1, shift2, scale2, gate2] = tf.split(modulation, 6, -1).map((m) => tf.expandDims(m, 1));
  const norm = (y: tf.Tensor): tf.Tensor => layerNorm(y, epsilon);
  const modulated = (y: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor): tf.Tensor =>
    tf.add(tf.mul(norm(y), tf.add(scale, 1)), shift);
  const first = modulated(x['x'], scale1, shift1);
  let y = tf.add(x['x'], tf.mul(gate1, attend(first, first, ['Wq', 'Wk', 'Wv', 'Wo'])));
  y = tf.add(y, attend(y, x['c'], ['Uq', 'Uk', 'Uv', 'Uo']));
  const hidden = tf.add(times(modulated(y, scale2, shift2), 'W1'), x['b1']);
  const active = kind === 'tanh' ? geluTanh(hidden) : gelu(hidden);
  return tf.add(y, tf.mul(gate2, tf.add(times(active, 'W2'), x['b2'])));
};

const layers: Readonly<Record<string, Layer>> = {
  sdpa,
  layer_norm: (x, params) => {
    const normalised = (params['normalized_shape'] as number[]).length;
    const {shape} = x['x'];
    const rows = tf.reshape(x['x'], [...shape.slice(0, shape.length - normalised), -1]);
    const y = tf.reshape(layerNorm(rows, params['eps'] as number), shape);
    return x['g'] ? affine(y, x) : y;
  },
  group_norm: (x, params) => toFirst(groupNorm(toLast(x['x']), params['groups'], x['g'], x['b'], params['eps'])),
  rms_norm: (x, params) => rmsNorm(x['x'], x['g'], params['eps']),
  'gelu-erf': ({x}) => gelu(x),
  'gelu-tanh': ({x}) => geluTanh(x),
  silu: ({x}) => silu(x),
  softplus: ({x}) => tf.softplus(x),
  sigmoid: ({x}) => tf.sigmoid(x),
  tanh: ({x}) => tf.tanh(x),
  // tfjs knows these two along the last axis only.
  softmax: ({x}, {dim}) => alongLast(x, dim, (y) => tf.softmax(y)),
  log_softmax: ({x}, {dim}) => alongLast(x, dim, (y) => tf.logSoftmax(y)),
  logsumexp: ({x}, {dim}) => tf.logSumExp(x, [dim as number]),
  normalize: ({x}, {dim, eps}) => unitLength(x, dim, eps),
  conv3d,
  conv2d,
  'dit-block': ditBlock,
  // Ours has cosines first and no shift, on 1000·t; the case of the other convention has no counterpart.
  'timestep-embedding': ({t}, {dim}) => timeEmbedding(tf.div(t, 1000), dim),
  avg_pool3d: ({x}, {kernel}) => toFirst(tf.avgPool3d(toLast(x) as tf.Tensor5D, kernel, kernel, 'valid')),
  'upsample-nearest3d': ({x}, {scale}) => toFirst(upsampleNearest(toLast(x), (scale as number[])[1])),
};

function alongLast(x: tf.Tensor, dim: number, fn: (y: tf.Tensor) => tf.Tensor): tf.Tensor {
  const perm = Array.from({length: x.rank}, (_, i) => i).filter((i) => i !== dim);
  perm.push(dim);
  return tf.transpose(
    fn(tf.transpose(x, perm)),
    perm.map((_, i) => perm.indexOf(i)),
  );
}

const all = cases<P>('ops.json').filter((c) => c.params['flip_sin_to_cos'] !== false);
const familyOf = (c: Case<P>): string => c.name.split('/')[0];

const arraysOf = (c: Case<P>): Record<string, NdArray> =>
  Object.fromEntries(
    Object.entries(c.inputs).map(([name, x]) => [
      name,
      x.dtype === 'bool' ? ndarray('bool', x.shape, Uint8Array.from(numbers(x))) : float32(numbers(x), x.shape),
    ]),
  );

/** The result, and the gradients of its sum weighted by `weight_of_sum`, under the names of the file. */
const evaluate =
  (c: Case<P>): NumericFunction =>
  (inputs) => {
    const x = inputs as X;
    const layer = layers[familyOf(c)];
    const output = 'embedding' in c.outputs ? 'embedding' : 'y';
    const wanted = Object.keys(c.outputs).flatMap((name) => (name.startsWith('grad_') ? [name.slice(5)] : []));
    if (wanted.length === 0) return {[output]: layer(x, c.params)};
    const loss = (...xs: tf.Tensor[]): tf.Tensor =>
      tf.sum(tf.mul(layer({...x, ...Object.fromEntries(wanted.map((name, i) => [name, xs[i]]))}, c.params), x['weight_of_sum']));
    const gradients = tf.grads(loss)(wanted.map((name) => x[name]));
    return {[output]: layer(x, c.params), ...Object.fromEntries(wanted.map((name, i) => [`grad_${name}`, gradients[i]]))};
  };

describe('layers against PyTorch', () => {
  let device: Device;
  const compiled = new Map<string, Params>();

  before(async function () {
    this.timeout(60_000);
    device = await openDevice('cpu', {threads: 1});
    const together: NumericFunction = (inputs) =>
      Object.fromEntries(all.map((c, i) => [i, evaluate(c)(inputs[i] as Branch<tf.Tensor>)]));
    const {outputs} = await device.jit('goldens', together)(Object.fromEntries(all.map((c, i) => [i, arraysOf(c)])));
    all.forEach((c, i) => compiled.set(c.name, outputs[i] as Params));
  });
  after(() => device.close());

  for (const c of all) {
    it(c.name, () => {
      const eager = runEagerly(evaluate(c), arraysOf(c));
      for (const results of [eager, compiled.get(c.name)!]) {
        for (const output of Object.keys(c.outputs)) {
          const {data} = results[output] as NdArray;
          // Times in [0, 1] know angles of up to 1000 radians to 6e-5 only; PyTorch was given them in whole steps.
          if (output === 'embedding') expectClose(data, numbers(c.outputs[output]), 1.2e-4);
          else expectOutput(c, output, data);
        }
      }
    });
  }
});
