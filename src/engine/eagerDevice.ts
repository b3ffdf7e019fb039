/**
 * A tfjs backend as a device: the same functions run eagerly, on the main thread. Slow, and a second opinion: nothing of the
 * tracer, the lowerings or onnxruntime takes part.
 */
import * as tf from '@tensorflow/tfjs-core';
import '../autograd/index.js';
import {DeviceError, ShapeError} from '../errors.js';
import type {DType, NdArray} from '../tensor/ndarray.js';
import {leaves, mapTree, unflatten, type Branch, type Params} from '../tensor/tree.js';
import {
  Resident,
  type Argument,
  type CallOptions,
  type CallResult,
  type Device,
  type Jitted,
  type ResidentTree,
} from './device.js';
import {guardsOf, targetsOf} from './targets.js';
import type {NumericFunction} from './trace.js';

const toTensor = (a: NdArray): tf.Tensor =>
  // tfjs has no bytes: inside a function they are integers. Copies, since some of its kernels write into their operands.
  a.dtype === 'uint8'
    ? tf.tensor(Int32Array.from(a.data), [...a.shape], 'int32')
    : tf.tensor(a.data.slice(), [...a.shape], a.dtype);

function toArray(t: tf.Tensor): NdArray {
  const data = t.dataSync();
  const dtype = t.dtype as DType;
  return {dtype, shape: t.shape, data: dtype === 'bool' ? Uint8Array.from(data) : data.slice()};
}

/** Opens a tfjs backend that is registered and ready. */
export function openEagerDevice(name: string, backend: string): Device {
  // No advice on the console about faster backends.
  tf.enableProdMode();
  const arrays = new Map<number, NdArray>();
  let closed = false;
  const read = (r: Resident): NdArray => {
    const found = arrays.get(r.id);
    if (!found) throw new ShapeError(`engine: a resident array was freed or belongs to another device.`);
    return found;
  };
  const check = (): void => {
    if (closed) throw new DeviceError('engine: the device is closed.');
  };

  const call = (fn: NumericFunction, inputs: Argument): [string, NdArray][] => {
    const before = tf.getBackend();
    void tf.setBackend(backend);
    try {
      const results: [string, NdArray][] = [];
      tf.tidy(() => {
        const given = mapTree(inputs as Branch<NdArray | Resident>, (leaf) =>
          toTensor(leaf instanceof Resident ? read(leaf) : leaf),
        );
        for (const [path, tensor] of leaves(fn(given))) results.push([path, toArray(tensor)]);
      });
      return results;
    } finally {
      if (before) void tf.setBackend(before);
    }
  };

  return {
    name,
    jit: (fnName, fn): Jitted => {
      const run = (inputs: Argument, {into, guard}: CallOptions): CallResult => {
        check();
        const start = performance.now();
        const results = call(fn, inputs);
        const seconds = (performance.now() - start) / 1000;
        const slots = results.map(([path, {dtype, shape}]) => ({path, dtype, shape}));
        const targets = targetsOf(fnName, slots, into);
        const applied = guardsOf(fnName, slots, guard).every((i) => results[i][1].data.every((x) => Number.isFinite(x)));
        results.forEach(([, output], i) => {
          const target = targets[i];
          if (target && applied) arrays.set(target.id, output);
        });
        return {outputs: unflatten(results.filter((_, i) => !targets[i])), applied, seconds};
      };
      return async (inputs, options = {}) => Promise.resolve(run(inputs, options));
    },
    async put(tree: Params): Promise<ResidentTree> {
      check();
      return Promise.resolve(
        mapTree(tree, (leaf: NdArray) => {
          const handle = new Resident(leaf.dtype, leaf.shape);
          arrays.set(handle.id, {...leaf, data: leaf.data.slice()});
          return handle;
        }),
      );
    },
    async get(tree: ResidentTree): Promise<Params> {
      check();
      const copy = (r: Resident): NdArray => ({...read(r), data: read(r).data.slice()});
      return Promise.resolve(mapTree(tree, copy));
    },
    async free(tree: ResidentTree): Promise<void> {
      check();
      for (const [, r] of leaves<Resident>(tree)) arrays.delete(r.id);
      return Promise.resolve();
    },
    async close(): Promise<void> {
      closed = true;
      arrays.clear();
      return Promise.resolve();
    },
  };
}
