/**
 * Checks that authors of plug-ins run in their own tests: each tries out one contract and throws a ContractError that lists
 * everything it found.
 *
 *     import {checkReward} from 'rlft/conformance';
 *     it('keeps the contract', () => checkReward(myReward, fluentClips('nano')));
 */
export {checkAlgorithm} from './conformance/checkAlgorithm.js';
export {checkEncoder} from './conformance/checkEncoder.js';
export {checkEnvironment} from './conformance/checkEnvironment.js';
export {checkReward, type RewardExamples} from './conformance/checkReward.js';
export {checkRewardServer} from './conformance/checkRewardServer.js';
