/** The fast solver against the released code, against POT, and against the reference in the log domain. */
import {expect} from 'chai';
import fc from 'fast-check';
import {NonFiniteError, ConfigError, ShapeError} from '../../src/errors.js';
import {normals, uniforms} from '../../src/tensor/random.js';
import type {SinkhornOptions, TransportBatch} from '../../src/transport/batch.js';
import {penaltyOfMass} from '../../src/transport/formulation.js';
import {logSinkhorn} from '../../src/transport/logSinkhorn.js';
import {sinkhorn} from '../../src/transport/sinkhorn.js';
import {cases, expectClose, expectOutput, numbers} from '../support/golden.js';
import {problems, type PlanParams} from '../support/plans.js';

/** Costs in [0, 1]. */
const costsOf = (seed: number, count: number, rows: number, columns: number): Float32Array =>
  uniforms({seed, purpose: 'costs'}, new Float32Array(count * rows * columns));

/** Positive weights of total 1 for each problem. */
function weightsOf(seed: number, purpose: string, count: number, n: number): Float64Array {
  const raw = uniforms({seed, purpose}, new Float32Array(count * n));
  const out = Float64Array.from(raw, (u) => u + 0.2);
  for (let k = 0; k < count; k++) {
    const row = out.subarray(k * n, (k + 1) * n);
    const sum = row.reduce((s, x) => s + x, 0);
    row.forEach((x, i) => (row[i] = x / sum));
  }
  return out;
}

const shapes = fc.record({
  seed: fc.integer({min: 0, max: 1e6}),
  count: fc.integer({min: 1, max: 3}),
  rows: fc.integer({min: 1, max: 11}),
  columns: fc.integer({min: 1, max: 21}),
  transport: fc.constantFrom(...problems),
  entropy: fc.constantFrom('plain' as const, 'relative' as const),
});

describe('transport: Sinkhorn in single precision', () => {
  for (const c of cases<PlanParams>('pot.json', 'plan')) {
    it(`is the released iteration: ${c.name}`, () => {
      const {epsilon, transported_mass, max_iterations, tolerance, iterations_used} = c.params;
      const [rows, columns] = c.inputs['cost'].shape;
      const {plan, mass, iterations, inLogDomain} = sinkhorn(
        {costs: Float32Array.from(numbers(c.inputs['cost'])), count: 1, rows, columns},
        {
          transport: {problem: 'unbalanced', penalty: penaltyOfMass(transported_mass, epsilon)},
          epsilon,
          iterations: max_iterations,
          tolerance,
        },
      );
      expectOutput(c, 'plan', plan);
      expectOutput(c, 'plan_mass', mass);
      expect(iterations[0]).to.equal(iterations_used);
      expect(inLogDomain[0]).to.equal(tolerance > 0 && tolerance < 1e-5 ? 1 : 0);
    });
  }

  it('agrees with the log domain, for any shape, marginals, problem and entropy', () => {
    fc.assert(
      fc.property(shapes, ({seed, count, rows, columns, transport, entropy}) => {
        const batch: TransportBatch = {
          costs: costsOf(seed, count, rows, columns),
          count,
          rows,
          columns,
          rowWeights: weightsOf(seed, 'a', count, rows),
          columnWeights: weightsOf(seed, 'b', count, columns),
        };
        const options: SinkhornOptions = {transport, epsilon: 0.05, entropy, iterations: 60, tolerance: 0};
        const [fast, slow] = [sinkhorn(batch, options), logSinkhorn(batch, options)];
        expect(Array.from(fast.inLogDomain)).to.deep.equal(new Array(count).fill(0));
        expectClose(fast.plan, slow.plan, 1e-6, 1e-5, 'plan');
        expectClose(fast.rowPotentials, slow.rowPotentials, 2e-6, 1e-5, 'row potentials');
        expectClose(fast.columnPotentials, slow.columnPotentials, 2e-6, 1e-5, 'column potentials');
        expectClose(fast.level, slow.level, 2e-6, 1e-5, 'level');
        expectClose(fast.mass, slow.mass, 1e-6, 1e-5, 'mass');
        expectClose(fast.marginalError, slow.marginalError, 3e-6, 1e-3, 'marginal error');
        expect(Array.from(fast.iterations)).to.deep.equal(new Array(count).fill(60));
        expect(Array.from(fast.converged)).to.deep.equal(new Array(count).fill(0));
      }),
      {numRuns: 60},
    );
  });

  it('meets the marginals of its problem', () => {
    for (const transport of problems) {
      const [rows, columns] = [7, 12];
      const [a, b] = [weightsOf(3, 'a', 1, rows), weightsOf(3, 'b', 1, columns)];
      const batch = {costs: costsOf(3, 1, rows, columns), count: 1, rows, columns, rowWeights: a, columnWeights: b};
      const {plan, mass, rowPotentials, columnPotentials, converged} = sinkhorn(batch, {
        transport,
        epsilon: 0.05,
        iterations: 5000,
        tolerance: 1e-5,
      });
      expect(converged[0]).to.equal(1);
      const rowSums = Array.from(a, (_, i) => plan.subarray(i * columns, (i + 1) * columns).reduce((s, p) => s + p, 0));
      const columnSums = Array.from(b, (_, j) => rowSums.reduce((s, _sum, i) => s + plan[i * columns + j], 0));
      if (transport.problem === 'balanced') {
        expectClose(rowSums, a, 1e-6);
        expectClose(columnSums, b, 1e-6);
      } else if (transport.problem === 'unbalanced') {
        // First-order condition of the penalty: the sum is a·exp(−f/ρ).
        expectClose(
          rowSums,
          a.map((w, i) => w * Math.exp(-rowPotentials[i] / transport.penalty)),
          1e-6,
          1e-4,
        );
      } else {
        expectClose(mass, [transport.mass], 1e-6);
        rowSums.forEach((s, i) => {
          expect(s).to.be.lessThan(a[i] + 1e-6);
          // What is not used up has no price.
          if (s < a[i] - 1e-4) expect(rowPotentials[i]).to.equal(0);
        });
        columnSums.forEach((s, j) => {
          expect(s).to.be.lessThan(b[j] + 1e-6);
          if (s < b[j] - 1e-4) expect(columnPotentials[j]).to.equal(0);
        });
      }
    }
  });

  it('solves a problem of a batch as it does alone, bit for bit', () => {
    const [count, rows, columns] = [5, 6, 19];
    const costs = costsOf(4, count, rows, columns);
    const a = weightsOf(4, 'a', count, rows);
    const options: SinkhornOptions = {transport: problems[1], epsilon: 0.05};
    const all = sinkhorn({costs, count, rows, columns, rowWeights: a}, options);
    for (let k = 0; k < count; k++) {
      const size = rows * columns;
      const one = sinkhorn(
        {costs: costs.slice(k * size, (k + 1) * size), count: 1, rows, columns, rowWeights: a.slice(k * rows, (k + 1) * rows)},
        options,
      );
      expect(Array.from(one.plan)).to.deep.equal(Array.from(all.plan.subarray(k * size, (k + 1) * size)));
      expect(one.iterations[0]).to.equal(all.iterations[k]);
      expect(one.mass[0]).to.equal(all.mass[k]);
    }
  });

  it('is not changed by padding, wherever it lies and whatever it holds, bit for bit', () => {
    const [rows, columns] = [5, 9];
    const keptRows = [0, 2, 3, 6, 7];
    const keptColumns = [1, 2, 3, 5, 6, 8, 9, 11, 12];
    const costs = costsOf(5, 1, rows, columns);
    const [a, b] = [weightsOf(5, 'a', 1, rows), weightsOf(5, 'b', 1, columns)];
    const wide = new Float32Array(8 * 14).fill(NaN);
    const [wideA, wideB] = [new Float64Array(8), new Float64Array(14)];
    keptRows.forEach((to, i) => {
      wideA[to] = a[i];
      keptColumns.forEach((at, j) => (wide[to * 14 + at] = costs[i * columns + j]));
    });
    keptColumns.forEach((at, j) => (wideB[at] = b[j]));
    for (const solve of [sinkhorn, logSinkhorn]) {
      for (const transport of problems) {
        const options: SinkhornOptions = {transport, epsilon: 0.05};
        const bare = solve({costs, count: 1, rows, columns, rowWeights: a, columnWeights: b}, options);
        const padded = solve({costs: wide, count: 1, rows: 8, columns: 14, rowWeights: wideA, columnWeights: wideB}, options);
        const wanted = new Float64Array(8 * 14);
        keptRows.forEach((to, i) => keptColumns.forEach((at, j) => (wanted[to * 14 + at] = bare.plan[i * columns + j])));
        expect(Array.from(padded.plan)).to.deep.equal(Array.from(wanted));
        expect(padded.mass[0]).to.equal(bare.mass[0]);
        expect(keptRows.map((i) => padded.rowPotentials[i])).to.deep.equal(Array.from(bare.rowPotentials));
        expect(padded.rowPotentials[1]).to.equal(-Infinity);
      }
    }
  });

  it('moves with a permutation of points', () => {
    const [rows, columns] = [6, 10];
    const costs = costsOf(6, 1, rows, columns);
    const turned = Float32Array.from(
      costs,
      (_, i) => costs[((Math.floor(i / columns) + 2) % rows) * columns + ((i + 3) % columns)],
    );
    for (const transport of problems) {
      const options: SinkhornOptions = {transport, epsilon: 0.05, tolerance: 1e-5, iterations: 3000};
      const straight = sinkhorn({costs, count: 1, rows, columns}, options).plan;
      const {plan} = sinkhorn({costs: turned, count: 1, rows, columns}, options);
      expectClose(
        plan,
        straight.map((_, i) => straight[((Math.floor(i / columns) + 2) % rows) * columns + ((i + 3) % columns)]),
        1e-6,
        1e-5,
      );
    }
  });

  it('gives the transposed plan for transposed costs', () => {
    const [rows, columns] = [6, 10];
    const costs = costsOf(7, 1, rows, columns);
    const transposed = Float32Array.from(costs, (_, i) => costs[(i % rows) * columns + Math.floor(i / rows)]);
    for (const transport of problems) {
      const options: SinkhornOptions = {transport, epsilon: 0.1, tolerance: 1e-5, iterations: 3000};
      const {plan} = sinkhorn({costs, count: 1, rows, columns}, options);
      const turned = sinkhorn({costs: transposed, count: 1, rows: columns, columns: rows}, options).plan;
      expectClose(
        turned,
        turned.map((_, i) => plan[(i % rows) * columns + Math.floor(i / rows)]),
        3e-6,
      );
    }
  });

  it('spreads mass evenly as ε grows', () => {
    const [a, b] = [weightsOf(8, 'a', 1, 4), weightsOf(8, 'b', 1, 6)];
    const batch = {costs: costsOf(8, 1, 4, 6), count: 1, rows: 4, columns: 6, rowWeights: a, columnWeights: b};
    const {plan} = sinkhorn(batch, {transport: {problem: 'balanced'}, epsilon: 1e5});
    const product = Array.from({length: 24}, (_, i) => a[Math.floor(i / 6)] * b[i % 6]);
    expectClose(plan, product, 1e-6, 1e-5);
  });

  it('solves the 2 × 2 problem as by hand', () => {
    const batch = {costs: Float32Array.of(0, 1, 1, 0), count: 1, rows: 2, columns: 2};
    const {plan} = sinkhorn(batch, {transport: {problem: 'balanced'}, epsilon: 1});
    const straight = 0.5 / (1 + Math.exp(-1));
    expectClose(plan, [straight, 0.5 - straight, 0.5 - straight, straight], 1e-7);
  });

  it('comes to the balanced plan as the moved mass comes to all', () => {
    const batch = {costs: costsOf(9, 2, 5, 8), count: 2, rows: 5, columns: 8};
    const options = {epsilon: 0.05, iterations: 5000, tolerance: 1e-9};
    const {plan} = logSinkhorn(batch, {...options, transport: {problem: 'balanced'}});
    const distances = [0.9, 0.99, 0.999, 0.9999, 1].map((mass) => {
      const partial = logSinkhorn(batch, {...options, transport: {problem: 'partial', mass}});
      expect(Array.from(partial.converged), `mass ${mass}`).to.deep.equal([1, 1]);
      expectClose(partial.mass, [mass, mass], 1e-8);
      return Math.max(...partial.plan.map((p, i) => Math.abs(p - plan[i])));
    });
    expect(distances[0]).to.be.greaterThan(1e-2);
    for (let i = 1; i < 4; i++) expect(distances[i]).to.be.lessThan(distances[i - 1] / 5);
    expect(distances[4]).to.be.lessThan(1e-8);
  });

  it('leaves to the log domain what would underflow, and only that', () => {
    const [rows, columns] = [4, 7];
    const gentle = costsOf(10, 1, rows, columns);
    const steep = gentle.map((c) => 50 * c);
    const costs = Float32Array.from([...gentle, ...steep, ...gentle]);
    const batch = {costs, count: 3, rows, columns};
    for (const transport of problems) {
      const options: SinkhornOptions = {transport, epsilon: 0.05, iterations: 2000};
      const fast = sinkhorn(batch, options);
      expect(Array.from(fast.inLogDomain)).to.deep.equal([0, 1, 0]);
      expectClose(fast.plan, logSinkhorn(batch, options).plan, 1e-6, 1e-4);
    }
  });

  it('leaves a tolerance that single precision cannot reach to the log domain', () => {
    const batch = {costs: costsOf(11, 1, 4, 7), count: 1, rows: 4, columns: 7};
    const options: SinkhornOptions = {transport: problems[1], epsilon: 0.05, tolerance: 1e-9, iterations: 1000};
    const {plan, inLogDomain, converged, iterations} = sinkhorn(batch, options);
    expect([inLogDomain[0], converged[0]]).to.deep.equal([1, 1]);
    expect(iterations[0]).to.be.within(50, 500);
    expect(Array.from(plan)).to.deep.equal(Array.from(logSinkhorn(batch, options).plan, Math.fround));
  });

  it('moves nothing along forbidden pairs', () => {
    const costs = Float32Array.of(0.2, Infinity, 0.4, 0.9, 0.1, Infinity);
    for (const transport of problems) {
      const batch = {costs, count: 1, rows: 2, columns: 3};
      const options: SinkhornOptions = {transport, epsilon: 0.05, iterations: 3000, tolerance: 1e-5};
      const {plan, inLogDomain} = sinkhorn(batch, options);
      expect([plan[1], plan[5], inLogDomain[0]]).to.deep.equal([0, 0, 0]);
      expectClose(plan, logSinkhorn(batch, options).plan, 1e-6, 1e-4);
    }
  });

  it('stops after a round that changed nothing by its tolerance, and says so', () => {
    const batch = {costs: costsOf(12, 1, 5, 9), count: 1, rows: 5, columns: 9};
    const at = (iterations: number): ReturnType<typeof sinkhorn> =>
      sinkhorn(batch, {transport: problems[1], epsilon: 0.05, iterations});
    const {iterations, converged} = at(200);
    expect(converged[0]).to.equal(1);
    const before = at(iterations[0] - 1);
    expect([before.converged[0], before.iterations[0]]).to.deep.equal([0, iterations[0] - 1]);
  });

  it('refuses what is no problem, by name', () => {
    const batch = {costs: new Float32Array(6), count: 1, rows: 2, columns: 3};
    const balanced: SinkhornOptions = {transport: {problem: 'balanced'}, epsilon: 0.1};
    const refuse = (
      b: Partial<TransportBatch>,
      o: Partial<SinkhornOptions>,
      error: new (message: string) => Error,
      message: RegExp,
    ): void => {
      for (const solve of [sinkhorn, logSinkhorn]) {
        expect(() => solve({...batch, ...b}, {...balanced, ...o})).to.throw(error, message);
      }
    };
    refuse({columns: 4}, {}, ShapeError, /costs \[1, 2, 4\] must have 8 elements; got 6/);
    refuse({rowWeights: [1]}, {}, ShapeError, /rowWeights must have 2 or 1 × 2 elements; got 1/);
    refuse({rowWeights: [1, -1]}, {}, ConfigError, /rowWeights must be finite and at least 0; got -1 at 1/);
    refuse({rowWeights: [0, 0]}, {}, ConfigError, /positive total; got 0 and 1/);
    refuse({rowWeights: [1, 1]}, {}, ConfigError, /equal totals; those are 2 and 1/);
    refuse({}, {transport: {problem: 'partial', mass: 1.1}}, ConfigError, /cannot move mass 1.1/);
    refuse({}, {transport: {problem: 'partial', mass: 0}}, ConfigError, /mass must be positive; got 0/);
    refuse({}, {transport: {problem: 'unbalanced', penalty: -1}}, ConfigError, /penalty must be positive; got -1/);
    refuse({}, {epsilon: 0}, ConfigError, /epsilon must be positive; got 0/);
    refuse({}, {iterations: 0}, ConfigError, /iterations must be an integer of at least 1; got 0/);
    refuse({}, {tolerance: NaN}, ConfigError, /tolerance must be at least 0; got NaN/);
    refuse({costs: Float32Array.of(0.1, 0.2, NaN, 0.4, 0.5, 0.6)}, {}, NonFiniteError, /problem 0 has no finite solution/);
    refuse({costs: Float32Array.of(0.1, 0.2, 0.3, Infinity, Infinity, Infinity)}, {}, NonFiniteError, /problem 0/);
  });

  it('derives the penalty that makes the exponent the mass', () => {
    for (const mass of [0.5, 0.9, 0.998]) {
      const rho = penaltyOfMass(mass, 0.05);
      expect(rho / (rho + 0.05)).to.be.closeTo(mass, 1e-12);
    }
    expect(penaltyOfMass(0.999, 0.05)).to.equal(Infinity);
    expect(() => penaltyOfMass(1.5, 0.05)).to.throw(ConfigError, /mass must be in \(0, 1\]; got 1.5/);
  });

  it('keeps its accuracy over the range of what a kernel is used for', () => {
    // Costs up to 2 at ε = .05: exponents up to 40.
    const costs = normals({seed: 13, purpose: 'costs'}, new Float32Array(2 * 16 * 65)).map((z) => Math.min(2, Math.abs(z)));
    const batch = {costs, count: 2, rows: 16, columns: 65};
    for (const transport of problems) {
      const options: SinkhornOptions = {transport, epsilon: 0.05, iterations: 100, tolerance: 0};
      const fast = sinkhorn(batch, options);
      expect(Array.from(fast.inLogDomain)).to.deep.equal([0, 0]);
      expectClose(fast.plan, logSinkhorn(batch, options).plan, 1e-7, 2e-5);
    }
  });
});
