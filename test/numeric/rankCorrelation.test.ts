import {expect} from 'chai';
import fc from 'fast-check';
import {ShapeError} from '../../src/errors.js';
import {kendall, pearson, ranks, spearman} from '../../src/numeric/rankCorrelation.js';
import {cases, expectOutput, numbers} from '../support/golden.js';

/** τ_b from its definition, all pairs one by one. */
function kendallByPairs(x: readonly number[], y: readonly number[]): number {
  let [sum, inX, inY] = [0, 0, 0];
  for (let i = 0; i < x.length; i++) {
    for (let j = 0; j < i; j++) {
      const [a, b] = [Math.sign(x[i] - x[j]), Math.sign(y[i] - y[j])];
      sum += a * b;
      inX += a * a;
      inY += b * b;
    }
  }
  return sum / Math.sqrt(inX * inY);
}

const lists = fc
  .array(fc.tuple(fc.integer({min: -4, max: 4}), fc.integer({min: -4, max: 4})), {minLength: 2, maxLength: 40})
  .map((rows) => [rows.map(([a]) => a), rows.map(([, b]) => b)] as const);

describe('rank correlation', () => {
  for (const c of cases('metrics.json', 'rank-correlation')) {
    it(`agrees with scipy on ${c.name}`, () => {
      const [x, y] = [numbers(c.inputs.x), numbers(c.inputs.y)];
      const given = (name: string): number[] => [Number(c.outputs[name])];
      const expectNumber = (name: string, actual: number): void =>
        expectOutput({...c, outputs: {[name]: {shape: [], dtype: 'float64', data: given(name)}}}, name, [actual]);
      expectNumber('spearman', spearman(x, y));
      expectNumber('kendall_tau_b', kendall(x, y));
      if ('pearson' in c.outputs) expectNumber('pearson', pearson(x, y));
      if ('rank_x' in c.outputs) {
        expectOutput(c, 'rank_x', ranks(x));
        expectOutput(c, 'rank_y', ranks(y));
      }
    });
  }

  it('gives Kendall’s coefficient of the definition, ties and all', () => {
    fc.assert(
      fc.property(lists, ([x, y]) => {
        const [wanted, got] = [kendallByPairs(x, y), kendall(x, y)];
        if (Number.isNaN(wanted)) expect(got).to.be.NaN;
        else expect(got).to.be.closeTo(wanted, 1e-12);
      }),
    );
  });

  it('counts, as a rank, the numbers below and half of the equals', () => {
    fc.assert(
      fc.property(lists, ([x]) => {
        const wanted = x.map((v) => x.filter((u) => u < v).length + (x.filter((u) => u === v).length + 1) / 2);
        expect([...ranks(x)]).to.deep.equal(wanted);
      }),
    );
  });

  it('is 1 for any rising function by ranks, and −1 for any falling one', () => {
    const x = [3, -1, 0.5, 8, 2, -7];
    for (const measure of [spearman, kendall]) {
      expect(measure(x, x.map(Math.exp))).to.be.closeTo(1, 1e-15);
      expect(
        measure(
          x,
          x.map((v) => -(v ** 3)),
        ),
      ).to.be.closeTo(-1, 1e-15);
    }
    expect(
      pearson(
        x,
        x.map((v) => 2 - 3 * v),
      ),
    ).to.be.closeTo(-1, 1e-15);
  });

  it('ranks infinities as the ends', () => {
    expect(spearman([-Infinity, 0, Infinity], [1, 2, 3])).to.be.closeTo(1, 1e-15);
    expect(kendall([-Infinity, 0, Infinity, Infinity], [1, 2, 3, 3])).to.be.closeTo(1, 1e-15);
  });

  it('is NaN where nothing is defined: one number, a constant, a NaN', () => {
    for (const measure of [pearson, spearman, kendall]) {
      expect(measure([1], [2]), measure.name).to.be.NaN;
      expect(measure([], []), measure.name).to.be.NaN;
      expect(measure([1, 2, NaN], [1, 2, 3]), measure.name).to.be.NaN;
      // 0.1 has no exact mean of three in binary.
      expect(measure([0.1, 0.1, 0.1], [1, 2, 3]), measure.name).to.be.NaN;
    }
  });

  it('refuses lists of different length by name', () => {
    expect(() => kendall([1, 2], [1])).to.throw(ShapeError, /kendall: .* 2 and 1 numbers/);
    expect(() => spearman([1, 2], [1])).to.throw(ShapeError, /spearman/);
    expect(() => pearson([1, 2], [1])).to.throw(ShapeError, /pearson/);
  });
});
