/** The Sinkhorn divergence of two sets of vectors: entropic transport without its bias. */
import * as tf from '@tensorflow/tfjs-core';
import {ShapeError} from '../errors.js';
import {detach} from '../numeric/detach.js';
import {sizeOfRows, type Rows} from '../numeric/moments.js';
import {total} from './batch.js';
import {squaredEuclideanMatrix} from './costMatrices.js';
import {squaredEuclideanCost} from './costs.js';
import {logSinkhorn} from './logSinkhorn.js';
import {planOf, scalingsOf} from './scalingRounds.js';

/** Options of {@link sinkhornDivergence}. */
export interface DivergenceOptions {
  /** ε > 0, in squared units of the vectors. */
  readonly epsilon: number;
  /** Weights of the vectors, of total 1; default equal. */
  readonly xWeights?: ArrayLike<number>;
  readonly yWeights?: ArrayLike<number>;
  /** Rounds at most. Default 2000. */
  readonly iterations?: number;
  /** As the solvers'. Default 1e-6. */
  readonly tolerance?: number;
}

/** The divergence, and whether it can be relied on. */
export interface Divergence {
  /** In squared units of the vectors; ≥ 0 up to the tolerance, and 0 if the sets are the same. */
  readonly value: number;
  /** Whether all three problems stopped by the tolerance. */
  readonly converged: boolean;
}

/**
 * S(x, y) = OT_ε(x, y) − ½·OT_ε(x, x) − ½·OT_ε(y, y), where OT_ε = min ⟨|x_i − y_j|², P⟩ + ε·KL(P | a⊗b) over balanced plans.
 *
 * It goes from W₂² (ε → 0) to the squared distance of the means (ε → ∞), and is positive for sets that differ, which OT_ε by itself
 * is not.
 *
 * @param x `[n, D]`. @param y `[m, D]`. Time is that of three problems in the log domain: n, m up to about a thousand.
 * @source Feydy et al. 2019, arXiv:1810.08278, eq. 3 and theorem 1.
 * @throws ShapeError if the widths differ; ConfigError for ε or weights out of range.
 */
export function sinkhornDivergence(x: Rows, y: Rows, options: DivergenceOptions): Divergence {
  const {epsilon, xWeights, yWeights, iterations = 2000, tolerance = 1e-6} = options;
  const cost = (p: Rows, q: Rows, a?: ArrayLike<number>, b?: ArrayLike<number>): Divergence => {
    const [rows, columns] = [p, q].map((r) => sizeOfRows('sinkhornDivergence', r).count);
    const {rowPotentials, columnPotentials, converged} = logSinkhorn(
      {
        costs: squaredEuclideanMatrix(p, q),
        count: 1,
        rows,
        columns,
        ...(a && {rowWeights: a}),
        ...(b && {columnWeights: b}),
      },
      {transport: {problem: 'balanced'}, epsilon, entropy: 'relative', iterations, tolerance},
    );
    // The dual value, in which points without weight count 0.
    const mean = (potentials: Float64Array, weights: ArrayLike<number> | undefined): number =>
      total(
        potentials.map((f, i) => (f === -Infinity ? 0 : f * (weights?.[i] ?? 1 / potentials.length))),
        0,
        potentials.length,
      );
    return {value: mean(rowPotentials, a) + mean(columnPotentials, b), converged: converged[0] === 1};
  };
  const [xy, xx, yy] = [cost(x, y, xWeights, yWeights), cost(x, x, xWeights, xWeights), cost(y, y, yWeights, yWeights)];
  return {value: xy.value - (xx.value + yy.value) / 2, converged: xy.converged && xx.converged && yy.converged};
}

/** Options of {@link sinkhornDivergenceLoss}. */
export interface DivergenceLossOptions {
  /** ε > 0, in squared units of the vectors. */
  readonly epsilon: number;
  /** Rounds. Default 50. */
  readonly iterations?: number;
}

/**
 * The Sinkhorn divergence in the graph, to be minimised. At the solution its gradient is that of the cost under plans held fixed
 * (Danskin's theorem), so none flows through the rounds.
 *
 * @param x `[…, N, D]`. @param y `[…, M, D]`: equal weights.
 * @returns `[…]`.
 * @source Feydy et al. 2019, arXiv:1810.08278.
 * @throws ShapeError if the widths differ.
 */
export function sinkhornDivergenceLoss(x: tf.Tensor, y: tf.Tensor, {epsilon, iterations = 50}: DivergenceLossOptions): tf.Tensor {
  if (x.shape.at(-1) !== y.shape.at(-1)) {
    throw new ShapeError(
      `sinkhornDivergenceLoss: wanted vectors of one width; got [${x.shape.join(', ')}] and [${y.shape.join(', ')}].`,
    );
  }
  const cost = (p: tf.Tensor, q: tf.Tensor): tf.Tensor => {
    const distances = squaredEuclideanCost(p, q);
    const scalings = scalingsOf(detach(distances), {
      transport: {problem: 'balanced'},
      epsilon,
      entropy: 'relative',
      iterations,
    });
    const dual = tf.mul(tf.add(tf.mean(scalings.logU, [-2, -1]), tf.mean(scalings.logV, [-2, -1])), epsilon);
    const moved = tf.sum(tf.mul(detach(planOf(scalings)), distances), [-2, -1]);
    return tf.add(detach(tf.sub(dual, moved)), moved);
  };
  return tf.sub(cost(x, y), tf.mul(tf.add(cost(x, x), cost(y, y)), 0.5));
}
