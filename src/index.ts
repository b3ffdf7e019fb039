/**
 * The library, in reading order: `import {ddpo, runTuning, tuneConfig} from 'rlft'`.
 *
 * Authors of plug-ins find what they build on in `rlft/plugin`, and the checks that their plug-ins must pass in
 * `rlft/conformance`; docs/adding-a-reward.md and its two sisters begin there.
 */

// The three contracts.
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
export type {
  Algorithm,
  ClipPlan,
  ConfiguredAlgorithm,
  LearnContext,
  Learner,
  LossFunction,
  LossSums,
  Memory,
  OptimizerOptions,
  PolicyInGraph,
  Scored,
  TrainState,
  TransitionBatch,
  UpdateReport,
} from './algorithm.js';

// The sentence: prompts → rollouts → rewards → advantages → update → metrics.
export {iterations, promptsOf, requestsOf, train, type TrainParts} from './train.js';

// What ships with rlft: algorithms, rewards, environments.
export {
  algorithms,
  brightness,
  ddpo,
  direct,
  dpo,
  environments,
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
  rewards,
  semantic,
  sft,
  similarity,
} from './builtins.js';
export type {Registry} from './registry.js';

// Rewards from elsewhere: composed by an expression, loaded from a file, asked of a server; and what is known of one.
export {composeReward} from './rewards/composeReward.js';
export {resolveReward, type RewardSources} from './rewards/resolveReward.js';
export {loadReward} from './rewards/loadReward.js';
export {httpReward, type HttpRewardOptions} from './rewards/httpReward.js';
export type {Patience} from './rewards/httpExchange.js';
export {rewardCard, type RewardCard} from './rewards/card.js';
export type {Reading} from './rewards/readClips.js';
export type {Spread} from './rewards/spread.js';
export {fixedClips} from './rewards/fixedClips.js';
export {expectedScores, openRewardWeights, verifiedReward, type RewardWeights} from './rewards/verifiedReward.js';

// Runs in folders: what the commands do.
export {runTuning, type TuneRequest} from './tune/open.js';
export {tuneConfig, tuneSchema, type TuneConfig} from './tune/schema.js';
export type {Estimate, Geometry, TuneEvent} from './tune/events.js';
export {planRun, type Plan, type PlanOptions} from './tune/plan.js';
export {tune, type TuneParts} from './tune/tune.js';
export {sample, type SampleFile, type SampleRequest} from './tune/sample.js';
export {exportTuned, type ExportRequest} from './tune/export.js';
export {readPolicy, type PolicyWeights} from './tune/policyWeights.js';
export {pretrain, type PretrainEvent, type PretrainRequest} from './pretrain/pretrain.js';
export type {PretrainPlan} from './pretrain/schedule.js';
export {pretrainEncoder, type EncoderEvent, type PretrainEncoderRequest} from './pretrain/pretrainEncoder.js';
export type {EncoderPlan, EncoderProgress} from './pretrain/trainEncoder.js';
export {claimRunFolder, createRunFolder, openRunFolder, type RunFolder} from './run/runFolder.js';
export {resolveConfig, renderConfig, type ConfigSources, type ResolvedConfig} from './run/config.js';
export type {RunConfig} from './run/runSchema.js';
export {readMetrics, type Metrics, type MetricsRow} from './run/metrics.js';
export {listCheckpoints, loadCheckpoint, type CheckpointFile, type Snapshot} from './run/checkpoint.js';
export {readWeights, writeWeights} from './run/weights.js';
export {readAdapter, writeAdapter, type SavedAdapter} from './run/adapterFiles.js';
export type {Evaluation, MonitorSummary, RunSummary} from './run/summary.js';

// The engine's door: numeric functions on a device.
export {openDevice} from './engine/devices.js';
export type {
  Argument,
  CallOptions,
  CallResult,
  CompileReport,
  Device,
  DeviceOptions,
  Jitted,
  Resident,
  ResidentTree,
} from './engine/device.js';
export type {NumericFunction} from './engine/trace.js';

// Rollouts.
export {createGenerator, type GenerateRequest, type Generator, type Trajectories} from './rollout/generate.js';
export {packPolicyFor, putPolicy, type PolicyPacking} from './rollout/residentPolicy.js';
export {mergeAdapter, type AdaptedLayer, type LoraOptions} from './rollout/adapter.js';
export {openWorldClips, type WorldClips} from './rollout/worldClips.js';
export {rollout} from './stream/rollout.js';
export {score} from './stream/score.js';

// Learning.
export {createLearner, type LearnerParts, type LearnerSnapshot, type ResidentLearner} from './learn/learner.js';
export {checkParity} from './learn/parity.js';
export {movingWindow, randomWindow, type StepWindow, type WindowPlan, type WindowRange} from './learn/windows.js';
export {
  chunks,
  gatherLatents,
  gatherTransitions,
  lastTransitions,
  stochasticTransitions,
  type TransitionRef,
} from './learn/transitions.js';

// Held-out evaluation.
export {compare, evaluateSuite, type Comparison, type Suite, type SuiteScores} from './evaluate/evaluate.js';
export {bootstrap, type Interval} from './evaluate/bootstrap.js';
export {openEncoderSession, type EncoderSession, type Videos} from './evaluate/encoderSession.js';
export {
  areaUnderCurve,
  diagnoseEncoder,
  measureDiscrimination,
  measureQualityRank,
  measureRetrieval,
  measureSampleRank,
  type ByScore,
  type DiagnosticsOptions,
  type Discrimination,
  type EncoderDiagnostics,
  type Retrieval,
} from './evaluate/encoderDiagnostics.js';

// Samplers: tables of affine Gaussian transitions, and the one step that serves them all.
export {odeTable, samplerTables, samplerNames, type SamplerName, type SamplerTables} from './numeric/samplers/named.js';
export type {Transition} from './numeric/samplers/sampler.js';
export {flowSde, wanSde, type FlowSdeOptions} from './numeric/samplers/flowSde.js';
export {danceSde, type DanceSdeOptions} from './numeric/samplers/danceSde.js';
export {cps, type CpsOptions} from './numeric/samplers/cps.js';
export {ddim, type DdimOptions} from './numeric/samplers/ddim.js';
export {ode, windowed} from './numeric/samplers/ode.js';
export {
  alphaBars,
  flowSigmas,
  shiftTime,
  timesteps,
  zeroTerminalSnr,
  type BetaSchedule,
  type FlowSigmaOptions,
  type TimestepOptions,
} from './numeric/schedule.js';
export {replay, step, type Density, type TransitionInputs} from './numeric/transition.js';
export {addNoise} from './numeric/forwardProcess.js';
export {cpsLogProbability, klDivergence, logProbability} from './numeric/gaussian.js';
export {fromClean, toClean, type NoisyPoint, type Prediction} from './numeric/prediction.js';

// Advantages.
export {
  batchAdvantages,
  clampAdvantages,
  groupAdvantages,
  promptTracker,
  trackAdvantages,
  type Deviation,
  type GroupAdvantageOptions,
  type PromptTracker,
} from './numeric/advantages.js';

export {
  bestAndWorst,
  gdpoAdvantages,
  groupSpread,
  summedRewards,
  weightedAdvantages,
  type WeightedReward,
} from './numeric/severalRewards.js';
export {nextMultiplier, steeredCoefficient} from './numeric/multipliers.js';
// Consistency distillation.
export {
  consistencyLoss,
  jumpBetween,
  pseudoHuber,
  type ConsistencyNetworks,
  type ConsistencyPoint,
  type Jump,
  type Jumps,
} from './numeric/consistency.js';

// Policy-gradient losses.
export {
  approxKl,
  clipFraction,
  clippedSurrogate,
  importanceRatio,
  klEstimate,
  type LogProbabilities,
} from './numeric/surrogate.js';
export {actingMean, driftDivergence, guardedLogRatio, maskedSurrogate, type DriftedStep} from './numeric/drift.js';

// DiffusionNFT: learning from noised clips.
export {
  feedbackNames,
  negativeAwareLoss,
  oldPolicyDecay,
  oldPolicyNames,
  optimality,
  type Feedback,
  type NegativeAwareInputs,
  type OldPolicy,
} from './numeric/negativeAware.js';

// Diffusion-DPO: learning from pairs.
export {implicitMargin, preferenceLoss, velocityError, type PairErrors} from './numeric/directPreference.js';
export {comparedPairs, pairingNames, type Pairing, type PreferencePair} from './numeric/comparedPairs.js';

// Optimal transport: plans, costs, distances, attention refined by a plan.
export {sinkhorn, type SinkhornPlans} from './transport/sinkhorn.js';
export {logSinkhorn} from './transport/logSinkhorn.js';
export type {SinkhornOptions, StoppingOptions, TransportBatch, TransportPlans} from './transport/batch.js';
export {penaltyOfMass, type EntropicOptions, type Entropy, type TransportProblem} from './transport/formulation.js';
export {transportPlan, type TransportPlanOptions} from './transport/transportPlan.js';
export type {RoundsOptions} from './transport/scalingRounds.js';
export {exactTransport, type ExactPlan, type ExactProblem} from './transport/exactTransport.js';
export {assignment, type Assignment} from './transport/assignment.js';
export {withDummyPoint} from './transport/dummyPoint.js';
export {
  cosineCost,
  minMaxScaled,
  spatioTemporalCost,
  squaredEuclideanCost,
  type SpatioTemporalInputs,
  type SpatioTemporalOptions,
} from './transport/costs.js';
export {
  cosineMatrix,
  minMaxScaledMatrix,
  spatioTemporalMatrix,
  squaredEuclideanMatrix,
  type SpatioTemporalArrays,
} from './transport/costMatrices.js';
export type {Rows} from './numeric/moments.js';
export {gridGeometry} from './transport/gridGeometry.js';
export {fuseAttention, rowNormalised, type LogFloor} from './transport/fuseAttention.js';
export {refineByTransport, RELEASED_REFINEMENT, transportPrior, type RefineOptions} from './transport/refineAttention.js';
export {slicedWasserstein, wasserstein1d, type LineMeasure, type SlicedOptions} from './transport/slicedWasserstein.js';
export {
  sinkhornDivergence,
  sinkhornDivergenceLoss,
  type Divergence,
  type DivergenceLossOptions,
  type DivergenceOptions,
} from './transport/sinkhornDivergence.js';

// Maps of captions to where videos lie, and what measures them.
export {mapKind, mapNames, transportMap, type MapKind, type MapName, type TransportMap} from './transport/maps/transportMap.js';
export {mappedSimilarity} from './transport/maps/mappedSimilarity.js';
export {fitGaussianMap} from './transport/maps/gaussianMap.js';
export {fitProcrustes} from './transport/maps/procrustes.js';
export {entropicMap, fitEntropicMap, type EntropicFit, type EntropicMapOptions} from './transport/maps/entropic.js';
export {neuralStep, type NeuralLayout, type NeuralStepOptions} from './transport/maps/neuralStep.js';
export {mutualKnn} from './transport/metrics/mutualKnn.js';
export {structurePreservation, type DistanceSet} from './transport/metrics/structurePreservation.js';
export {frechetDistance, gaussianDistance} from './transport/metrics/frechetDistance.js';
export {
  attributeRetrieval,
  attributeShift,
  retrievalAtOne,
  type AttributeRetrieval,
  type Attributes,
  type AttributeShift,
} from './transport/metrics/retrieval.js';
export {
  fitStreams,
  fitTransport,
  type FitEvent,
  type FitMeasurements,
  type FitTransportRequest,
  type MeasuredStep,
} from './fit/fitTransport.js';
export {
  fitPreference,
  type FitPreferenceRequest,
  type JudgedClips,
  type PairMeasurement,
  type PreferenceEvent,
  type PreferenceMeasurements,
} from './fit/fitPreference.js';
export {mislabelled, pairAccuracy} from './fit/preferencePairs.js';
export {preferenceScores, trainPreference, type PreferencePlan} from './fit/trainPreference.js';
export {preferenceParams} from './models/preferenceNetwork.js';
export {applyMap, measureMap, type MapMeasurement} from './fit/measureMap.js';
export {openMapTrainer, type EmbeddedPairs, type MapPlan, type MapProgress, type MapTrainer} from './fit/trainMap.js';
export {hashParams} from './run/hashParams.js';

// Statistics: moments and rank correlations.
export {moments, type Moments} from './numeric/moments.js';
export {kendall, pearson, ranks, spearman} from './numeric/rankCorrelation.js';

// Optimizers.
export {adamCorrections, adamw, type AdamWOptions, type AdamWState, type AdamWStep} from './numeric/optim/adamw.js';
export {nesterov, newtonSchulz, orthogonalise, type MuonOptions} from './numeric/optim/muon.js';
export {clipByGlobalNorm, globalNorm} from './numeric/optim/clip.js';
export {ema, emaDecayAt} from './numeric/optim/ema.js';
export {learningRate, type LearningRateSchedule} from './numeric/optim/learningRate.js';

// Values: arrays, trees of them, keyed noise.
export {float32, int32, ndarray, sizeOf, zeros, type DType, type NdArray} from './tensor/ndarray.js';
export {leaves, mapTree, unflatten, type Branch, type Params, type Tree} from './tensor/tree.js';
export {integers, normals, permutation, uniforms, type NoiseKey} from './tensor/random.js';

// Pictures.
export {fromBytes, toBytes} from './tensor/pixels.js';
export {animatedSheet, animatedWebp, clipOf, contactSheet, type Picture, type SheetRow} from './report/pictures.js';

// Errors: one class per cause, each with the exit code of the command line.
export {
  ConfigError,
  ContractError,
  CorruptFileError,
  DeviceError,
  NonFiniteError,
  RlftError,
  ShapeError,
  TracedReadError,
  UnknownNameError,
  UnsupportedOpError,
} from './errors.js';
