/** Transitions of a microbatch by the size of the network, adapter or not; that it changes no update is in learn/learner.test.ts. */
import {expect} from 'chai';
import {fluentClips} from '../../environments/fluentClips/fluentClips.js';
import {packPolicyFor} from '../../src/rollout/residentPolicy.js';
import {defaultTargets} from '../../src/run/runSchema.js';
import {microbatchFor} from '../../src/tune/tune.js';

describe('microbatchFor', () => {
  const lora = {rank: 4, alpha: 8, targets: defaultTargets, seed: 0};
  for (const [preset, transitions] of [
    ['nano', 32],
    ['mini', 8],
  ] as const) {
    it(`is ${transitions} for ${preset}, and for an adapter of it`, () => {
      const world = fluentClips(preset);
      const params = world.initialise(0);
      expect(microbatchFor(packPolicyFor(world, params))).to.equal(transitions);
      expect(microbatchFor(packPolicyFor(world, params, lora))).to.equal(transitions);
    });
  }
});
