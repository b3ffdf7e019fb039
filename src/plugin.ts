/** All that a plug-in may import: ours and strangers' alike. */
import './autograd/index.js';
export {ConfigError, ShapeError} from './errors.js';
export {float32, ndarray, rows, sizeOf, zeros, type NdArray} from './tensor/ndarray.js';
export type {Branch, Params} from './tensor/tree.js';
export type {ClipSource, EncoderProbes, Environment, EnvironmentModule, Judge, Judgement, Policy, Prompt} from './environment.js';
export type {CallResult, Device, Jitted, ResidentTree} from './engine/device.js';
export type {
  CrossAttention,
  EncodedText,
  EncodedVideo,
  EncoderModule,
  FrozenEncoder,
  MaskedVideo,
  RefineAttention,
  TokenGeometry,
  VideoTextEncoder,
} from './encoder.js';
export type {DifferentiableReward, PartScores, Reward, RewardContext, RewardModule, Verification} from './reward.js';
export {expectedScores, openRewardWeights, verifiedReward, type RewardWeights} from './rewards/verifiedReward.js';
export {textPolicy, type TextPolicyConfig} from './models/textPolicy.js';
export {
  videoTextEncoder,
  type ConvolutionTower,
  type PatchTower,
  type VideoTextEncoderConfig,
} from './models/videoTextEncoder.js';
export {unitLength} from './models/norms.js';
export {
  encoderReward,
  matchProbability,
  rewardThrough,
  type EncodedPairs,
  type EncoderRewardParts,
} from './rewards/encoderReward.js';
export type {EncoderView, SeenPairs} from './rewards/encoderView.js';
export {preferenceScore} from './models/preferenceNetwork.js';
export type {PreferenceModel} from './run/preferenceModel.js';
export {refineByTransport, RELEASED_REFINEMENT, type RefineOptions} from './transport/refineAttention.js';
export {mappedSimilarity} from './transport/maps/mappedSimilarity.js';
export type {TransportMap} from './transport/maps/transportMap.js';
export {besideModule, serve, workerPool, type WorkerPool} from './workers/pool.js';
export type {
  Algorithm,
  ConfiguredAlgorithm,
  LearnContext,
  Learner,
  LossFunction,
  LossSums,
  Memory,
  PolicyInGraph,
  Scored,
  TrainState,
} from './algorithm.js';
export {
  chunks,
  gatherStates,
  gatherTransitions,
  lastTransitions,
  stochasticTransitions,
  type TransitionRef,
} from './learn/transitions.js';
export {
  batchAdvantages,
  clampAdvantages,
  groupAdvantages,
  promptTracker,
  trackAdvantages,
  type PromptTracker,
} from './numeric/advantages.js';
export {detach} from './numeric/detach.js';
export {klDivergence} from './numeric/gaussian.js';
export {meanOfRows} from './numeric/rows.js';
export {clippedSurrogate, importanceRatio} from './numeric/surrogate.js';
export {replay} from './numeric/transition.js';
export {optimizerOptions, policyGradientOptions} from './options.js';
export {permutation, type NoiseKey} from './tensor/random.js';
