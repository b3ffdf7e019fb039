/** The encoder of a world, for rewards that are checked. */
import type {Environment} from '../environment.js';
import type {RewardContext} from '../reward.js';
import {openFrozenEncoder, openTransportMap} from '../run/frozenEncoder.js';

/** What ships with the world's first encoder; to ask for it where nothing does is an error. */
export const encoderOf = (environment: Environment): Pick<RewardContext, 'encoder' | 'transportMap'> => ({
  encoder: () => openFrozenEncoder(environment, 'shipped'),
  transportMap: async () => openTransportMap(await openFrozenEncoder(environment, 'shipped'), 'shipped'),
});
