/** The rounds of entropic transport in the graph: a fixed number, unrolled, for any batch of costs. */
import * as tf from '@tensorflow/tfjs-core';
import {ConfigError} from '../errors.js';
import {detach} from '../numeric/detach.js';
import {scalingOf, type EntropicOptions} from './formulation.js';
import {nextLevelInGraph} from './level.js';

/** The logarithm of the weight 0: exp of it is 0, and no sum with a cost changes it. */
const NEVER = -1e9;

/** Smallest positive number that all devices keep: what sums that may be 0 are raised to. */
export const TINY = 1e-37;

/** Costs up to this many ε apart are solved by kernels: above, products of their exponentials would leave float32. */
export const KERNEL_RANGE = 40;

/** Options of the rounds. */
export interface RoundsOptions extends EntropicOptions {
  /** a ≥ 0: `[…, N]`, broadcast over the leading axes of the cost; 0 = padding. Default 1/N. */
  readonly rowWeights?: tf.Tensor | undefined;
  /** b ≥ 0: `[…, M]`. Default 1/M. */
  readonly columnWeights?: tf.Tensor | undefined;
  /** Rounds: all are computed. */
  readonly iterations: number;
  /** If given, the rest of the rounds leave a problem as it is once no ln u, ln v or ln s changed by as much: as the array solvers. */
  readonly tolerance?: number | undefined;
  /**
   * The largest |cost| that can come. If it is at most 40·ε, the rounds are products with the kernel exp(−C/ε), several times faster
   * than sums of exponentials; default: unknown.
   */
  readonly largestCost?: number | undefined;
}

/** ln u, ln v and ln s: `[…, 1, N]`, `[…, 1, M]` and `[…, 1, 1]`, and what the plan is made of. */
export interface Scalings {
  readonly logU: tf.Tensor;
  readonly logV: tf.Tensor;
  readonly level: tf.Tensor | undefined;
  /** −C/ε, plus ln a + ln b if the entropy is relative: `[…, N, M]`. */
  readonly logKernel: tf.Tensor;
}

/** Uniform weights over what a mask `[…, N]` leaves: 1/n where it is 1; all 0 where it is 0 everywhere. */
export const uniformOver = (mask: tf.Tensor): tf.Tensor => tf.div(mask, tf.maximum(tf.sum(mask, -1, true), 1));

/** ln of weights `[…, n]` as `[…, 1, n]`, `padding` where they are 0; default uniform. */
function logWeights(weights: tf.Tensor | undefined, n: number, padding: number): tf.Tensor {
  if (weights === undefined) return tf.fill([1, n], -Math.log(n));
  const w = tf.expandDims(weights, -2);
  return tf.where(tf.greater(w, 0), tf.log(tf.maximum(w, TINY)), tf.fill(w.shape, padding));
}

/** `[…, 1, n]` as `[…, n, 1]`. */
export const asColumn = (row: tf.Tensor): tf.Tensor => tf.reshape(row, [...row.shape.slice(0, -2), row.shape.at(-1)!, 1]);

/** ln Σ exp along an axis, kept. */
function logSumExp(x: tf.Tensor, axis: -1 | -2): tf.Tensor {
  const largest = detach(tf.max(x, axis, true));
  return tf.add(tf.log(tf.sum(tf.exp(tf.sub(x, largest)), axis, true)), largest);
}

/** Runs the rounds. */
export function scalingsOf(cost: tf.Tensor, options: RoundsOptions): Scalings {
  const {epsilon, entropy = 'plain', iterations, tolerance, largestCost = Infinity} = options;
  const {exponent, ceiling, mass} = scalingOf(options);
  if (!(Number.isInteger(iterations) && iterations >= 1)) {
    throw new ConfigError(`transport: iterations must be an integer of at least 1; got ${iterations}.`);
  }
  const [n, m] = cost.shape.slice(-2);
  const lead = cost.shape.slice(0, -2);
  const [logA, logB] = [logWeights(options.rowWeights, n, NEVER), logWeights(options.columnWeights, m, NEVER)];
  let logKernel = tf.mul(cost, -1 / epsilon);
  if (entropy === 'relative') {
    const [a, b] = [logWeights(options.rowWeights, n, 0), logWeights(options.columnWeights, m, 0)];
    logKernel = tf.add(logKernel, tf.add(asColumn(a), b));
  }
  const kernel = largestCost <= KERNEL_RANGE * epsilon ? tf.exp(logKernel) : undefined;

  // Vectors lie along rows, which is how the runtime multiplies them with matrices fastest; and its maximum and minimum with a
  // scalar are slow, so sums that may be 0 are added to and ceilings are clipped to.
  const product = (logs: tf.Tensor, transposed: boolean): tf.Tensor =>
    tf.log(tf.add(tf.matMul(tf.exp(logs), kernel!, false, transposed), TINY));
  /** ln K·v as `[…, 1, N]`. */
  const rowSums = (logV: tf.Tensor): tf.Tensor => {
    if (kernel) return product(logV, true);
    const sums = logSumExp(tf.add(logKernel, logV), -1);
    return tf.reshape(sums, [...sums.shape.slice(0, -2), 1, n]);
  };
  /** ln Kᵀ·u as `[…, 1, M]`. */
  const columnSums = (logU: tf.Tensor): tf.Tensor => {
    if (kernel) return product(logU, false);
    const sums = logSumExp(tf.add(logKernel, asColumn(logU)), -2);
    // Of a problem that is padding throughout, the sums are exp(NEVER): the plan must still come out as 0.
    return options.rowWeights ? tf.clipByValue(sums, NEVER / 2, -NEVER) : sums;
  };
  const rescaled = (logWeight: tf.Tensor, logSum: tf.Tensor, level: tf.Tensor | undefined): tf.Tensor => {
    const free = tf.mul(tf.sub(logWeight, level ? tf.add(logSum, level) : logSum), exponent);
    return ceiling === Infinity ? free : tf.clipByValue(free, 2 * NEVER, ceiling);
  };
  const start = (logWeight: tf.Tensor, size: number): tf.Tensor =>
    tf.broadcastTo(tf.where(tf.less(logWeight, NEVER / 2), logWeight, tf.zerosLike(logWeight)), [...lead, 1, size]);
  let logU = start(logA, n);
  let logV = start(logB, m);
  // So that the first plan, with u = v = 1, has the mass that is asked for.
  const inAll = (): tf.Tensor => tf.sum(tf.exp(tf.add(columnSums(logU), logV)), -1, true);
  let level = mass === undefined ? undefined : tf.sub(Math.log(mass), tf.log(tf.add(inAll(), TINY)));
  const [a, b] = [tf.exp(logA), tf.exp(logB)];
  let live: tf.Tensor | undefined;
  for (let round = 0; round < iterations; round++) {
    const changes: tf.Tensor[] = [];
    /** The new value, where its problem is still under way. */
    const step = (before: tf.Tensor, next: tf.Tensor): tf.Tensor => {
      if (tolerance === undefined) return next;
      const difference = tf.sub(next, before);
      changes.push(tf.max(tf.abs(difference), -1, true));
      return live ? tf.add(before, tf.mul(live, difference)) : next;
    };
    const moveLevel = (sums: tf.Tensor, weights: tf.Tensor): void => {
      if (level && mass !== undefined) level = step(level, nextLevelInGraph(level, sums, weights, mass));
    };
    const inRows = rowSums(logV);
    moveLevel(inRows, a);
    const nextU = step(logU, rescaled(logA, inRows, level));
    const inColumns = columnSums(nextU);
    moveLevel(inColumns, b);
    const nextV = step(logV, rescaled(logB, inColumns, level));
    [logU, logV] = [nextU, nextV];
    if (tolerance !== undefined) {
      const moving = tf.cast(
        tf.greaterEqual(
          changes.reduce((a, b) => tf.maximum(a, b)),
          tolerance,
        ),
        'float32',
      );
      live = detach(live ? tf.mul(live, moving) : moving);
    }
  }
  return {logU, logV, level, logKernel};
}

/** P = exp(ln u + ln K + ln v + ln s). */
export function planOf({logU, logV, level, logKernel}: Scalings): tf.Tensor {
  const u = level ? tf.add(logU, level) : logU;
  return tf.exp(tf.add(tf.add(logKernel, asColumn(u)), logV));
}
