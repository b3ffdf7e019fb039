import {expect} from 'chai';
import type {Device} from '../../src/engine/device.js';
import type {Environment} from '../../src/environment.js';
import type {RewardContext} from '../../src/reward.js';

/** The context of a reward that needs neither judge nor encoder: to ask for one fails the test. */
export const bareContext = (environment: Environment, device: Device): RewardContext => ({
  environment,
  device,
  judge: () => expect.fail('no judge is needed'),
  encoder: () => expect.fail('no encoder is needed'),
  transportMap: () => expect.fail('no transport map is needed'),
  preferenceModel: () => expect.fail('no preference model is needed'),
});
