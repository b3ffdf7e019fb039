/** Cross-attention refined by optimal transport: PISCES' semantic reward in the place of an encoder's own attention. */
import type * as tf from '@tensorflow/tfjs-core';
import {expandDims} from '@tensorflow/tfjs-core';
import type {CrossAttention, RefineAttention, TokenGeometry} from '../encoder.js';
import {ConfigError} from '../errors.js';
import {detach} from '../numeric/detach.js';
import {spatioTemporalCost, type SpatioTemporalOptions} from './costs.js';
import {penaltyOfMass, type TransportProblem} from './formulation.js';
import {fuseAttention, rowNormalised, type LogFloor} from './fuseAttention.js';
import {uniformOver} from './scalingRounds.js';
import {transportPlan} from './transportPlan.js';

/** Options of {@link refineByTransport}. */
export interface RefineOptions extends SpatioTemporalOptions {
  /**
   * `unbalanced` (default): what PISCES' formulas and code solve, with exponent m. `partial`: exactly mass m is moved, which is
   * what the paper says. `balanced`: all is moved; `mass` has no effect.
   */
  readonly solver?: 'unbalanced' | 'partial' | 'balanced';
  /** m in (0, 1]. Default .9. */
  readonly mass?: number;
  /** ε, on costs scaled to [0, 1]. Default .05. */
  readonly epsilon?: number;
  /**
   * Rounds. Default 30 (unbalanced) or 40 (balanced, partial), which bring the rows of 16 × 257 plans to within 3e-5 of the
   * solution's at the default ε and mass; a smaller ε needs more.
   */
  readonly iterations?: number;
  /** See `transportPlan`; the released code has 200 rounds and tolerance 1e-3. Default: all rounds. */
  readonly tolerance?: number;
  /** See `transportPlan`. Default false: the plan is a constant, and gradients flow through the attention alone. */
  readonly throughPlan?: false | 'unrolled' | 'implicit';
  /** See `fuseAttention`. Default `add`, the paper's; the released code's is `max`. */
  readonly floor?: LogFloor;
}

/** What the released code does, where that differs from the defaults. */
export const RELEASED_REFINEMENT: RefineOptions = {iterations: 200, tolerance: 1e-3, floor: 'max'};

const ROUNDS = {unbalanced: 30, balanced: 40, partial: 40};

const problemOf = (solver: keyof typeof ROUNDS, mass: number, epsilon: number): TransportProblem => {
  switch (solver) {
    case 'balanced':
      return {problem: 'balanced'};
    case 'partial':
      return {problem: 'partial', mass};
    case 'unbalanced':
      return {problem: 'unbalanced', penalty: penaltyOfMass(mass, epsilon)};
  }
};

/**
 * The prior that a layer's attention is fused with: the plan that moves words to places in the video, rows normalised.
 *
 * @returns `[B, heads, N, M]`; rows that are no words are 0.
 */
export function transportPrior(attention: CrossAttention, geometry: TokenGeometry, options: RefineOptions = {}): tf.Tensor {
  const {solver = 'unbalanced', mass = 0.9, epsilon = 0.05, tolerance, throughPlan = false} = options;
  const {iterations = ROUNDS[solver]} = options;
  const {weights, queries, keys, text} = attention;
  // The plan is detached in any case; this spares the graph a backward of zeros.
  const kept = (x: tf.Tensor): tf.Tensor => (throughPlan === false ? detach(x) : x);
  const cost = spatioTemporalCost(
    {text: kept(queries), video: kept(keys), weights: kept(weights), geometry, rows: text.lexical},
    options,
  );
  const plan = transportPlan(cost, {
    transport: problemOf(solver, mass, epsilon),
    epsilon,
    rowWeights: expandDims(uniformOver(text.lexical), 1),
    iterations,
    tolerance,
    largestCost: 1,
    throughPlan,
  });
  return rowNormalised(plan);
}

/**
 * Replaces a layer's attention by its fusion with a transport plan, for words; padding and CLS keep theirs. Works on any batch, in
 * any encoder: give it to `match`.
 *
 *     encoder.match(params, text, video, refineByTransport(encoder.geometry, {mass: 0.9}))
 *
 * @param geometry of the encoder's video tokens.
 * @source PISCES, arXiv:2602.01624, §3.3; with {@link RELEASED_REFINEMENT} as its released code.
 * @throws ConfigError for a mass outside (0, 1].
 */
export function refineByTransport(geometry: TokenGeometry, options: RefineOptions = {}): RefineAttention {
  const {mass = 0.9, floor = 'add'} = options;
  if (!(mass > 0 && mass <= 1)) throw new ConfigError(`refineByTransport: mass must be in (0, 1]; got ${mass}.`);
  return (attention) =>
    fuseAttention(attention.weights, transportPrior(attention, geometry, options), {
      rows: expandDims(attention.text.lexical, 1),
      floor,
    });
}
