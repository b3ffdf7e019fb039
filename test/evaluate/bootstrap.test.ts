import {expect} from 'chai';
import {bootstrap} from '../../src/evaluate/bootstrap.js';
import {normals} from '../../src/tensor/random.js';

const draw = (purpose: string, count: number, sample = 0): Float32Array =>
  normals({seed: 8, purpose, sample}, new Float32Array(count));
const meanOf = (values: ArrayLike<number>) => (indices: ArrayLike<number>) =>
  Array.from(indices, (i) => values[i]).reduce((a, b) => a + b, 0) / indices.length;
const deviation = (values: ArrayLike<number>): number => {
  const m = meanOf(values)(Array.from(values, (_, i) => i));
  return Math.sqrt(Array.from(values, (x) => (x - m) ** 2).reduce((a, b) => a + b, 0) / values.length);
};

describe('bootstrap', () => {
  it('gives the interval of the normal distribution for a mean of many', () => {
    const values = draw('many', 400);
    const {mean, low, high} = bootstrap(400, meanOf(values), 1, 4000);
    const half = (1.96 * deviation(values)) / 20;
    expect(mean).to.equal(meanOf(values)(values.map((_, i) => i)));
    // The quantiles of 4000 draws have a standard error of .04 standard deviations.
    expect(low).to.be.closeTo(mean - half, 0.12 * (half / 1.96));
    expect(high).to.be.closeTo(mean + half, 0.12 * (half / 1.96));
  });

  it('covers the true mean in 95 of 100 samples, less what a percentile interval of 40 is known to lack', () => {
    let covered = 0;
    const rounds = 300;
    for (let round = 0; round < rounds; round++) {
      const {low, high} = bootstrap(40, meanOf(draw('coverage', 40, round)), round, 400);
      if (low <= 0 && 0 <= high) covered++;
    }
    // About that of mean ± 1.96·s/√n with s² = Σ(x − x̄)²/n: P(|t₃₉| < 1.96·√(39/40)) = 94 %, with a standard error of 1.4 %.
    expect(covered / rounds).to.be.within(0.9, 0.98);
  });

  it('is as narrow as the differences of pairs, not as wide as their levels', () => {
    const before = draw('levels', 64).map((x) => 10 * x);
    const after = draw('noise', 64).map((x, i) => before[i] + 0.5 + 0.1 * x);
    const paired = bootstrap(64, (indices) => meanOf(after)(indices) - meanOf(before)(indices), 1);
    expect(paired.mean).to.be.closeTo(0.5, 0.05);
    expect(paired.high - paired.low).to.be.within(0.02, 0.08);
    const level = bootstrap(64, meanOf(after), 1);
    expect(level.high - level.low).to.be.above(2);
  });

  it('has no width where all prompts agree', () => {
    expect(bootstrap(5, meanOf([2, 2, 2, 2, 2]), 1)).to.deep.equal({mean: 2, low: 2, high: 2});
  });

  it('draws every prompt, and again the same ones for the same seed', () => {
    const seen = new Set<number>();
    const noting = (indices: ArrayLike<number>): number => {
      expect(indices.length).to.equal(7);
      Array.from(indices).forEach((i) => seen.add(i));
      return meanOf(draw('again', 7))(indices);
    };
    const one = bootstrap(7, noting, 3);
    expect([...seen].sort()).to.deep.equal([0, 1, 2, 3, 4, 5, 6]);
    expect(bootstrap(7, noting, 3)).to.deep.equal(one);
    expect(bootstrap(7, noting, 4)).not.to.deep.equal(one);
  });
});
