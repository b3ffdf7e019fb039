/** All that a plug-in may import: ours and strangers' alike. */
import './autograd/index.js';
export {ConfigError, ShapeError} from './errors.js';
export {float32, ndarray, rows, sizeOf, zeros, type NdArray} from './tensor/ndarray.js';
export type {Branch, Params} from './tensor/tree.js';
export type {
  ClipSource,
  ClipStreamName,
  EncoderProbes,
  Environment,
  EnvironmentModule,
  Judge,
  Judgement,
  Policy,
  Prompt,
} from './environment.js';
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
  ClipPlan,
  ConfiguredAlgorithm,
  LearnContext,
  Learner,
  LossFunction,
  LossSums,
  Memory,
  PolicyInGraph,
  Scored,
  TrainState,
  TransitionBatch,
  UpdateReport,
} from './algorithm.js';
export {distillationPoint, distillationRows, teacherSteps} from './learn/distillation.js';
export {anchorLoss, logRatioSums, outsideCount, referenceDivergence} from './learn/policyLoss.js';
export {learnWhole} from './learn/learnWhole.js';
export {noiseAndTimes, noisedClips, noisedRows, type NoisedClip, type NoisedDraw, type TimeLaw} from './learn/noisedDraws.js';
export {policyPasses, type PassPlan, type PassUpdate} from './learn/passes.js';
export {meanReports, prefixed} from './learn/reports.js';
export {
  chunks,
  gatherLatents,
  gatherStates,
  gatherTransitions,
  finishedClips,
  lastTransitions,
  stochasticTransitions,
  type TransitionRef,
} from './learn/transitions.js';
export {movingWindow, randomWindow, type StepWindow, type WindowPlan, type WindowRange} from './learn/windows.js';
export {
  batchAdvantages,
  clampAdvantages,
  groupAdvantages,
  promptTracker,
  statistics,
  trackAdvantages,
  type PromptTracker,
} from './numeric/advantages.js';
export {
  consistencyLoss,
  jumpBetween,
  pseudoHuber,
  type ConsistencyNetworks,
  type ConsistencyPoint,
  type Jump,
  type Jumps,
} from './numeric/consistency.js';
export {detach} from './numeric/detach.js';
export {implicitMargin, preferenceLoss, velocityError, type PairErrors} from './numeric/directPreference.js';
export {actingMean, driftDivergence, guardedLogRatio, maskedSurrogate, type DriftedStep} from './numeric/drift.js';
export {addNoise, flowMatchingError} from './numeric/forwardProcess.js';
export {klDivergence} from './numeric/gaussian.js';
export {nextMultiplier, steeredCoefficient} from './numeric/multipliers.js';
export {feedbackNames, negativeAwareLoss, oldPolicyDecay, oldPolicyNames, optimality} from './numeric/negativeAware.js';
export {comparedPairs, pairingNames, type Pairing} from './numeric/comparedPairs.js';
export {meanOfRows, perRow} from './numeric/rows.js';
export {odeTable} from './numeric/samplers/named.js';
export type {Transition} from './numeric/samplers/sampler.js';
export {
  bestAndWorst,
  gdpoAdvantages,
  groupSpread,
  summedRewards,
  weightedAdvantages,
  type WeightedReward,
} from './numeric/severalRewards.js';
export {clippedSurrogate, importanceRatio, type LogProbabilities} from './numeric/surrogate.js';
export {meanOf, replay} from './numeric/transition.js';
export {
  anchorOption,
  distillationOptions,
  idleDistillation,
  idleWithoutNoise,
  noisingOptions,
  optimizerOf,
  optimizerOptions,
  policyGradientOptions,
  windowOptions,
} from './options.js';
export {groupMeans, groupNormaliseTensor} from './rewards/groupNormalise.js';
export {normals, permutation, shuffled, type NoiseKey} from './tensor/random.js';
