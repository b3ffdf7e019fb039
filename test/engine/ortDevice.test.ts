/** What only the compiling device does: it traces, compiles once, and computes in a thread of its own. */
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import type {CallResult, CompileReport, Device} from '../../src/engine/device.js';
import {openDevice} from '../../src/engine/devices.js';
import {DeviceError, TracedReadError, UnsupportedOpError} from '../../src/errors.js';
import {float32, int32, type NdArray} from '../../src/tensor/ndarray.js';
import type {Branch} from '../../src/tensor/tree.js';

const t = (x: Branch<tf.Tensor>, name: string): tf.Tensor => x[name] as tf.Tensor;

async function failure(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error('it did not fail');
}

describe('ortDevice', () => {
  const reports: CompileReport[] = [];
  let device: Device;
  before(async () => {
    device = await openDevice('cpu', {threads: 1, onCompile: (report) => reports.push(report)});
  });
  beforeEach(() => reports.splice(0));
  after(() => device.close());

  it('compiles a function once for each set of shapes and dtypes', async () => {
    let traced = 0;
    const double = device.jit('twice/shape', (x) => {
      traced++;
      return {y: tf.mul(t(x, 'x'), 2)};
    });
    await Promise.all([double({x: float32([1, 2])}), double({x: float32([3, 4])})]);
    await double({x: (await device.put({x: float32([5, 6])}))['x']});
    expect([traced, reports.length]).to.deep.equal([1, 1]);
    await double({x: float32([1, 2, 3])});
    await double({x: int32([1, 2])});
    expect([traced, reports.length]).to.deep.equal([3, 3]);
    expect(reports[0]).to.include({name: 'twice/shape', nodes: 1, whole: true});
    expect(reports[0].compileSeconds).to.be.greaterThan(0);
  });

  it('tells names apart in the shapes it knows: {ab: x} is not {a: x, b: …}', async () => {
    const f = device.jit('names', (x) => ({y: 'b' in x ? tf.add(t(x, 'a'), t(x, 'b')) : t(x, 'a')}));
    expect(((await f({a: float32([1])})).outputs['y'] as NdArray).data[0]).to.equal(1);
    expect(((await f({a: float32([1]), b: float32([2])})).outputs['y'] as NdArray).data[0]).to.equal(3);
  });

  it('throws TracedReadError naming the function when it reads data', async () => {
    for (const read of [
      (x: tf.Tensor) => x.dataSync(),
      (x: tf.Tensor) => x.arraySync(),
      (x: tf.Tensor) => tf.square(x).bufferSync(),
    ]) {
      const error = await failure(device.jit('peeking', (x) => (read(t(x, 'x')), {y: t(x, 'x')}))({x: float32([1])}));
      expect(error).to.be.instanceOf(TracedReadError);
      expect(error.message).to.match(/^compile\(peeking\): the function reads tensor data/);
    }
  });

  it('lets a function read its own constants, and use tensors made outside it', async () => {
    const outside = tf.tensor1d([10, 20]);
    const use = (name: string): Promise<CallResult> =>
      device.jit(name, (x) => {
        const [first] = tf.tensor1d([3, 4]).dataSync();
        return {y: tf.add(tf.mul(t(x, 'x'), first), outside)};
      })({x: float32([1, 2])});
    // Each trace moves it away from tfjs' own backend; the next trace, and eager code, get it back.
    for (const name of ['constants', 'constants again']) {
      expect(Array.from(((await use(name)).outputs['y'] as NdArray).data)).to.deep.equal([13, 26]);
    }
    expect(Array.from(tf.add(outside, 1).dataSync())).to.deep.equal([11, 21]);
    expect(Array.from(((await use('and again')).outputs['y'] as NdArray).data)).to.deep.equal([13, 26]);
    outside.dispose();
  });

  it('refuses a tensor that another compiled function has made', async () => {
    let leaked: tf.Tensor | undefined;
    await device.jit('leaking', (x) => ({y: (leaked = tf.keep(tf.neg(t(x, 'x'))))}))({x: float32([1])});
    const error = await failure(device.jit('using', (x) => ({y: tf.add(t(x, 'x'), leaked!)}))({x: float32([1])}));
    expect(error).to.be.instanceOf(TracedReadError);
    expect(error.message).to.equal(
      'compile(using): it uses a tensor that another compiled function has made; pass it as an input.',
    );
  });

  it('throws UnsupportedOpError naming the kernel and the reason', async () => {
    const error = await failure(
      device.jit('spectrum', (x) => ({y: tf.real(tf.spectral.fft(tf.cast(t(x, 'x'), 'complex64')))}))({x: float32([1, 2])}),
    );
    expect(error).to.be.instanceOf(UnsupportedOpError);
    expect(error.message).to.match(/tfjs kernel "(Complex|FFT)" has no ONNX lowering \(complex numbers.*src\/engine\/lower/);
    const sum = await failure(
      device.jit('truths', (x) => ({y: tf.add(tf.greater(t(x, 'x'), 0), tf.less(t(x, 'x'), 1))}))({x: float32([1])}),
    );
    expect(sum.message).to.equal('compile: Add wants float32 or int32; got bool; cast it first.');
  });

  it('goes on after a function that failed to compile or to run', async () => {
    let tries = 0;
    const second = device.jit('second time', (x) => ({y: tries++ === 0 ? tf.tensor1d(t(x, 'x').dataSync()) : t(x, 'x')}));
    await failure(second({x: float32([1])}));
    expect(Array.from(((await second({x: float32([1])})).outputs['y'] as NdArray).data)).to.deep.equal([1]);
    const pick = device.jit('pick', (x) => ({y: tf.gather(t(x, 'x'), t(x, 'at'))}));
    const error = await failure(pick({x: float32([1, 2]), at: int32([5])}));
    expect(error).to.be.instanceOf(DeviceError);
    expect(error.message).to.match(/^pick: .*out of/s);
    expect(Array.from(((await pick({x: float32([1, 2]), at: int32([1])})).outputs['y'] as NdArray).data)).to.deep.equal([2]);
  });

  it('unrolls a loop of a fixed count: fifty iterations trace, compile and differentiate', async () => {
    // Newton's iteration for √a from 1; its result and derivative 1/(2√a) are known.
    const root = (a: tf.Tensor): tf.Tensor => {
      let y = tf.onesLike(a);
      for (let i = 0; i < 50; i++) y = tf.mul(tf.add(y, tf.div(a, y)), 0.5);
      return y;
    };
    const {outputs} = await device.jit('loop', (x) => ({y: root(t(x, 'a')), g: tf.grad(root)(t(x, 'a'))}))({
      a: float32([4, 9, 2]),
    });
    expect(reports[0].nodes).to.be.within(150, 1000);
    [2, 3, Math.SQRT2].forEach((r, i) => {
      expect((outputs['y'] as NdArray).data[i]).to.be.closeTo(r, 1e-6);
      expect((outputs['g'] as NdArray).data[i]).to.be.closeTo(1 / (2 * r), 1e-6);
    });
  });

  it('adds gradients of a repeated index up without losing any, and the same way each time', async () => {
    // onnxruntime's ScatterND lost a third of such updates; see src/engine/lower/indexing.ts.
    const [rows, width] = [20_000, 32];
    const parallel = await openDevice('cpu', {threads: 2});
    try {
      const f = parallel.jit('embedding', (x) => ({
        g: tf.grad((w) => tf.sum(tf.mul(tf.gather(w, t(x, 'at') as tf.Tensor1D), t(x, 'd'))))(t(x, 'w')),
      }));
      const inputs = {
        w: float32(new Float32Array(4 * width), [4, width]),
        at: int32(Array.from({length: rows}, (_, i) => i % 3)),
        d: float32(
          Array.from({length: rows * width}, (_, i) => 1 + (i % 7) / 8),
          [rows, width],
        ),
      };
      const wanted = new Float64Array(4 * width);
      inputs.d.data.forEach((d, i) => (wanted[(Math.floor(i / width) % 3) * width + (i % width)] += d));
      const first = ((await f(inputs)).outputs['g'] as NdArray).data;
      first.forEach((g, i) => expect(g).to.be.closeTo(wanted[i], 1e-5 * wanted[0]));
      for (let i = 0; i < 5; i++) expect(((await f(inputs)).outputs['g'] as NdArray).data).to.deep.equal(first);
    } finally {
      await parallel.close();
    }
  });

  it('leaves the main thread free: a timer of 20 ms keeps ticking during a long run', async () => {
    const f = device.jit('long', (x) => {
      let y = t(x, 'x');
      for (let i = 0; i < 60; i++) y = tf.tanh(tf.matMul(y, t(x, 'w')));
      return {y: tf.sum(y)};
    });
    const inputs = await device.put({
      x: float32(new Float32Array(768 * 768).fill(0.01), [768, 768]),
      w: float32(new Float32Array(768 * 768).fill(0.02), [768, 768]),
    });
    await f(inputs);
    let ticks = 0;
    const timer = setInterval(() => ticks++, 20);
    const start = performance.now();
    try {
      while (performance.now() - start < 600) await f(inputs);
    } finally {
      clearInterval(timer);
    }
    const expected = (performance.now() - start) / 20;
    expect(ticks / expected, `${ticks} ticks of ${expected.toFixed(0)}`).to.be.at.least(0.7);
  });
});
