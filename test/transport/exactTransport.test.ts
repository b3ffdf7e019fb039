/** Plans without entropy: against POT's linear programme, against all permutations, and by their own certificates. */
import {expect} from 'chai';
import fc from 'fast-check';
import {ConfigError, NonFiniteError, ShapeError} from '../../src/errors.js';
import {uniforms} from '../../src/tensor/random.js';
import {assignment} from '../../src/transport/assignment.js';
import {withDummyPoint} from '../../src/transport/dummyPoint.js';
import {exactTransport, type ExactPlan, type ExactProblem} from '../../src/transport/exactTransport.js';
import {logSinkhorn} from '../../src/transport/logSinkhorn.js';
import {cases, expectClose, expectOutput, numbers, type Case} from '../support/golden.js';

const problemOf = ({inputs}: Case<unknown>): ExactProblem => ({
  costs: Float64Array.from(numbers(inputs['cost'])),
  rows: inputs['cost'].shape[0],
  columns: inputs['cost'].shape[1],
  rowWeights: numbers(inputs['a']),
  columnWeights: numbers(inputs['b']),
});

const draw = (seed: number, purpose: string, n: number): Float64Array =>
  Float64Array.from(uniforms({seed, purpose}, new Float32Array(n)));
const shares = (seed: number, purpose: string, n: number): Float64Array => {
  const x = draw(seed, purpose, n).map((u) => u + 0.1);
  const sum = x.reduce((s, v) => s + v, 0);
  return x.map((v) => v / sum);
};

/** Sums of the rows and of the columns. */
function marginals(plan: ArrayLike<number>, n: number, m: number): {rows: number[]; columns: number[]} {
  const [rows, columns] = [new Array<number>(n).fill(0), new Array<number>(m).fill(0)];
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < m; j++) {
      rows[i] += plan[i * m + j];
      columns[j] += plan[i * m + j];
    }
  }
  return {rows, columns};
}

/** The plan has the marginals, and no plan is cheaper: the prices bound all of them by its own cost. */
function expectOptimal(
  {costs, rows: n, columns: m}: ExactProblem,
  {plan, cost, rowPotentials, columnPotentials}: ExactPlan,
  a: ArrayLike<number>,
  b: ArrayLike<number>,
): void {
  const sums = marginals(plan, n, m);
  expectClose(sums.rows, a, 1e-12, 0, 'row sums');
  expectClose(sums.columns, b, 1e-12, 0, 'column sums');
  expect(Math.min(...plan)).to.be.at.least(0);
  let dual = 0;
  for (let i = 0; i < n; i++) dual += a[i] * rowPotentials[i];
  for (let j = 0; j < m; j++) dual += b[j] * columnPotentials[j];
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < m; j++) {
      expect(rowPotentials[i] + columnPotentials[j]).to.be.at.most(costs[i * m + j] + 1e-12);
    }
  }
  expect(dual).to.be.closeTo(cost, 1e-11);
}

/** The least cost over all ways to give each row a column of its own. */
function bruteForce(costs: ArrayLike<number>, n: number, m: number): number {
  const best = (row: number, taken: number): number => {
    if (row === n) return 0;
    let least = Infinity;
    for (let j = 0; j < m; j++) {
      if (taken & (1 << j)) continue;
      least = Math.min(least, costs[row * m + j] + best(row + 1, taken | (1 << j)));
    }
    return least;
  };
  return best(0, 0);
}

describe('transport: exact plans', () => {
  for (const c of cases('pot.json', 'lib').filter(({name}) => name.startsWith('lib/emd'))) {
    it(`cost what POT's do: ${c.name}`, () => {
      const problem = problemOf(c);
      const found = exactTransport(problem);
      expectOutput(c, 'transport_cost', [found.cost]);
      expectOptimal(problem, found, problem.rowWeights!, problem.columnWeights!);
      // Entropic costs come down to it as ε falls.
      const epsilons = (c.params as {epsilons: number[]}).epsilons;
      const wanted = c.outputs['sinkhorn_costs'] as unknown as number[];
      epsilons.forEach((epsilon, at) => {
        const {plan} = logSinkhorn(
          {...problem, count: 1},
          {transport: {problem: 'balanced'}, epsilon, iterations: 30_000, tolerance: 1e-11},
        );
        const cost = plan.reduce((sum, p, i) => sum + p * problem.costs[i], 0);
        expect(cost, `at ε = ${epsilon}`).to.be.closeTo(wanted[at], 1e-7);
      });
    });
  }

  for (const c of cases<{mass: number}>('pot.json', 'lib').filter(({name}) => name.startsWith('lib/partial-exact'))) {
    it(`move part of the mass at POT's cost: ${c.name}`, () => {
      const problem = problemOf(c);
      const {plan, cost} = exactTransport(problem, c.params.mass);
      expectOutput(c, 'transport_cost', [cost]);
      expectOutput(c, 'plan_mass', [plan.reduce((s, p) => s + p, 0)]);
      const {rows, columns} = marginals(plan, problem.rows, problem.columns);
      rows.forEach((s, i) => expect(s).to.be.at.most(problem.rowWeights![i] + 1e-12));
      columns.forEach((s, j) => expect(s).to.be.at.most(problem.columnWeights![j] + 1e-12));
    });
  }

  it('are optimal for any costs and marginals, by their own prices', () => {
    fc.assert(
      fc.property(fc.nat(1e6), fc.integer({min: 1, max: 9}), fc.integer({min: 1, max: 9}), (seed, rows, columns) => {
        const [rowWeights, columnWeights] = [shares(seed, 'a', rows), shares(seed, 'b', columns)];
        const problem = {costs: draw(seed, 'costs', rows * columns), rows, columns, rowWeights, columnWeights};
        expectOptimal(problem, exactTransport(problem), rowWeights, columnWeights);
      }),
      {numRuns: 200},
    );
  });

  it('of equal weights are assignments', () => {
    for (let seed = 0; seed < 20; seed++) {
      const costs = draw(seed, 'square', 49);
      expect(exactTransport({costs, rows: 7, columns: 7}).cost).to.be.closeTo(assignment(costs, 7).cost / 7, 1e-12);
    }
  });

  it('avoid forbidden pairs, and say so if there is no other way', () => {
    const problem = {rows: 2, columns: 2, rowWeights: [0.5, 0.5], columnWeights: [0.5, 0.5]};
    expect(Array.from(exactTransport({...problem, costs: Float64Array.of(0, 1, Infinity, 0)}).plan)).to.deep.equal([
      0.5, 0, 0, 0.5,
    ]);
    const closed = {...problem, rowWeights: [0.2, 0.8], costs: Float64Array.of(0, 1, Infinity, 0)};
    expect(() => exactTransport(closed)).to.throw(NonFiniteError, /\+∞/);
    expect(() => exactTransport({...problem, costs: Float64Array.of(0, Infinity, 0, Infinity)})).to.throw(NonFiniteError);
    expect(() => exactTransport({...problem, costs: new Float64Array(4)}, 1.5)).to.throw(ConfigError, /cannot move mass 1.5/);
  });

  it('are what the entropic partial plan and the balanced one with dummies come to as ε falls', () => {
    const [rows, columns, mass] = [5, 6, 0.6];
    const batch = {
      costs: draw(3, 'costs', rows * columns),
      count: 1,
      rows,
      columns,
      rowWeights: shares(3, 'a', rows),
      columnWeights: shares(3, 'b', columns),
    };
    const {plan} = exactTransport(batch, mass);
    const options = {epsilon: 1e-3, iterations: 100_000, tolerance: 1e-9};
    const partial = logSinkhorn(batch, {...options, transport: {problem: 'partial', mass}});
    expect(partial.converged[0]).to.equal(1);
    expectClose(partial.plan, plan, 5e-3);
    const dummies = withDummyPoint(batch, mass);
    expect([dummies.rows, dummies.columns]).to.deep.equal([rows + 1, columns + 1]);
    const wide = logSinkhorn(dummies, {...options, transport: {problem: 'balanced'}}).plan;
    const real = plan.map((_, at) => wide[Math.floor(at / columns) * (columns + 1) + (at % columns)]);
    expectClose(real, plan, 5e-3);
    expect(wide.at(-1)).to.equal(0);
  });
});

describe('transport: assignment', () => {
  it('is the best of all permutations, square or not', () => {
    fc.assert(
      fc.property(fc.nat(1e6), fc.integer({min: 1, max: 6}), fc.integer({min: 0, max: 2}), (seed, rows, more) => {
        const columns = rows + more;
        const costs = draw(seed, 'costs', rows * columns).map((u) => 2 * u - 1);
        const {columns: assigned, cost, rowPotentials, columnPotentials} = assignment(costs, rows, columns);
        expect(cost).to.be.closeTo(bruteForce(costs, rows, columns), 1e-12);
        expect(new Set(assigned).size).to.equal(rows);
        assigned.forEach((j, i) => expect(rowPotentials[i] + columnPotentials[j]).to.be.closeTo(costs[i * columns + j], 1e-12));
        for (let j = 0; j < columns; j++) {
          expect(columnPotentials[j]).to.be.at.most(assigned.includes(j) ? 0 : -0);
          if (!assigned.includes(j)) expect(Math.abs(columnPotentials[j])).to.equal(0);
          for (let i = 0; i < rows; i++) {
            expect(rowPotentials[i] + columnPotentials[j]).to.be.at.most(costs[i * columns + j] + 1e-12);
          }
        }
      }),
      {numRuns: 150},
    );
  });

  it('is found by entropic plans as ε falls', () => {
    const costs = draw(5, 'costs', 36);
    const {columns} = assignment(costs, 6);
    const {plan} = logSinkhorn(
      {costs, count: 1, rows: 6, columns: 6},
      {transport: {problem: 'balanced'}, epsilon: 2e-3, iterations: 50_000, tolerance: 1e-9},
    );
    columns.forEach((j, i) => expect(plan[i * 6 + j]).to.be.closeTo(1 / 6, 1e-4));
  });

  it('refuses what is no problem', () => {
    expect(() => assignment(new Float64Array(6), 3, 2)).to.throw(ShapeError, /rows ≤ columns; got \[3, 2\]/);
    expect(() => assignment(new Float64Array(5), 2, 3)).to.throw(ShapeError, /5 elements/);
    expect(() => assignment([1, Infinity, 2, Infinity], 2)).to.throw(NonFiniteError, /row 1/);
    expect(() => assignment([NaN], 1)).to.throw(NonFiniteError, /row 0/);
  });
});
