/**
 * Devices by name, and the same work on every one that this machine has: a selection of operators and one whole pre-training
 * update, against tfjs' CPU backend. A missing device is skipped, and the reason printed. For webgpu without a GPU see
 * docs/engine.md (SwiftShader).
 */
import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import {availableParallelism} from 'node:os';
import {fluentClips} from '../../environments/fluentClips/fluentClips.js';
import type {Device} from '../../src/engine/device.js';
import {deviceNames, openDevice} from '../../src/engine/devices.js';
import {physicalCores} from '../../src/engine/threads.js';
import type {NumericFunction} from '../../src/engine/trace.js';
import {troubleIn} from '../../src/engine/trouble.js';
import {DeviceError, UnknownNameError} from '../../src/errors.js';
import {adamCorrections} from '../../src/numeric/optim/adamw.js';
import {adamOptions, initialState, networkLayout} from '../../src/pretrain/optimise.js';
import {policyStep} from '../../src/pretrain/policyStep.js';
import {float32, ndarray, sizeOf, type NdArray} from '../../src/tensor/ndarray.js';
import {normals, uniforms} from '../../src/tensor/random.js';
import {leaves, type Branch, type Params} from '../../src/tensor/tree.js';
import {runEagerly} from '../support/eager.js';
import {expectNear, scaleOf} from '../support/near.js';
import {opCases, type OpCase, type Tensors} from '../support/opCases.js';

const chosen = [
  'add, a column and a row',
  'sub',
  'div',
  'maximum',
  'where',
  'exp',
  'log',
  'sqrt',
  'rsqrt',
  'tanh',
  'sigmoid',
  'erf',
  'gelu',
  'relu',
  'clipByValue',
  'transpose',
  'slice',
  'stridedSlice',
  'stridedSlice, backwards to the start',
  'pad',
  'tile',
  'reverse',
  'concat',
  'split by sizes',
  'sum',
  'mean',
  'max',
  'softmax',
  'logSumExp',
  'cumsum',
  'cumprod with zeros',
  'topk',
  'gather',
  'gather within batches',
  'gatherND',
  'scatterND',
  'unsortedSegmentSum',
  'oneHot',
  'matMul',
  'matMul in stacks',
  'matMul, left transposed',
  'matMul in stacks, right transposed',
  'einsum, a product',
  'conv2d, same',
  'conv2d, strided, same',
  'conv2d, of points',
  'conv3d, same',
  'conv3d, strided',
  'depthwiseConv2d, strided',
  'avgPool, valid',
  'maxPool',
  'resizeBilinear',
  'layerNorm',
  'rotary',
];

/** Faults of a backend itself, not ours to mend: what it gets wrong, or has no kernel for. */
const faults: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'tfjs:wasm': {
    'gather within batches': 'its gather mixes batches up',
    unsortedSegmentSum: 'no kernel',
    'einsum, a product': 'no kernel',
    maxPool: 'no gradient at maxima below zero',
    'conv2d, same': 'no kernel for the filter gradient',
    'conv2d, strided, same': 'no kernel for the filter gradient',
    'conv2d, of points': 'no kernel for the filter gradient',
    'conv3d, same': 'wrong gradients',
    'conv3d, strided': 'wrong gradients',
    'depthwiseConv2d, strided': 'no kernel for the gradients',
  },
};

const named = (list: readonly tf.Tensor[]): Branch<tf.Tensor> => Object.fromEntries(list.map((t, i) => [i, t]));

/** Results, and gradients of half their sum of squares. */
const evaluate =
  (c: OpCase): NumericFunction =>
  (inputs) => {
    const x = inputs as Tensors;
    const run = (given: Tensors): tf.Tensor[] => [c.run(given)].flat();
    if (c.gradients.length === 0) return {y: named(run(x))};
    const loss = (...xs: tf.Tensor[]): tf.Tensor =>
      tf.addN(
        run({...x, ...Object.fromEntries(c.gradients.map((name, i) => [name, xs[i]]))}).flatMap((y) =>
          y.dtype === 'float32' ? [tf.mul(tf.sum(tf.square(y)), 0.5)] : [],
        ),
      );
    return {y: named(run(x)), g: named(tf.grads(loss)(c.gradients.map((name) => x[name])))};
  };

const world = fluentClips('nano');

/** The arguments of one pre-training update. */
function update(): {step: NumericFunction; state: Params; batch: Params; schedule: Params} {
  const params = world.initialise(1);
  const layout = networkLayout(params);
  // One still, the smallest thing that the network takes: the backends that are not compiled are slow.
  const video = [1, 2, ...world.videoShape.slice(1)];
  const scalar = (x: number): NdArray => float32([x], []);
  const corrections = adamCorrections(1, adamOptions);
  return {
    step: policyStep(world.policy, layout),
    state: initialState(params, layout),
    batch: {
      video: ndarray(
        'uint8',
        video,
        Uint8Array.from(uniforms({seed: 5, purpose: 'video'}, new Float32Array(sizeOf(video))), (u) => 256 * u),
      ),
      noise: ndarray('float32', video, normals({seed: 5, purpose: 'noise'}, new Float32Array(sizeOf(video)))),
      time: float32([0.7]),
      tokens: world.policy.tokenize(world.prompts('train', 1).map((p) => p.text)),
      drop: float32([0]),
    },
    schedule: {
      muonRate: scalar(0.02),
      adamRate: scalar(3e-3),
      averageDecay: scalar(0.9),
      correction1: scalar(corrections.correction1),
      correction2: scalar(corrections.correction2),
    },
  };
}

for (const name of deviceNames) {
  // These two are what all others are compared with, and each has tests of its own.
  if (name === 'cpu' || name === 'tfjs:cpu') continue;
  describe(`device ${name}, if there is one`, () => {
    let device: Device | undefined;
    before(async function () {
      this.timeout(120_000);
      try {
        device = await openDevice(name, {threads: 1});
      } catch (error) {
        expect(error).to.be.instanceOf(DeviceError);
        process.stdout.write(`    skipped: ${(error as Error).message}\n`);
        this.skip();
      }
    });
    after(() => device?.close());

    it('computes and differentiates operators', async function () {
      this.timeout(120_000);
      const wrong: string[] = [];
      for (const c of opCases.filter((o) => chosen.includes(o.name))) {
        if (faults[name]?.[c.name]) continue;
        const wanted = runEagerly(evaluate(c), c.inputs);
        try {
          const {outputs} = await device!.jit(c.name, evaluate(c))(c.inputs);
          const got = new Map(leaves<NdArray>(outputs));
          for (const [path, w] of leaves<NdArray>(wanted)) {
            // Graphics drivers round exponentials and the like to about 1e-5.
            expectNear(got.get(path)!.data, w.data, {rtol: 1e-4, atol: 1e-4 * scaleOf(w.data)}, path);
          }
        } catch (error) {
          wrong.push(`${c.name}: ${(error as Error).message}`);
        }
      }
      expect(wrong).to.deep.equal([]);
    });

    it('takes a pre-training step', async function () {
      this.timeout(120_000);
      const {step, state, batch, schedule} = update();
      const wanted = runEagerly(step, {state, batch, schedule})['metrics'] as Record<string, NdArray>;
      const resident = await device!.put(state);
      const {outputs, applied} = await device!.jit('step', step)(
        {state: resident, batch, schedule},
        {into: {state: resident}, guard: ['metrics.loss']},
      );
      expect(applied).to.equal(true);
      for (const [metric, {data}] of Object.entries(wanted)) {
        expectNear((outputs['metrics'] as Record<string, NdArray>)[metric].data, data, {rtol: 1e-3, atol: 0}, metric);
      }
      const moved = ((await device!.get(resident)) as {params: {rest: NdArray}}).params.rest;
      expect(moved.data).not.to.deep.equal((state['params'] as Record<string, NdArray>)['rest'].data);
    });
  });
}

describe('devices', () => {
  it('are exactly these operators', () => {
    expect(chosen.filter((name) => !opCases.some((c) => c.name === name))).to.deep.equal([]);
  });

  it('refuse a name that is none, with the nearest', async () => {
    const error = await openDevice('tfjs:wsm').catch((e: unknown) => e);
    expect(error).to.be.instanceOf(UnknownNameError);
    expect((error as Error).message).to.match(/^unknown device "tfjs:wsm".*tfjs:wasm/);
  });

  it('use between one thread and all processors', () => {
    expect(physicalCores()).to.be.within(1, availableParallelism());
  });

  it('know from what the runtime says which library is missing', () => {
    const provider = '/x/libonnxruntime_providers_cuda.so';
    const failed = (library: string): string =>
      `[E:onnxruntime] Failed to load library ${provider} with error: ${library}: cannot open shared object file: No such file or directory`;
    const reasons = [
      [failed('/x/libonnxruntime_providers_shared.so'), "onnxruntime's CUDA provider is not installed"],
      [failed('libcublasLt.so.13'), 'the CUDA library libcublasLt.so.13 is missing'],
      [failed('libcuda.so.1'), 'there is no NVIDIA driver'],
      [
        'CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version',
        'the NVIDIA driver is too old for CUDA 13',
      ],
      [
        "Warning: Couldn't load Vulkan: libvulkan.so.1: cannot open shared object file: No such file or directory",
        'there is no Vulkan loader',
      ],
      ['Failed to get a WebGPU adapter: No supported adapters', 'no Vulkan driver offers a GPU'],
    ];
    for (const [text, reason] of reasons) expect(troubleIn(text)?.reason).to.equal(reason);
    expect(troubleIn('something else')).to.equal(undefined);
  });
});
