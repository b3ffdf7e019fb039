/** Registers what ships with rlft; the only file of `src/` that imports the three plug-in folders. */
import {ddpo} from '../algorithms/ddpo.js';
import {direct} from '../algorithms/direct.js';
import {dpo} from '../algorithms/dpo.js';
import {grpo} from '../algorithms/grpo.js';
import {nft} from '../algorithms/nft.js';
import {sft} from '../algorithms/sft.js';
import {fluentClips, fluentClipsModule} from '../environments/fluentClips/fluentClips.js';
import {gaussianToy, gaussianToyModule} from '../environments/gaussianToy.js';
import {brightness} from '../rewards/brightness.js';
import {judge} from '../rewards/judge.js';
import {matching} from '../rewards/matching.js';
import {nearTarget} from '../rewards/nearTarget.js';
import {preference} from '../rewards/preference.js';
import {quality} from '../rewards/quality.js';
import {random} from '../rewards/random.js';
import {semantic} from '../rewards/semantic.js';
import {similarity} from '../rewards/similarity.js';
import type {Algorithm} from './algorithm.js';
import type {EnvironmentModule} from './environment.js';
import {registry} from './registry.js';
import type {RewardModule} from './reward.js';

/** The optimizers, by the word after `rlft run`. */
export const algorithms = registry<Algorithm>('algorithm', [ddpo, direct, dpo, grpo, nft, sft]);

/** The rewards, by the names that expressions use. */
export const rewards = registry<RewardModule>('reward', [
  quality,
  semantic,
  similarity,
  matching,
  preference,
  judge,
  brightness,
  nearTarget,
  random,
]);

/** The worlds. */
export const environments = registry<EnvironmentModule>('environment', [fluentClipsModule, gaussianToyModule]);

export {
  brightness,
  ddpo,
  direct,
  dpo,
  fluentClips,
  fluentClipsModule,
  gaussianToy,
  gaussianToyModule,
  grpo,
  judge,
  matching,
  nearTarget,
  nft,
  preference,
  quality,
  random,
  semantic,
  sft,
  similarity,
};
