/** A look at this machine: which devices run here, how fast, and how exactly. */
import * as tf from '@tensorflow/tfjs-core';
import {availableParallelism} from 'node:os';
import {float32, sizeOf, type NdArray} from '../tensor/ndarray.js';
import type {Branch, Params} from '../tensor/tree.js';
import type {Device} from './device.js';
import {deviceNames, tryDevice, type DeviceName} from './devices.js';
import {physicalCores} from './threads.js';
import type {NumericFunction} from './trace.js';

/** What was found out about a device. */
export interface DeviceDiagnosis {
  readonly name: DeviceName;
  readonly available: boolean;
  /** Why it is not, in a few words. */
  readonly reason?: string;
  /** What would help. */
  readonly remedy?: string;
  /** 10⁹ multiplications and additions a second, forward and backward of the self-test's transformer layer. */
  readonly gflops?: number;
  /** ‖g − g′‖/‖g′‖ of a small layer's gradients g against those of `tfjs:cpu`, g′. */
  readonly gradientError?: number;
  /** False if the runtime puts part of the work on the CPU. */
  readonly whole?: boolean;
}

/** What `rlft doctor` finds in the engine's realm. */
export interface Diagnosis {
  readonly versions: {readonly node: string; readonly onnxruntime: string; readonly tfjs: string};
  /** Logical processors that this process may use. */
  readonly cores: number;
  /** Threads of one operator by default: physical cores. */
  readonly threads: number;
  readonly devices: readonly DeviceDiagnosis[];
}

/** Seconds for which the timed layer is repeated. */
const SECONDS = 1;

interface Sizes {
  readonly batch: number;
  readonly tokens: number;
  readonly width: number;
  readonly heads: number;
}
const TIMED: Sizes = {batch: 8, tokens: 128, width: 192, heads: 3};
const COMPARED: Sizes = {batch: 1, tokens: 8, width: 24, heads: 3};

/** One transformer layer with its loss: attention and a feed-forward network, both residual. */
function layer({batch, tokens, width, heads}: Sizes, x: Branch<tf.Tensor>): tf.Scalar {
  const weight = (name: string): tf.Tensor2D => x[name] as tf.Tensor2D;
  const rows = x['x'] as tf.Tensor2D;
  const perHead = tf.transpose(
    tf.reshape(tf.matMul(rows, weight('qkv')), [batch, tokens, 3, heads, width / heads]),
    [2, 0, 3, 1, 4],
  );
  const [q, k, v] = tf.unstack(perHead);
  const attended = tf.matMul(tf.softmax(tf.mul(tf.matMul(q, k, false, true), Math.sqrt(heads / width))), v);
  const joined = tf.reshape<tf.Rank.R2>(tf.transpose(attended, [0, 2, 1, 3]), [batch * tokens, width]);
  const y = tf.add(rows, tf.matMul(joined, weight('out')));
  return tf.mean(tf.square(tf.add(y, tf.matMul(tf.tanh(tf.matMul(y as tf.Tensor2D, weight('up'))), weight('down')))));
}

/**
 * Multiplications and additions of the products: those of `layer`, each followed by two of its size for its operands'
 * gradients, but for the first, whose input needs none.
 */
const operations = ({batch, tokens, width}: Sizes): number =>
  2 * batch * tokens * (3 * (12 * width * width + 2 * tokens * width) - 3 * width * width);

const parameters = ['qkv', 'out', 'up', 'down'] as const;

const gradients =
  (sizes: Sizes): NumericFunction =>
  (inputs) => {
    const loss = (...weights: tf.Tensor[]): tf.Tensor =>
      layer(sizes, {...inputs, ...Object.fromEntries(parameters.map((name, i) => [name, weights[i]]))});
    const found = tf.grads(loss)(parameters.map((name) => inputs[name] as tf.Tensor));
    return Object.fromEntries(parameters.map((name, i) => [name, found[i]]));
  };

/** Deterministic numbers of unit scale divided by √fan-in: what they are does not matter. */
function inputsOf({batch, tokens, width}: Sizes): Params {
  const shapes = {
    x: [batch * tokens, width],
    qkv: [width, 3 * width],
    out: [width, width],
    up: [width, 4 * width],
    down: [4 * width, width],
  };
  const table = (shape: number[], seed: number): NdArray =>
    float32(
      Float32Array.from(
        {length: sizeOf(shape)},
        (_, i) => (Math.sin(i * (1.1 + seed) + seed) * Math.SQRT2) / (seed === 0 ? 1 : Math.sqrt(shape[0])),
      ),
      shape,
    );
  return Object.fromEntries(Object.entries(shapes).map(([name, shape], seed) => [name, table(shape, seed)]));
}

async function measure(device: Device): Promise<number> {
  const step = device.jit('doctor/speed', gradients(TIMED));
  const inputs = await device.put(inputsOf(TIMED));
  await step(inputs);
  let best = Infinity;
  for (const start = performance.now(); performance.now() - start < SECONDS * 1000;)
    best = Math.min(best, (await step(inputs)).seconds);
  return operations(TIMED) / best / 1e9;
}

/** ‖a − b‖/‖b‖ over all gradients. */
function distance(a: Params, b: Params): number {
  let [apart, size] = [0, 0];
  for (const name of parameters) {
    const [p, q] = [(a[name] as NdArray).data, (b[name] as NdArray).data];
    q.forEach((x, i) => {
      apart += (p[i] - x) ** 2;
      size += x ** 2;
    });
  }
  return Math.sqrt(apart / size);
}

async function diagnoseDevice(name: DeviceName, wanted: Params): Promise<DeviceDiagnosis> {
  let whole = true;
  const device = await tryDevice(name, {onCompile: (report) => (whole &&= report.whole)});
  if ('reason' in device) return {name, available: false, reason: device.reason, remedy: device.remedy};
  try {
    const {outputs} = await device.jit('doctor/gradients', gradients(COMPARED))(inputsOf(COMPARED));
    const gradientError = distance(outputs, wanted);
    // tfjs' CPU backend is the yardstick, and takes half a minute for the timed layer.
    if (name === 'tfjs:cpu') return {name, available: true, gradientError};
    return {name, available: true, gflops: await measure(device), gradientError, whole};
  } finally {
    await device.close();
  }
}

/**
 * Tries devices one after the other, with a self-test of about two seconds on each that runs.
 *
 * @param names the devices to try; all unless given.
 */
export async function diagnose(names: readonly DeviceName[] = deviceNames): Promise<Diagnosis> {
  const {env} = await import('onnxruntime-node');
  const yardstick = await tryDevice('tfjs:cpu');
  if ('reason' in yardstick) throw new Error(`internal: tfjs:cpu does not run: ${yardstick.reason}`);
  const {outputs: wanted} = await yardstick.jit('doctor/gradients', gradients(COMPARED))(inputsOf(COMPARED));
  await yardstick.close();
  const devices: DeviceDiagnosis[] = [];
  for (const name of names) devices.push(await diagnoseDevice(name, wanted));
  return {
    versions: {node: process.version, onnxruntime: env.versions.common, tfjs: tf.version_core},
    cores: availableParallelism(),
    threads: physicalCores(),
    devices,
  };
}
