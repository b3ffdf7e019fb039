/** What every device promises: the same tests on the compiling device and on an eager one. */
import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import type {Device, ResidentTree} from '../../src/engine/device.js';
import {openDevice} from '../../src/engine/devices.js';
import {DeviceError, ShapeError} from '../../src/errors.js';
import {float32, int32, ndarray, type NdArray} from '../../src/tensor/ndarray.js';
import type {Branch, Params} from '../../src/tensor/tree.js';

const t = (x: Branch<tf.Tensor>, name: string): tf.Tensor => x[name] as tf.Tensor;
const data = (p: Params, name: string): number[] => Array.from((p[name] as NdArray).data);

/** The error that a promise ends with. */
async function failure(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error('it did not fail');
}

/** w ← w − rate·2w, with the loss Σw² before it. */
const descend = (x: Branch<tf.Tensor>): Branch<tf.Tensor> => {
  const w = t(x, 'w');
  return {state: {w: tf.sub(w, tf.mul(t(x, 'rate'), tf.mul(w, 2)))}, loss: tf.sum(tf.square(w))};
};

for (const name of ['cpu', 'tfjs:cpu']) {
  describe(`device ${name}`, () => {
    let device: Device;
    before(async () => {
      device = await openDevice(name, {threads: 1});
    });
    after(() => device.close());

    it('takes and gives trees of every dtype', async () => {
      const {outputs} = await device.jit('dtypes', (x) => ({
        a: {b: tf.mul(t(x, 'f'), 2), c: tf.add(t(x, 'i'), tf.scalar(1, 'int32'))},
        not: tf.logicalNot(t(x, 'b')),
        bytes: tf.mul(tf.cast(t(x, 'u'), 'float32'), 2),
        scalar: tf.sum(t(x, 'f')),
      }))({
        f: float32([1.5, -2]),
        i: int32([3, -4]),
        b: ndarray('bool', [2], Uint8Array.from([1, 0])),
        u: ndarray('uint8', [2], Uint8Array.from([255, 7])),
      });
      expect(outputs).to.deep.equal({
        a: {b: float32([3, -4]), c: int32([4, -3])},
        not: ndarray('bool', [2], Uint8Array.from([0, 1])),
        bytes: float32([510, 14]),
        scalar: float32([-0.5], []),
      });
    });

    it('gives inputs, constants and one value under two names as outputs', async () => {
      const {outputs} = await device.jit('passing', (x) => {
        const y = tf.neg(t(x, 'x'));
        return {same: t(x, 'x'), p: y, q: y, table: tf.tensor1d([5, 6, 7]), ones: tf.ones([2])};
      })({x: float32([1, 2]), unused: float32([9])});
      expect(outputs).to.deep.equal({
        same: float32([1, 2]),
        p: float32([-1, -2]),
        q: float32([-1, -2]),
        table: float32([5, 6, 7]),
        ones: float32([1, 1]),
      });
    });

    it('leaves the arrays of the caller alone, and copies what it keeps', async () => {
      const x = float32([1, 2]);
      const {x: kept} = await device.put({x});
      const double = device.jit('double', (inputs) => ({y: tf.mul(t(inputs, 'x'), 2)}));
      await double({x});
      // A kernel of tfjs that writes into its operand.
      const overwrite = device.jit('overwrite', (inputs) => ({
        y: tf.tensorScatterUpdate(t(inputs, 'x'), tf.tensor2d([[0]], [1, 1], 'int32'), tf.tensor1d([7])),
      }));
      expect(data((await overwrite({x})).outputs, 'y')).to.deep.equal([7, 2]);
      expect(Array.from(x.data)).to.deep.equal([1, 2]);
      x.data[0] = 100;
      expect(data((await double({x: kept})).outputs, 'y')).to.deep.equal([2, 4]);
      const got = await device.get({x: kept});
      (got['x'] as NdArray).data[0] = -1;
      expect(data(await device.get({x: kept}), 'x')).to.deep.equal([1, 2]);
    });

    it('replaces resident state call after call, and sends the rest back', async () => {
      const step = device.jit('descend', descend);
      const state = await device.put({w: float32([1, -2])});
      const losses: number[] = [];
      for (let i = 0; i < 3; i++) {
        const {outputs, applied} = await step({w: state['w'], rate: float32([0.25], [])}, {into: {state}, guard: ['loss']});
        expect(applied).to.equal(true);
        expect(Object.keys(outputs)).to.deep.equal(['loss']);
        losses.push(data(outputs, 'loss')[0]);
      }
      // Each step halves w, so each loss is a quarter of the one before.
      expect(losses).to.deep.equal([5, 1.25, 0.3125]);
      expect(data(await device.get(state), 'w')).to.deep.equal([0.125, -0.25]);
    });

    it('leaves the state bit for bit as it was when a guarded output is not finite', async () => {
      const step = device.jit('descend', descend);
      const state = await device.put({w: float32([0.1, -0.3])});
      const rate = float32([0.25], []);
      await step({w: state['w'], rate}, {into: {state}});
      const before = new Uint32Array((((await device.get(state))['w'] as NdArray).data as Float32Array).buffer).slice();
      for (const bad of [NaN, Infinity]) {
        const {applied, outputs} = await step(
          {w: state['w'], rate: float32([bad], [])},
          {into: {state}, guard: ['loss', 'state.w']},
        );
        expect(applied).to.equal(false);
        expect(data(outputs, 'loss')[0]).to.be.greaterThan(0);
        expect(new Uint32Array((((await device.get(state))['w'] as NdArray).data as Float32Array).buffer)).to.deep.equal(before);
      }
      await step({w: state['w'], rate}, {into: {state}, guard: ['loss', 'state.w']});
      expect(data(await device.get(state), 'w')).to.deep.equal(Array.from(Float32Array.of(0.1, -0.3), (x) => x / 4));
    });

    it('says which output does not fit its resident array, and applies nothing', async () => {
      const step = device.jit('descend', descend);
      const inputs = {w: float32([1, 2]), rate: float32([0.25], [])};
      const [fits, longer, other] = [
        await device.put({w: float32([7, 7])}),
        await device.put({w: float32([1, 2, 3])}),
        await device.put({v: float32([1, 2])}),
      ];
      const messages: [Record<string, ResidentTree>, string][] = [
        [{state: longer}, 'descend: output "state.w" is float32 [2]; its resident array is float32 [3].'],
        [{state: other}, 'descend: output "state.w" has no resident array to go into.'],
        [{state: {...fits, ...other}}, 'descend: there is no output "state.v" to go into the resident array of that name.'],
        [{states: fits}, 'descend: there is no output "states.w" to go into the resident array of that name.'],
      ];
      for (const [into, message] of messages) {
        const error = await failure(step(inputs, {into}));
        expect(error).to.be.instanceOf(ShapeError);
        expect(error.message).to.equal(message);
      }
      expect((await failure(step(inputs, {guard: ['lose']}))).message).to.equal('descend: there is no output "lose" to guard.');
      const twice = device.jit('twice', (x) => ({state: {p: t(x, 'w'), q: tf.neg(t(x, 'w'))}}));
      expect((await failure(twice({w: inputs.w}, {into: {state: {p: fits['w'], q: fits['w']}}}))).message).to.equal(
        'twice: outputs "state.p" and "state.q" go into one resident array.',
      );
      expect(data(await device.get(fits), 'w')).to.deep.equal([7, 7]);
    });

    it('refuses resident arrays that were freed or belong to another device', async () => {
      const double = device.jit('double', (x) => ({y: tf.mul(t(x, 'x'), 2)}));
      const kept = await device.put({x: float32([1])});
      await device.free(kept);
      expect((await failure(double({x: kept['x']}))).message).to.contain('freed or belongs to another device');
      const second = await openDevice(name, {threads: 1});
      try {
        const theirs = await second.put({x: float32([2])});
        await device.put({x: float32([3])});
        expect((await failure(double({x: theirs['x']}))).message).to.contain('freed or belongs to another device');
        expect(data(await second.get(theirs), 'x')).to.deep.equal([2]);
      } finally {
        await second.close();
      }
    });

    it('answers calls made at once in their order, beside another device', async () => {
      const second = await openDevice(name, {threads: 1});
      try {
        const state = await device.put({n: float32([0], [])});
        const count = device.jit('count', (x) => ({state: {n: tf.add(t(x, 'n'), 1)}, seen: t(x, 'n')}));
        const square = second.jit('square', (x) => ({y: tf.square(t(x, 'x'))}));
        const all = await Promise.all(
          Array.from({length: 8}, async (_, i) => {
            const [mine, theirs] = await Promise.all([count({n: state['n']}, {into: {state}}), square({x: float32([i], [])})]);
            return [data(mine.outputs, 'seen')[0], data(theirs.outputs, 'y')[0]];
          }),
        );
        expect(all).to.deep.equal(Array.from({length: 8}, (_, i) => [i, i * i]));
      } finally {
        await second.close();
      }
    });

    it('fails every call once it is closed', async () => {
      const closed = await openDevice(name, {threads: 1});
      const double = closed.jit('double', (x) => ({y: tf.mul(t(x, 'x'), 2)}));
      const kept = await closed.put({x: float32([1])});
      await closed.close();
      for (const promise of [double({x: float32([1])}), closed.put({x: float32([1])}), closed.get(kept), closed.free(kept)]) {
        const error = await failure(promise);
        expect(error).to.be.instanceOf(DeviceError);
        expect(error.message).to.equal('engine: the device is closed.');
      }
      await closed.close();
    });

    it('leaves no tensor behind, and the backend of the caller in place', async () => {
      await import('@tensorflow/tfjs-backend-cpu');
      await tf.setBackend('cpu');
      const held = tf.memory().numTensors;
      await device.jit('leaky', (x) => ({y: tf.add(tf.exp(t(x, 'x')), tf.scalar(1))}))({x: float32([1])});
      expect(tf.memory().numTensors).to.equal(held);
      expect(tf.getBackend()).to.equal('cpu');
    });
  });
}
