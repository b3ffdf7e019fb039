/** What the tests of transport plans share. */
import type {TransportProblem} from '../../src/transport/formulation.js';

/** Settings of the `plan` cases of pot.json. */
export interface PlanParams {
  epsilon: number;
  transported_mass: number;
  max_iterations: number;
  tolerance: number;
  iterations_used: number;
}

/** One problem of each kind. */
export const problems: readonly TransportProblem[] = [
  {problem: 'balanced'},
  {problem: 'unbalanced', penalty: 0.45},
  {problem: 'partial', mass: 0.7},
];
