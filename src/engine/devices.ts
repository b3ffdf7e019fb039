/**
 * The devices by name. A device that is asked for is opened and tried, or refused with the reason and the remedy: nothing ever
 * falls back to another one.
 */
import * as tf from '@tensorflow/tfjs-core';
import {execFile} from 'node:child_process';
import {createRequire} from 'node:module';
import {fileURLToPath} from 'node:url';
import {DeviceError, UnknownNameError} from '../errors.js';
import {suggestion} from '../nearest.js';
import {float32, type NdArray} from '../tensor/ndarray.js';
import type {Device, DeviceOptions} from './device.js';
import {openEagerDevice} from './eagerDevice.js';
import {openOrtDevice} from './ortDevice.js';
import {physicalCores} from './threads.js';
import {besideModule} from '../workers/pool.js';
import {troubleIn, type Trouble} from './trouble.js';

/** Every device that a configuration may name. */
export const deviceNames = ['cpu', 'webgpu', 'cuda', 'tfjs:cpu', 'tfjs:wasm', 'tfjs:node', 'tfjs:node-gpu'] as const;
/** One of them. */
export type DeviceName = (typeof deviceNames)[number];

const remedies: Readonly<Record<DeviceName, string>> = {
  cpu: 'reinstall with npm ci',
  webgpu: 'install a Vulkan driver (docs/engine.md has the recipe)',
  cuda: 'install the CUDA provider, the CUDA 13 libraries and an NVIDIA driver (docs/engine.md has the recipe)',
  'tfjs:cpu': 'reinstall with npm ci',
  'tfjs:wasm': 'npm i @tensorflow/tfjs-backend-wasm@4.22.0',
  'tfjs:node': 'npm i @tensorflow/tfjs-node@4.22.0 and its TensorFlow library (docs/engine.md has the recipe)',
  'tfjs:node-gpu': 'npm i @tensorflow/tfjs-node-gpu@4.22.0 and its TensorFlow library (docs/engine.md has the recipe)',
};

/** Package and tfjs backend of an eager device. */
const eager: Readonly<Partial<Record<DeviceName, readonly [packageName: string, backend: string]>>> = {
  'tfjs:cpu': ['@tensorflow/tfjs-backend-cpu', 'cpu'],
  'tfjs:wasm': ['@tensorflow/tfjs-backend-wasm', 'wasm'],
  'tfjs:node': ['@tensorflow/tfjs-node', 'tensorflow'],
  'tfjs:node-gpu': ['@tensorflow/tfjs-node-gpu', 'tensorflow'],
};

const PROBE_SECONDS = 60;

/** Tries a provider in a process of its own. */
async function providerTrouble(provider: string): Promise<Trouble | undefined> {
  const file = fileURLToPath(besideModule(import.meta.url, 'probe'));
  const said = await new Promise<string>((resolve) => {
    const options = {timeout: PROBE_SECONDS * 1000};
    execFile(process.execPath, [...process.execArgv, file, provider], options, (error, stdout, stderr) => {
      if (stdout === 'ok') resolve('ok');
      else
        resolve(
          `${stdout}\n${stderr}\n${stdout === '' && error ? `it ended its process: ${error.signal ?? error.code}` : ''}`.trim(),
        );
    });
  });
  if (said === 'ok') return undefined;
  return troubleIn(said) ?? {reason: said.split('\n', 1)[0], remedy: remedies[provider as DeviceName]};
}

/** tfjs-node calls helpers that Node 23 has dropped. */
function mendUtil(): void {
  const util = createRequire(import.meta.url)('node:util') as Record<string, unknown>;
  util['isNullOrUndefined'] ??= (v: unknown): boolean => v === null || v === undefined;
  util['isArray'] ??= Array.isArray;
}

async function openTfjs(name: DeviceName, packageName: string, backend: string): Promise<Device> {
  if (backend === 'tensorflow') mendUtil();
  const before = tf.getBackend();
  await import(packageName);
  const ready = await tf.setBackend(backend);
  // With libraries of another CUDA version TensorFlow computes on the CPU and says so only here.
  const onGpu = (tf.backend() as {isUsingGpuDevice?: boolean}).isUsingGpuDevice;
  if (before) await tf.setBackend(before);
  if (!ready) throw new DeviceError(`tfjs has no backend "${backend}"`);
  if (name === 'tfjs:node-gpu' && onGpu === false) throw new DeviceError('TensorFlow finds no GPU and would compute on the CPU');
  return openEagerDevice(name, backend);
}

async function openUnchecked(name: DeviceName, options: DeviceOptions): Promise<Device> {
  const found = eager[name];
  if (found) return openTfjs(name, ...found);
  return openOrtDevice(name, {provider: name as 'cpu' | 'webgpu' | 'cuda', threads: options.threads || physicalCores()}, options);
}

/** One small product: a provider that loads but cannot compute is no device. */
async function tryOut(device: Device): Promise<void> {
  const product = device.jit('probe', ({a}) => ({y: tf.matMul(a as tf.Tensor2D, a as tf.Tensor2D)}));
  const {outputs} = await product({a: float32([1, 2, 3, 4], [2, 2])});
  const y = outputs['y'] as NdArray;
  if (Array.from(y.data).join() !== '7,10,15,22')
    throw new DeviceError(`a 2×2 product came out as [${Array.from(y.data).join(', ')}]`);
}

/** Opens a device and tries it, or says why it cannot run here. */
export async function tryDevice(name: DeviceName, options: DeviceOptions = {}): Promise<Device | Trouble> {
  if (name === 'cuda' || name === 'webgpu') {
    const trouble = await providerTrouble(name);
    if (trouble) return trouble;
  }
  let device: Device | undefined;
  try {
    device = await openUnchecked(name, options);
    await tryOut(device);
    return device;
  } catch (error) {
    await device?.close();
    const [said] = (error instanceof Error ? error.message : String(error)).split('\n', 1);
    // The rest of Node's message names a file of rlft.
    const reason = said.replace(/^(Cannot find package '[^']+') imported from .*/, '$1');
    return {reason, remedy: remedies[name]};
  }
}

/**
 * Opens a device and tries it.
 *
 * @param name one of `deviceNames`.
 * @throws UnknownNameError for a name that is none; DeviceError with the reason and the remedy if it cannot run here.
 */
export async function openDevice(name: string, options: DeviceOptions = {}): Promise<Device> {
  const known = deviceNames.find((n) => n === name);
  if (known === undefined) throw new UnknownNameError(`unknown device "${name}"${suggestion(name, deviceNames)}`);
  const opened = await tryDevice(known, options);
  if ('reason' in opened) throw new DeviceError(`device "${name}" cannot run here: ${opened.reason}; ${opened.remedy}.`);
  return opened;
}

/** A device, and if it cannot run here why. */
export interface DeviceListing {
  readonly name: DeviceName;
  readonly available: boolean;
  readonly trouble?: Trouble;
}

/** Tries every device, one after the other; takes a few seconds. */
export async function listDevices(): Promise<DeviceListing[]> {
  const found: DeviceListing[] = [];
  for (const name of deviceNames) {
    const opened = await tryDevice(name);
    if ('reason' in opened) found.push({name, available: false, trouble: opened});
    else {
      await opened.close();
      found.push({name, available: true});
    }
  }
  return found;
}
