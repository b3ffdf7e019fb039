/** Which kinds of attention the studies compare, by the names of their tables. */
import type {RefineOptions} from '../transport/refineAttention.js';
import type {MatchingArm} from './scoreArms.js';

/** Solvers of a plan that moves less than all: the released code's exponent, and a mass that is one. */
export const partialSolvers = ['unbalanced', 'partial'] as const;
/** One of them. */
export type PartialSolver = (typeof partialSolvers)[number];

/** Masses below 1 that are tried; 1 is the balanced plan. */
export const masses = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95] as const;

/** The mass that the paper found best, and the weight of its constraints. */
export const BEST_MASS = 0.9;
/** See {@link BEST_MASS}. */
export const BEST_WEIGHT = 0.2;

/** Weights of the cost's terms of time and of place, by how tables call them. */
export const constraints = {
  none: {temporalWeight: 0, spatialWeight: 0},
  space: {temporalWeight: 0, spatialWeight: BEST_WEIGHT},
  time: {temporalWeight: BEST_WEIGHT, spatialWeight: 0},
  both: {temporalWeight: BEST_WEIGHT, spatialWeight: BEST_WEIGHT},
  'both .1': {temporalWeight: BEST_WEIGHT / 2, spatialWeight: BEST_WEIGHT / 2},
} as const;
/** One of them. */
export type Constraint = keyof typeof constraints;

/** The encoder's own attention. */
export const VANILLA = 'vanilla';

/** Name of an arm. */
export const armName = (solver: RefineOptions['solver'], mass: number, constraint: Constraint): string =>
  solver === 'balanced' ? `balanced, ${constraint}` : `${solver} ${mass}, ${constraint}`;

/** A refined arm. */
export const refinedArm = (
  solver: NonNullable<RefineOptions['solver']>,
  mass: number,
  constraint: Constraint,
  epsilon: number,
): MatchingArm => ({
  name: armName(solver, mass, constraint),
  // A balanced plan has no mass, and says so.
  refine: {solver, ...(solver !== 'balanced' && {mass}), epsilon, ...constraints[constraint]},
});
