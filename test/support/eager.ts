/** tfjs' own CPU backend, as the second opinion on every graph. */
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import type {NumericFunction} from '../../src/engine/trace.js';
import {ndarray, type DataOf, type DType, type NdArray} from '../../src/tensor/ndarray.js';
import {leaves, mapTree, unflatten, type Params} from '../../src/tensor/tree.js';

// No advice about other backends on the console; IS_TEST would take what a custom gradient saves for a leak.
tf.enableProdMode();

/** An array as a tensor, copied, since some kernels of tfjs write into their operands; bytes become integers, as in a graph. */
export const toTensor = (a: NdArray): tf.Tensor =>
  tf.tensor(
    a.dtype === 'uint8' ? Int32Array.from(a.data) : a.data.slice(),
    [...a.shape],
    a.dtype === 'uint8' ? 'int32' : a.dtype,
  );

/** A tensor's numbers as an array. */
export const toArray = (t: tf.Tensor): NdArray => ndarray(t.dtype as DType, t.shape, t.dataSync().slice() as DataOf[DType]);

/** Runs a numeric function with the CPU backend of tfjs, and leaves no tensor behind. */
export function runEagerly(fn: NumericFunction, inputs: Params): Params {
  void tf.setBackend('cpu');
  tf.engine().startScope('eager');
  try {
    return unflatten(leaves<tf.Tensor>(fn(mapTree(inputs, toTensor))).map(([path, t]) => [path, toArray(t)] as const));
  } finally {
    tf.engine().endScope();
  }
}
