/**
 * Every kernel that tfjs-core knows, with its state: one ONNX operator, several, or refused by name. The table in
 * docs/engine.md is made from here: `RLFT_WRITE_DOCS=1 npx mocha test/engine/kernels.test.ts` writes it anew.
 */
import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import {readFileSync, writeFileSync} from 'node:fs';
import {gradients} from '../../src/autograd/index.js';
import {kernelNames, kernelState, lowerings} from '../../src/engine/lower/index.js';
import {neverRun, refused} from '../../src/engine/lower/refused.js';
import {trace} from '../../src/engine/trace.js';
import {UnsupportedOpError} from '../../src/errors.js';
import {opCases, type Tensors} from '../support/opCases.js';

const BACKEND = 'rlft-trace';
const docs = new URL('../../docs/engine.md', import.meta.url);
const [START, END] = ['<!-- kernels: written by test/engine/kernels.test.ts -->', '<!-- end of kernels -->'];

function table(): string {
  const rows = kernelNames.map((name) => {
    const {state, note} = kernelState(name)!;
    return `| ${name} | ${state} | ${note} | ${state !== 'refused' && gradients[name] ? 'yes' : ''} |`;
  });
  return ['| kernel | state | how, or why not | gradient |', '| --- | --- | --- | --- |', ...rows].join('\n');
}

/** Runs `fn` while each kernel that tracing asks for is noted. */
function kernelsAskedFor(fn: () => void): Set<string> {
  const asked = new Set<string>();
  const originals = tf.getKernelsForBackend(BACKEND);
  const replace = (config: tf.KernelConfig): void => {
    tf.unregisterKernel(config.kernelName, BACKEND);
    tf.registerKernel(config);
  };
  for (const config of originals) {
    replace({
      ...config,
      kernelFunc: (params) => {
        asked.add(config.kernelName);
        return config.kernelFunc(params);
      },
    });
  }
  try {
    fn();
  } finally {
    originals.forEach(replace);
  }
  return asked;
}

describe('engine: the table of kernels', () => {
  before(() => {
    trace('any', () => ({y: tf.zeros([1])}), {}); // registers the backend
  });

  it('gives every kernel of tfjs-core exactly one state', () => {
    expect(kernelNames).to.include.members(['Abs', 'Conv3D', 'ZerosLike', '_FusedMatMul']);
    expect(kernelNames.filter((name) => !kernelState(name))).to.deep.equal([]);
    const listed = [...Object.keys(lowerings), ...Object.keys(refused), ...Object.keys(neverRun)];
    const twice = listed.filter((name, i) => listed.indexOf(name) !== i);
    expect(twice).to.deep.equal([]);
    expect(listed.filter((name) => !kernelNames.includes(name) && !name.startsWith('Rlft'))).to.deep.equal([]);
  });

  it('has a case in test/support/opCases.ts for every lowering', () => {
    const asked = kernelsAskedFor(() => {
      for (const c of opCases) {
        const specs = Object.fromEntries(Object.entries(c.inputs).map(([name, {dtype, shape}]) => [name, {dtype, shape}]));
        const run = (x: Tensors): tf.Tensor[] => [c.run(x)].flat();
        trace(c.name, (x) => Object.fromEntries(run(x as Tensors).map((y, i) => [i, y])), specs);
        if (c.gradients.length === 0) continue;
        const loss =
          (x: Tensors) =>
          (...xs: tf.Tensor[]): tf.Tensor =>
            tf.addN(
              run({...x, ...Object.fromEntries(c.gradients.map((n, i) => [n, xs[i]]))}).flatMap((y) =>
                y.dtype === 'float32' ? [tf.sum(y)] : [],
              ),
            );
        trace(c.name, (x) => ({g: tf.grads(loss(x as Tensors))(c.gradients.map((n) => (x as Tensors)[n]))[0]}), specs);
      }
    });
    const missing = Object.keys(lowerings).filter((name) => !asked.has(name) && !(name in neverRun));
    expect(missing).to.deep.equal([]);
    // And what is said to be never run is indeed never run.
    expect(Object.keys(neverRun).filter((name) => asked.has(name))).to.deep.equal([]);
  });

  it('refuses the others by their names', () => {
    const names = kernelNames.filter((name) => !(name in lowerings));
    expect(names.length).to.be.greaterThan(30);
    for (const name of names) {
      const kernel = tf.getKernel(name, BACKEND);
      expect(() => trace('refused', () => (kernel.kernelFunc({inputs: {}, attrs: {}, backend: {}}), {}), {}), name).to.throw(
        UnsupportedOpError,
        `tfjs kernel "${name}" has no ONNX lowering`,
      );
    }
  });

  it('differentiates every kernel but these', () => {
    const without = Object.keys(lowerings).filter((name) => !gradients[name] && !(name in neverRun));
    expect(without.sort()).to.deep.equal([
      // Backward kernels, whose own derivatives nobody needs.
      'Conv2DBackpropFilter',
      'Conv3DBackpropFilterV2',
      'DepthwiseConv2dNativeBackpropFilter',
      'DepthwiseConv2dNativeBackpropInput',
      // No operand to differentiate.
      'Fill',
      // Of pictures only.
      'FlipLeftRight',
      // tfjs-core takes them apart while a gradient is recorded, or for inference only.
      'FusedBatchNorm',
      'FusedConv2D',
      'FusedDepthwiseConv2D',
      'LinSpace',
      'MaxPool3DGrad',
      'MaxPoolGrad',
      'Range',
      'RlftDepthwiseFilter',
      // Asked for only while no gradient is recorded.
      'RlftGelu',
      '_FusedMatMul',
    ]);
  });

  it('is the one in docs/engine.md', () => {
    const text = readFileSync(docs, 'utf8');
    const [from, to] = [text.indexOf(START), text.indexOf(END)];
    expect(from, 'the marks of the table').to.be.greaterThan(0);
    expect(to).to.be.greaterThan(from);
    if (process.env['RLFT_WRITE_DOCS']) {
      writeFileSync(docs, `${text.slice(0, from)}${START}\n\n${table()}\n\n${text.slice(to)}`);
    } else {
      expect(text.slice(from + START.length, to).trim()).to.equal(table());
    }
  });
});
