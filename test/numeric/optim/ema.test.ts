import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import {ema, emaDecayAt} from '../../../src/numeric/optim/ema.js';
import {cases, expectClose, expectOutput, numbers, tensor, values} from '../../support/golden.js';

interface Params {
  decay: number;
  update_step_interval: number;
  steps: number;
}

describe('ema', () => {
  for (const c of cases<Params>('optim.json', 'ema').filter((v) => !v.name.includes('swap'))) {
    it(`matches ${c.name} of Flow-GRPO, warm-up included`, () => {
      const {decay, update_step_interval: interval, steps} = c.params;
      const updates = tf.unstack(tensor(c.inputs.updates));
      let params = tensor(c.inputs.p0);
      let average = params;
      const averages: number[] = [];
      for (let n = 0; n < steps; n++) {
        params = tf.add(params, updates[n]);
        if ((n + 1) % interval === 0) average = ema(average, params, tf.scalar(emaDecayAt(n, decay)));
        averages.push(...values(average));
      }
      expectOutput(c, 'ema', averages);
      expectOutput(
        c,
        'decay_per_step',
        Array.from({length: steps}, (_, n) => emaDecayAt(n, decay)),
      );
    });
  }

  for (const c of cases('optim.json', 'ema').filter((v) => v.name.includes('swap'))) {
    it(`leaves the trained weights alone, which ${c.name} overwrites with the average`, () => {
      const before = tf.add(tensor(c.inputs.p0), tensor(c.inputs.update));
      const average = ema(tensor(c.inputs.p0), before, tf.scalar(emaDecayAt(0, 0.9)));
      expectOutput(c, 'weights_before', before);
      expectOutput(c, 'weights_during_eval', average);
    });
  }

  for (const c of cases<{rate: number}>('optim.json', 'ema-fixed')) {
    it(`matches ${c.name} of T2V-Turbo`, () => {
      expectOutput(c, 'target', ema(tensor(c.inputs.target), tensor(c.inputs.source), tf.scalar(c.params.rate)));
    });
  }

  it('is the weighted sum of all past parameters', () => {
    const history = [3, -1, 2, 5];
    const average = history.reduce((a, p) => ema(a, tf.scalar(p), tf.scalar(0.8)), tf.scalar(1) as tf.Tensor);
    const wanted = 0.8 ** 4 + history.reduce((sum, p, i) => sum + 0.2 * 0.8 ** (3 - i) * p, 0);
    expectClose(average, [wanted], 1e-6);
  });

  it('forgets its start quickly, then keeps to its limit', () => {
    expect([0, 1, 81, 10_000].map((n) => emaDecayAt(n, 0.9))).to.deep.equal([0.1, 2 / 11, 0.9, 0.9]);
    expectClose(numbers(emaDecayAt(10_000, 0.9999)), [10_001 / 10_010], 1e-15);
  });
});

// LoRA's cases of optim.json belong to the adapters' own tests.
