/**
 * The entropic map: a point goes to the mean of the videos that an entropic plan would give it. It is the plan's barycentric
 * projection, carried on to points that were not there when the plan was made.
 *
 * @source Pooladian et al. 2021, "Entropic estimation of optimal transport maps", arXiv:2109.12004.
 */
import * as tf from '@tensorflow/tfjs-core';
import {ShapeError} from '../../errors.js';
import {moments, sizeOfRows, type Rows} from '../../numeric/moments.js';
import {trace} from '../../numeric/squareMatrix.js';
import {float32, scalar} from '../../tensor/ndarray.js';
import type {Branch, Params} from '../../tensor/tree.js';
import {squaredEuclideanCost} from '../costs.js';
import {sinkhorn} from '../sinkhorn.js';

/** How the plan is made. */
export interface EntropicMapOptions {
  /** ε as a share of the mean cost, once both sets are centred; > 0. Default .1. */
  readonly relativeEpsilon?: number;
  /** Rounds of Sinkhorn's iteration at most. Default 500. */
  readonly iterations?: number;
}

/** How the plan came out. */
export interface EntropicFit {
  /** Parameters of {@link entropicMap}. */
  readonly params: Params;
  /** ε in squared units of the vectors. */
  readonly epsilon: number;
  readonly iterations: number;
  readonly converged: boolean;
  /** Σ|row sum − 1/n| of the plan. */
  readonly marginalError: number;
}

/**
 * T(y) = Σ_j w_j·x_j,   w = softmax_j ((g_j − |y − x_j − (μ_y − μ_x)|²)/ε)
 *
 * @param params `targets [m, E]` x, `potentials [m]` g, `shift [E]` μ_y − μ_x, `epsilon []`.
 * @param y `[B, E]`.
 * @returns `[B, E]`, in the convex hull of the targets.
 */
export function entropicMap(params: Branch<tf.Tensor>, y: tf.Tensor): tf.Tensor {
  const {targets, potentials, shift, epsilon} = params as Record<string, tf.Tensor>;
  const costs = squaredEuclideanCost(tf.sub(y, shift), targets);
  return tf.matMul(tf.softmax(tf.div(tf.sub(potentials, costs), epsilon)), targets);
}

/**
 * Solves balanced entropic transport between the two sets, with the squared distance as cost, and keeps the videos' potentials.
 * Both sets are centred first, which changes no optimal plan and makes ε a matter of their spread alone.
 *
 * @param text `[n, E]`, @param video `[m, E]`: no pairs are used. Memory is about 12·n·m bytes.
 * Where a cost exceeds 40·ε, the plan is solved in the log domain, about two hundred times slower: at ε = .1, few clouds do.
 * @throws ShapeError if the widths differ, or a set has fewer than two vectors; ConfigError if an option is not positive.
 */
export function fitEntropicMap(text: Rows, video: Rows, options: EntropicMapOptions = {}): EntropicFit {
  const {relativeEpsilon = 0.1, iterations = 500} = options;
  const {count: n, width} = sizeOfRows('entropic map', text);
  const {count: m, width: videoWidth} = sizeOfRows('entropic map', video);
  if (width !== videoWidth)
    throw new ShapeError(`entropic map: wanted texts and videos of one width; got ${width} and ${videoWidth}.`);
  const [y, x] = [moments(text), moments(video)];
  const spread = trace(y.covariance, width) + trace(x.covariance, width);
  const epsilon = relativeEpsilon * spread;
  const costs = new Float32Array(n * m);
  let least = Infinity;
  for (let i = 0, at = 0; i < n; i++) {
    for (let j = 0; j < m; j++) {
      let sum = 0;
      for (let d = 0; d < width; d++) {
        sum += (text.data[i * width + d] - y.mean[d] - video.data[j * width + d] + x.mean[d]) ** 2;
      }
      costs[at++] = sum;
      least = Math.min(least, sum);
    }
  }
  // A constant changes no plan, and small costs stay in the fast range of single precision.
  for (let at = 0; at < costs.length; at++) costs[at] -= least;
  const plan = sinkhorn(
    {costs, count: 1, rows: n, columns: m},
    {transport: {problem: 'balanced'}, epsilon, iterations, tolerance: 1e-4},
  );
  return {
    params: {
      targets: float32(video.data, [m, width]),
      potentials: float32(plan.columnPotentials.subarray(0, m)),
      shift: float32(y.mean.map((v, d) => v - x.mean[d])),
      epsilon: scalar(epsilon),
    },
    epsilon,
    iterations: plan.iterations[0],
    converged: plan.converged[0] === 1,
    marginalError: plan.marginalError[0],
  };
}
