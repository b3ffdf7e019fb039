/**
 * The gradient of a transport plan by the implicit function theorem: at the solution the rounds are a fixed point, so a change of
 * the cost moves the plan by the solution of a linear system, which the same rounds, linearised, solve.
 */
import * as tf from '@tensorflow/tfjs-core';
import {scalingOf} from './formulation.js';
import {asColumn, planOf, scalingsOf, TINY, type RoundsOptions} from './scalingRounds.js';

/**
 * The plan of the rounds, whose gradient does not go back through the rounds.
 *
 * With row sums r, column sums c, w = (G∘P)·1 for the incoming gradient G, and α, β = τ where a scaling is free and 0 where it is at
 * its ceiling, the adjoint system is
 *
 *   λ + P·(β∘μ/c) + ν·r/m = w_r,   μ + Pᵀ·(α∘λ/r) + ν·c/m = w_c,   ν + Σα∘λ + Σβ∘μ = Σw,
 *
 * (without ν unless the total is prescribed), and dℓ/dC = −P∘(G − α∘λ/r − β∘μ/c − ν/m)/ε. It is solved block by block as often
 * as there are rounds; its rate is that of the rounds.
 *
 * @source Luise et al. 2018, arXiv:1805.11897 (balanced); Cuturi et al. 2022, OTT, arXiv:2201.12324, §3.
 */
export function planByFixedPoint(cost: tf.Tensor, options: RoundsOptions): tf.Tensor {
  const {epsilon, iterations} = options;
  const {exponent, ceiling, mass} = scalingOf(options);
  const solve = tf.customGrad<tf.Tensor>((...args: unknown[]) => {
    const [c, save] = args as [tf.Tensor, tf.GradSaveFunc];
    const scalings = scalingsOf(c, options);
    const plan = planOf(scalings);
    const free = (logs: tf.Tensor): tf.Tensor =>
      ceiling === Infinity ? tf.scalar(exponent) : tf.mul(tf.cast(tf.less(logs, ceiling), 'float32'), exponent);
    save([plan, free(scalings.logU), free(scalings.logV)]);
    return {value: plan, gradFunc};
  });

  const gradFunc = (dPlan: tf.Tensor, [plan, alpha, beta]: tf.Tensor[]): tf.Tensor => {
    const alongRow = (column: tf.Tensor): tf.Tensor =>
      tf.reshape(column, [...column.shape.slice(0, -2), 1, column.shape.at(-2)!]);
    const weighted = tf.mul(dPlan, plan);
    const [wRows, wColumns] = [alongRow(tf.sum(weighted, -1, true)), tf.sum(weighted, -2, true)];
    const wTotal = tf.sum(wRows, -1, true);
    const [rowSums, columnSums] = [alongRow(tf.sum(plan, -1, true)), tf.sum(plan, -2, true)];
    const [perRow, perColumn] = [tf.div(alpha, tf.add(rowSums, TINY)), tf.div(beta, tf.add(columnSums, TINY))];
    /** α∘λ/r and β∘μ/c, and ν/m. */
    let [a, b] = [tf.zerosLike(wRows), tf.zerosLike(wColumns)];
    let nu: tf.Tensor | undefined;
    /**
     * ν/m that solves its equation together with those of one side, q being what that side's are without it; where that side's mass
     * is all bound, they do not determine it, and it stays.
     */
    const levelOf = (
      before: tf.Tensor | undefined,
      q: tf.Tensor,
      per: tf.Tensor,
      sums: tf.Tensor,
      others: tf.Tensor,
    ): tf.Tensor => {
      const sum = (x: tf.Tensor): tf.Tensor => tf.sum(x, -1, true);
      const open = tf.sub(mass!, sum(tf.mul(tf.mul(per, sums), sums)));
      const determined = tf.greater(open, 1e-5);
      const solved = tf.sub(tf.sub(wTotal, sum(others)), sum(tf.mul(tf.mul(per, q), sums)));
      return tf.where(determined, tf.div(solved, tf.where(determined, open, tf.onesLike(open))), before ?? tf.zerosLike(open));
    };
    for (let round = 0; round < iterations; round++) {
      const [q, r] = [tf.sub(wRows, tf.matMul(b, plan, false, true)), tf.mul(b, columnSums)];
      if (mass !== undefined) nu = levelOf(nu, q, perRow, rowSums, r);
      a = tf.mul(perRow, nu ? tf.sub(q, tf.mul(nu, rowSums)) : q);
      const [p, t] = [tf.sub(wColumns, tf.matMul(a, plan)), tf.mul(a, rowSums)];
      if (mass !== undefined) nu = levelOf(nu, p, perColumn, columnSums, t);
      b = tf.mul(perColumn, nu ? tf.sub(p, tf.mul(nu, columnSums)) : p);
    }
    const shift = tf.add(asColumn(nu ? tf.add(a, nu) : a), b);
    return tf.mul(tf.mul(plan, tf.sub(dPlan, shift)), -1 / epsilon);
  };
  return solve(cost);
}
