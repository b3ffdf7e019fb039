/**
 * A tfjs backend as a device: the same functions run eagerly, on the main thread. Slow, and a second opinion: nothing of the
 * tracer, the lowerings or onnxruntime takes part.
 */
import * as tf from '@tensorflow/tfjs-core';
import '../autograd/index.js';
import {DeviceError, ShapeError} from '../errors.js';
import {sizeOf, type DataOf, type DType, type NdArray} from '../tensor/ndarray.js';
import {leaves, mapTree, unflatten, type Branch, type Params, type Tree} from '../tensor/tree.js';
import {Resident, type Argument, type CallOptions, type CallResult, type Device, type Jitted, type ResidentTree} from './device.js';
import type {NumericFunction} from './trace.js';

const toTensor = (a: NdArray): tf.Tensor =>
  // tfjs has no bytes: inside a function they are integers.
  a.dtype === 'uint8' ? tf.tensor(Int32Array.from(a.data), [...a.shape], 'int32') : tf.tensor(a.data, [...a.shape], a.dtype);

function toArray(t: tf.Tensor): NdArray {
  const data = t.dataSync();
  const dtype = t.dtype as DType;
  return {dtype, shape: t.shape, data: (dtype === 'bool' ? Uint8Array.from(data) : data.slice()) as DataOf[DType]};
}

/** Opens a tfjs backend that is registered and ready. */
export function openEagerDevice(name: string, backend: string): Device {
  const arrays = new Map<number, NdArray>();
  let nextId = 0;
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
        const given = mapTree(inputs as Branch<NdArray | Resident>, (leaf) => toTensor(leaf instanceof Resident ? read(leaf) : leaf));
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
        const targets = new Map(Object.entries(into ?? {}).flatMap(([key, tree]) => leaves(tree as Tree<Resident>, key)));
        const byPath = new Map(results);
        const applied = (guard ?? []).every((path) => {
          const output = byPath.get(path);
          if (!output) throw new ShapeError(`engine: "${fnName}" has no output "${path}" to guard.`);
          return output.data.every((x) => Number.isFinite(x));
        });
        for (const [path, target] of targets) {
          const output = byPath.get(path);
          if (!output || output.dtype !== target.dtype || sizeOf(output.shape) !== sizeOf(target.shape)) {
            throw new ShapeError(`engine: output "${path}" does not fit the resident array [${target.shape.join()}].`);
          }
          if (applied) arrays.set(target.id, output);
        }
        return {outputs: unflatten(results.filter(([path]) => !targets.has(path))), applied, seconds};
      };
      return async (inputs, options = {}) => Promise.resolve(run(inputs, options));
    },
    async put(tree: Params): Promise<ResidentTree> {
      check();
      return Promise.resolve(
        mapTree(tree, (leaf: NdArray) => {
          const handle = new Resident(nextId++, leaf.dtype, leaf.shape);
          arrays.set(handle.id, {...leaf, data: leaf.data.slice()} as NdArray);
          return handle;
        }),
      );
    },
    async get(tree: ResidentTree): Promise<Params> {
      check();
      const copy = (r: Resident): NdArray => ({...read(r), data: read(r).data.slice()}) as NdArray;
      return Promise.resolve(mapTree(tree, copy));
    },
    async free(tree: ResidentTree): Promise<void> {
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
