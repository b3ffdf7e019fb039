/** An expression's value, from the scores of the rewards that it names: as plain numbers, and as part of a graph. */
import type * as tf from '@tensorflow/tfjs-core';
import {GROUP_NORMALISE, type Expression, type Term} from '../expression.js';
import {groupNormalise, groupNormaliseTensor} from './groupNormalise.js';
import {functions, operators, type Operand, type Operation} from './operations.js';

const operationOf = (name: string): Operation => (operators.get(name) ?? functions.get(name))!;

/**
 * The value for each video, reckoned in float64.
 *
 * @param scores `[B]` of each reward that the expression names.
 * @param groups the group of each video, for `groupNormalise`: usually its prompt's id.
 * @returns `[B]`; not finite where the expression is not, such as the logarithm of a negative score.
 */
export function evaluateExpression(
  {term}: Expression,
  scores: Readonly<Record<string, ArrayLike<number>>>,
  groups: readonly string[],
): Float32Array {
  const valueOf = (t: Term): ArrayLike<number> => {
    if (t.kind === 'number') return new Float64Array(groups.length).fill(t.value);
    if (t.kind === 'reward') return scores[t.name];
    const values = t.terms.map(valueOf);
    if (t.operation === GROUP_NORMALISE) return groupNormalise(values[0], groups);
    const {number} = operationOf(t.operation);
    return Float64Array.from(groups, (_, i) => number(...values.map((v) => v[i])));
  };
  return Float32Array.from(valueOf(term));
}

/**
 * The same inside a graph.
 *
 * @param scores `[B]` of each reward that the expression names.
 * @param means `[B, B]` from `groupMeans`; only `groupNormalise` needs it.
 * @returns `[B]`.
 */
export function traceExpression({term}: Expression, scores: Readonly<Record<string, tf.Tensor>>, means?: tf.Tensor): tf.Tensor {
  const valueOf = (t: Term): Operand => {
    if (t.kind === 'number') return t.value;
    if (t.kind === 'reward') return scores[t.name];
    const values = t.terms.map(valueOf);
    // What holds no reward is a number already, so that this is a tensor.
    if (t.operation === GROUP_NORMALISE) return groupNormaliseTensor(values[0] as tf.Tensor, means!);
    return operationOf(t.operation).tensor(...values);
  };
  return valueOf(term) as tf.Tensor;
}
