/** The reference solver against the released code and against POT, both in double precision. */
import {expect} from 'chai';
import {logSinkhorn} from '../../src/transport/logSinkhorn.js';
import {total, type SinkhornOptions, type TransportPlans} from '../../src/transport/batch.js';
import {penaltyOfMass, type TransportProblem} from '../../src/transport/formulation.js';
import {cases, expectOutput, numbers, type Case} from '../support/golden.js';
import {type PlanParams} from '../support/plans.js';

interface LibraryParams {
  epsilon: number;
  reg_m: number;
  reg_type: 'entropy' | 'kl';
  mass: number;
}

const solve = ({inputs}: Case<unknown>, options: SinkhornOptions): TransportPlans<Float64Array> => {
  const [rows, columns] = inputs['cost'].shape;
  const [rowWeights, columnWeights] = ['a', 'b'].map((name) => (name in inputs ? numbers(inputs[name]) : undefined));
  return logSinkhorn(
    {
      costs: Float64Array.from(numbers(inputs['cost'])),
      count: 1,
      rows,
      columns,
      ...(rowWeights && {rowWeights}),
      ...(columnWeights && {columnWeights}),
    },
    options,
  );
};

describe('transport: Sinkhorn in the log domain', () => {
  for (const c of cases<PlanParams>('pot.json', 'plan')) {
    it(`is the released iteration: ${c.name}`, () => {
      const {epsilon, transported_mass, max_iterations, tolerance, iterations_used} = c.params;
      const {plan, mass, iterations, converged} = solve(c, {
        transport: {problem: 'unbalanced', penalty: penaltyOfMass(transported_mass, epsilon)},
        epsilon,
        iterations: max_iterations,
        tolerance,
      });
      expectOutput(c, 'plan', plan);
      expectOutput(c, 'plan_mass', mass);
      if ('rows_normalised' in c.outputs) {
        const columns = c.inputs['cost'].shape[1];
        const sumOf = (row: number): number => total(plan, row * columns, columns);
        const rows = plan.map((p, i) => p / sumOf(Math.floor(i / columns)));
        expectOutput(c, 'rows_normalised', rows);
      }
      expect(iterations[0]).to.equal(iterations_used);
      expect(converged[0]).to.equal(iterations_used < max_iterations ? 1 : 0);
    });
  }

  for (const c of cases<LibraryParams>('pot.json', 'lib')) {
    const [, kind, type] = c.name.split('/');
    const problem: TransportProblem | undefined = {
      balanced: {problem: 'balanced' as const},
      unbalanced: {problem: 'unbalanced' as const, penalty: c.params.reg_m},
      'partial-entropic': {problem: 'partial' as const, mass: c.params.mass},
    }[kind];
    if (!problem) continue;
    it(`is POT's solution: ${c.name}`, () => {
      const {plan, mass, marginalError, converged} = solve(c, {
        transport: problem,
        epsilon: c.params.epsilon,
        entropy: type === 'kl' ? 'relative' : 'plain',
        iterations: 20_000,
        tolerance: 1e-12,
      });
      expect(converged[0]).to.equal(1);
      expect(marginalError[0]).to.be.lessThan(1e-10);
      expectOutput(c, 'plan', plan);
      if ('plan_mass' in c.outputs) expectOutput(c, 'plan_mass', mass);
      if ('transport_cost' in c.outputs) {
        const costs = numbers(c.inputs['cost']);
        expectOutput(c, 'transport_cost', [plan.reduce((sum, p, i) => sum + p * costs[i], 0)]);
      }
    });
  }
});
