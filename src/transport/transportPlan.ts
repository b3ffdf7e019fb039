/** Entropic transport plans in the graph. */
import type * as tf from '@tensorflow/tfjs-core';
import {detach} from '../numeric/detach.js';
import {planByFixedPoint} from './implicitGradient.js';
import {planOf, scalingsOf, type RoundsOptions} from './scalingRounds.js';

/** Options of {@link transportPlan}. */
export interface TransportPlanOptions extends RoundsOptions {
  /**
   * The gradient that flows from the plan into the cost: none (`false`, default), through every round (`unrolled`), or of the
   * solution itself by the implicit function theorem (`implicit`: less memory; right if the rounds have converged).
   */
  readonly throughPlan?: false | 'unrolled' | 'implicit' | undefined;
}

/**
 * Entropic transport plans for a batch of costs, in the graph.
 *
 * A round more brings a plan nearer to its solution, so without a tolerance nothing is lost but time; with one, problems stop where
 * the array solvers stop them.
 *
 * @param cost `[…, N, M]`, finite.
 * @returns plans `[…, N, M]`; 0 where a weight is 0.
 * @throws ConfigError for ε, penalty, mass or iterations out of range.
 */
export function transportPlan(cost: tf.Tensor, options: TransportPlanOptions): tf.Tensor {
  if (options.throughPlan === 'implicit') return planByFixedPoint(cost, options);
  if (options.throughPlan === 'unrolled') return planOf(scalingsOf(cost, options));
  return detach(planOf(scalingsOf(detach(cost), options)));
}
