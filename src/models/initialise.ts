/** Initial values of parameters, each drawn from its own keyed stream, so that adding a layer changes no other. */
import {normals, uniforms} from '../tensor/random.js';
import {ndarray, sizeOf, zeros, type NdArray} from '../tensor/ndarray.js';
import type {Params} from '../tensor/tree.js';

/** Makes parameters in the order it is asked for them. */
export interface Initialiser {
  zeros(shape: readonly number[]): NdArray<'float32'>;
  ones(shape: readonly number[]): NdArray<'float32'>;
  /** Normal with mean 0. */
  normal(shape: readonly number[], deviation: number): NdArray<'float32'>;
  /** `n` equal rows. */
  rows(n: number, row: readonly number[]): NdArray<'float32'>;
  /** Weight `[in, out]` and bias, uniform in ±1/√in. */
  linear(inputs: number, outputs: number): Params;
  /** Weight and bias zero. */
  zeroLinear(inputs: number, outputs: number): Params;
  /** Weight normal, bias zero. */
  normalLinear(inputs: number, outputs: number, deviation: number): Params;
}

/** An initialiser whose draws are a pure function of the seed and of the order of calls. */
export function initialiser(seed: number): Initialiser {
  let calls = 0;
  const key = (): {seed: number; purpose: string; sample: number} => ({seed, purpose: 'initialise', sample: calls++});
  const uniform = (shape: readonly number[], bound: number): NdArray<'float32'> => {
    const data = uniforms(key(), new Float32Array(sizeOf(shape))).map((u) => (2 * u - 1) * bound);
    return ndarray('float32', shape, data);
  };
  const normal = (shape: readonly number[], deviation: number): NdArray<'float32'> =>
    ndarray(
      'float32',
      shape,
      normals(key(), new Float32Array(sizeOf(shape))).map((z) => z * deviation),
    );
  return {
    zeros: (shape) => zeros('float32', shape),
    ones: (shape) => ndarray('float32', shape, new Float32Array(sizeOf(shape)).fill(1)),
    normal,
    rows: (n, row) =>
      ndarray(
        'float32',
        [n, row.length],
        Float32Array.from({length: n * row.length}, (_, i) => row[i % row.length]),
      ),
    linear: (inputs, outputs) => ({
      weight: uniform([inputs, outputs], 1 / Math.sqrt(inputs)),
      bias: uniform([outputs], 1 / Math.sqrt(inputs)),
    }),
    zeroLinear: (inputs, outputs) => ({weight: zeros('float32', [inputs, outputs]), bias: zeros('float32', [outputs])}),
    normalLinear: (inputs, outputs, deviation) => ({
      weight: normal([inputs, outputs], deviation),
      bias: zeros('float32', [outputs]),
    }),
  };
}
