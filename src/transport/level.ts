/**
 * The factor s that makes a partial plan move mass m, given the sums w = K·v of one side (or Kᵀ·u of the other).
 *
 * Scaled to their best, rows take min(s·w_i, a_i): those whose s·w_i exceeds a_i are full, the others have u_i = 1. The total is
 * concave in s, so a step of Newton's method, s ← s·(m − Σ_full a)/Σ_rest s·w, comes from below and does not overshoot. Where s is so
 * large that the full rows alone exceed m, s ← s·m/total comes down and does not overshoot either. A step before each half round
 * finds s along with u and with v; turns at s, u and v need several times as many rounds.
 */
import * as tf from '@tensorflow/tfjs-core';

/** Shares of m that count as rounding: of what is missing, and of what the total may be off. */
interface Slack {
  readonly missing: number;
  readonly off: number;
}
const DOUBLE: Slack = {missing: 1e-12, off: 1e-10};
/** For single precision. */
export const SINGLE: Slack = {missing: 1e-6, off: 1e-5};

/**
 * ln s after a step.
 *
 * @param level ln s before it. @param logSums ln w. @param logWeights ln a.
 */
export function nextLevel(level: number, logSums: Float64Array, logWeights: Float64Array, mass: number): number {
  let [full, rest] = [0, 0];
  for (let i = 0; i < logSums.length; i++) {
    if (logSums[i] + level >= logWeights[i]) full += Math.exp(logWeights[i]);
    else rest += Math.exp(logSums[i] + level);
  }
  const missing = mass - full;
  if (missing > DOUBLE.missing * mass && rest > 0) return level + Math.log(missing / rest);
  // All are full, and that is m: any larger s does.
  if (Math.abs(missing - rest) <= DOUBLE.off * mass) return level;
  return level + Math.log(mass / (full + rest));
}

/**
 * ln s after a step, in the graph.
 *
 * @param level `[…, 1, 1]`. @param logSums ln w `[…, 1, N]`. @param weights a `[…, 1, N]`.
 */
export function nextLevelInGraph(level: tf.Tensor, logSums: tf.Tensor, weights: tf.Tensor, mass: number): tf.Tensor {
  // Beyond 80 a row is full, whatever it is.
  const taken = tf.exp(tf.clipByValue(tf.add(logSums, level), -1e38, 80));
  const isFull = tf.cast(tf.greaterEqual(taken, weights), 'float32');
  const sum = (x: tf.Tensor): tf.Tensor => tf.sum(x, -1, true);
  const [full, rest] = [sum(tf.mul(isFull, weights)), sum(tf.mul(tf.sub(1, isFull), taken))];
  const missing = tf.sub(mass, full);
  const below = tf.logicalAnd(tf.greater(missing, SINGLE.missing * mass), tf.greater(rest, 0));
  const above = tf.logicalAnd(tf.logicalNot(below), tf.greater(tf.abs(tf.sub(missing, rest)), SINGLE.off * mass));
  // A logarithm that is not chosen must be finite too, or its gradient would not be.
  const logOf = (chosen: tf.Tensor, x: tf.Tensor): tf.Tensor => tf.log(tf.where(chosen, x, tf.onesLike(x)));
  const up = tf.sub(logOf(below, missing), logOf(below, rest));
  const down = logOf(above, tf.div(tf.add(tf.add(full, rest), 1e-37), mass));
  return tf.add(level, tf.sub(up, down));
}
