/**
 * Every operator three times: eagerly by tfjs, compiled by the engine, and by finite differences; forward and backward.
 *
 * A few dozen operators share one compiled function, since a session costs more than an operator.
 */
import * as tf from '@tensorflow/tfjs-core';
import type {Device} from '../../src/engine/device.js';
import {openOrtDevice} from '../../src/engine/ortDevice.js';
import type {NumericFunction} from '../../src/engine/trace.js';
import {ndarray, sizeOf, type NdArray} from '../../src/tensor/ndarray.js';
import {normals} from '../../src/tensor/random.js';
import {leaves, type Branch, type Params} from '../../src/tensor/tree.js';
import {runEagerly} from '../support/eager.js';
import {expectNear, scaleOf} from '../support/near.js';
import {direction, opCases, type OpCase, type Tensors} from '../support/opCases.js';

const BATCH = 40;

type Tree = Branch<tf.Tensor>;

const outputsOf = (c: OpCase, x: Tensors): tf.Tensor[] => [c.run(x)].flat();
const named = (list: readonly tf.Tensor[]): Tree => Object.fromEntries(list.map((t, i) => [i, t]));

/** Results, and the gradients of their weighted sum. `weights` is empty where nothing is differentiated. */
function evaluate(c: OpCase): NumericFunction {
  return (inputs) => {
    const x = inputs['x'] as Tensors;
    const w = inputs['w'] as Tree;
    const y = named(outputsOf(c, x));
    if (c.gradients.length === 0) return {y};
    const loss = (...xs: tf.Tensor[]): tf.Scalar => {
      const given = {...x, ...Object.fromEntries(c.gradients.map((name, i) => [name, xs[i]]))};
      const parts = outputsOf(c, given).flatMap((t, i) => (w[i] ? [tf.sum(tf.mul(t, w[i] as tf.Tensor))] : []));
      return tf.addN(parts) as tf.Scalar;
    };
    const gradients = tf.grads(loss)(c.gradients.map((name) => x[name]));
    return {y, g: Object.fromEntries(c.gradients.map((name, i) => [name, gradients[i]]))};
  };
}

interface Tried {
  readonly c: OpCase;
  readonly inputs: {readonly x: Params; readonly w: Params};
  readonly eager: Params;
}

function tryEagerly(c: OpCase, k: number): Tried {
  const y = runEagerly((inputs) => named(outputsOf(c, inputs['x'] as Tensors)), {x: c.inputs});
  const floats = c.gradients.length === 0 ? [] : leaves<NdArray>(y).filter(([, a]) => a.dtype === 'float32');
  const w = Object.fromEntries(
    floats.map(([path, a], i) => [
      path,
      ndarray('float32', a.shape, normals({seed: 3, purpose: 'weights', sample: k, step: i}, new Float32Array(sizeOf(a.shape)))),
    ]),
  );
  const inputs = {x: c.inputs, w};
  return {c, inputs, eager: runEagerly(evaluate(c), inputs)};
}

/** The weighted sum at x + h·d, added up in double precision. */
function lossAt({c, inputs}: Tried, directions: ReadonlyMap<string, Float32Array>, h: number): number {
  const x = Object.fromEntries(
    Object.entries(inputs.x as Record<string, NdArray>).map(([name, a]) => {
      const d = directions.get(name);
      return [
        name,
        d
          ? ndarray(
              'float32',
              a.shape,
              (a.data as Float32Array).map((v, i) => v + h * d[i]),
            )
          : a,
      ];
    }),
  );
  const y = runEagerly((t) => named(outputsOf(c, t['x'] as Tensors)), {x});
  let sum = 0;
  for (const [path, w] of leaves<NdArray>(inputs.w)) {
    const data = (y[path] as NdArray).data;
    for (let i = 0; i < data.length; i++) sum += data[i] * w.data[i];
  }
  return sum;
}

/** Derivative along the directions by central differences at two widths, extrapolated to width 0 (Richardson). */
function finiteDifference(tried: Tried, directions: ReadonlyMap<string, Float32Array>): number {
  const at = (h: number): number => (lossAt(tried, directions, h) - lossAt(tried, directions, -h)) / (2 * h);
  const [wide, narrow] = [at(0.02), at(0.01)];
  return (4 * narrow - wide) / 3;
}

describe('engine: operators', () => {
  const tried: Tried[] = [];
  const compiled: Params[] = [];
  let device: Device;

  before(async function () {
    this.timeout(120_000);
    device = await openOrtDevice('cpu', {provider: 'cpu', threads: 1}, {});
    opCases.forEach((c, k) => tried.push(tryEagerly(c, k)));
    for (let start = 0; start < tried.length; start += BATCH) {
      const batch = tried.slice(start, start + BATCH);
      const all: NumericFunction = (inputs) =>
        Object.fromEntries(batch.map(({c}, k) => [`c${k}`, evaluate(c)(inputs[`c${k}`] as Tree)]));
      const {outputs} = await device.jit(
        `operators ${start}`,
        all,
      )(Object.fromEntries(batch.map(({inputs}, k) => [`c${k}`, inputs])));
      batch.forEach((_, k) => compiled.push(outputs[`c${k}`] as Params));
    }
  });
  after(() => device.close());

  opCases.forEach((c, k) => {
    it(c.name, () => {
      const {eager, inputs} = tried[k];
      const mine = new Map(leaves<NdArray>(compiled[k]));
      for (const [path, wanted] of leaves<NdArray>(eager)) {
        const got = mine.get(path)!;
        const band = {rtol: c.rtol, atol: 1e-6 * scaleOf(wanted.data)};
        if (got.shape.join() !== wanted.shape.join() || got.dtype !== wanted.dtype) {
          throw new Error(`${path}: compiled ${got.dtype} [${got.shape.join()}], eager ${wanted.dtype} [${wanted.shape.join()}]`);
        }
        expectNear(got.data, wanted.data, wanted.dtype === 'float32' ? band : {rtol: 0, atol: 0}, path, true);
      }
      if (c.gradients.length === 0 || !c.smooth) return;
      const gradients = eager['g'] as Record<string, NdArray>;
      for (const round of [0, 1]) {
        const directions = new Map(c.gradients.map((name, i) => [name, direction(c.inputs[name].shape, 10 * k + 2 * i + round)]));
        let [along, size] = [0, 0];
        for (const [name, d] of directions) {
          gradients[name].data.forEach((g, i) => {
            along += g * d[i];
            size += Math.abs(g * d[i]);
          });
        }
        expectNear(
          [along],
          [finiteDifference({c, inputs, eager}, directions)],
          {rtol: 0, atol: 1e-3 * size + 1e-4},
          'gradient along a direction',
        );
      }
    });
  });
});
