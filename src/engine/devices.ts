/**
 * The devices by name. A device that is asked for is opened and tried, or refused with the reason and the remedy: nothing ever
 * falls back to another one.
 */
import * as tf from '@tensorflow/tfjs-core';
import {DeviceError, UnknownNameError} from '../errors.js';
import {suggestion} from '../nearest.js';
import {float32, type NdArray} from '../tensor/ndarray.js';
import type {Device, DeviceOptions} from './device.js';
import {openEagerDevice} from './eagerDevice.js';
import {openOrtDevice} from './ortDevice.js';
import {physicalCores} from './threads.js';

/** Every device that a configuration may name. */
export const deviceNames = ['cpu', 'webgpu', 'cuda', 'tfjs:cpu', 'tfjs:wasm', 'tfjs:node', 'tfjs:node-gpu'] as const;
/** One of them. */
export type DeviceName = (typeof deviceNames)[number];

const remedies: Readonly<Record<DeviceName, string>> = {
  cpu: 'reinstall with npm ci',
  webgpu: 'install a Vulkan driver (docs/engine.md)',
  cuda: 'install the CUDA provider, the CUDA 13 libraries and an NVIDIA driver (docs/engine.md)',
  'tfjs:cpu': 'reinstall with npm ci',
  'tfjs:wasm': 'npm i @tensorflow/tfjs-backend-wasm@4.22.0',
  'tfjs:node': 'npm i @tensorflow/tfjs-node@4.22.0 and its TensorFlow library (docs/engine.md)',
  'tfjs:node-gpu': 'npm i @tensorflow/tfjs-node-gpu@4.22.0 and its TensorFlow library (docs/engine.md)',
};

/** Package and tfjs backend of an eager device. */
const eager: Readonly<Partial<Record<DeviceName, readonly [packageName: string, backend: string]>>> = {
  'tfjs:cpu': ['@tensorflow/tfjs-backend-cpu', 'cpu'],
  'tfjs:wasm': ['@tensorflow/tfjs-backend-wasm', 'wasm'],
  'tfjs:node': ['@tensorflow/tfjs-node', 'tensorflow'],
  'tfjs:node-gpu': ['@tensorflow/tfjs-node-gpu', 'tensorflow'],
};

async function openUnchecked(name: DeviceName, options: DeviceOptions): Promise<Device> {
  const found = eager[name];
  if (!found)
    return openOrtDevice(
      name,
      {provider: name as 'cpu' | 'webgpu' | 'cuda', threads: options.threads ?? physicalCores()},
      options,
    );
  const [packageName, backend] = found;
  const before = tf.getBackend();
  await import(packageName);
  const ready = await tf.setBackend(backend);
  if (before) await tf.setBackend(before);
  if (!ready) throw new DeviceError(`tfjs has no backend "${backend}"`);
  return openEagerDevice(name, backend);
}

/** One small product: a provider that loads but cannot compute is no device. */
async function tryOut(device: Device): Promise<void> {
  const product = device.jit('probe', ({a}) => ({y: tf.matMul(a as tf.Tensor2D, a as tf.Tensor2D)}));
  const {outputs} = await product({a: float32([1, 2, 3, 4], [2, 2])});
  const y = outputs['y'] as NdArray;
  if (Array.from(y.data).join() !== '7,10,15,22')
    throw new DeviceError(`a 2×2 product came out as [${Array.from(y.data).join(', ')}]`);
}

/**
 * Opens a device and tries it.
 *
 * @throws UnknownNameError for a name that is none; DeviceError with the reason and the remedy if it cannot run here.
 */
export async function openDevice(name: string, options: DeviceOptions = {}): Promise<Device> {
  const known = deviceNames.find((n) => n === name);
  if (known === undefined) throw new UnknownNameError(`unknown device "${name}"${suggestion(name, deviceNames)}`);
  let device: Device | undefined;
  try {
    device = await openUnchecked(known, options);
    await tryOut(device);
    return device;
  } catch (cause) {
    await device?.close();
    const reason = (cause instanceof Error ? cause.message : String(cause)).split('\n', 1)[0];
    throw new DeviceError(`device "${name}" cannot run here: ${reason}; remedy: ${remedies[known]}.`, {cause});
  }
}
