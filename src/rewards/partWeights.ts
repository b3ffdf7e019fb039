/** What an expression that is a weighted sum of rewards weighs each of them with. */
import type {Expression, Term} from '../expression.js';

/** Weights by name; the constant is the part without a reward. */
interface Linear {
  readonly constant: number;
  readonly weights: ReadonlyMap<string, number>;
}

const scaled = ({constant, weights}: Linear, by: number): Linear => ({
  constant: constant * by,
  weights: new Map([...weights].map(([name, weight]) => [name, weight * by])),
});

const added = (one: Linear, two: Linear): Linear => {
  const weights = new Map(one.weights);
  for (const [name, weight] of two.weights) weights.set(name, (weights.get(name) ?? 0) + weight);
  return {constant: one.constant + two.constant, weights};
};

/** A term as a weighted sum, or undefined if it is none. */
function linear(term: Term): Linear | undefined {
  if (term.kind === 'number') return {constant: term.value, weights: new Map()};
  if (term.kind === 'reward') return {constant: 0, weights: new Map([[term.name, 1]])};
  const parts = term.terms.map(linear);
  const [one, two] = parts;
  if (one === undefined || parts.includes(undefined)) return undefined;
  switch (term.operation) {
    case 'unaryMinus':
      return scaled(one, -1);
    case 'add':
      return added(one, two!);
    case 'subtract':
      return added(one, scaled(two!, -1));
    case 'multiply':
      return one.weights.size === 0
        ? scaled(two!, one.constant)
        : two!.weights.size === 0
          ? scaled(one, two!.constant)
          : undefined;
    case 'divide':
      return two!.weights.size === 0 ? scaled(one, 1 / two!.constant) : undefined;
    default:
      return undefined;
  }
}

/**
 * The weight of each reward in an expression.
 *
 * @returns weights in the order of the expression's names; undefined if it is not a weighted sum (constants may be added: they
 * tell no sample from another).
 * @example partWeights(parseExpression('0.7*quality - judge/2', known)) // {quality: 0.7, judge: -0.5}
 */
export function partWeights({names, term}: Expression): Readonly<Record<string, number>> | undefined {
  const found = linear(term);
  return found && Object.fromEntries(names.map((name) => [name, found.weights.get(name)!]));
}
