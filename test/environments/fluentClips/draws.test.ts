import {expect} from 'chai';
import {drawsFor, normal, pick, pickZipf, uniformOf, zipfWeight} from '../../../environments/fluentClips/draws.js';

describe('draws', () => {
  it('are the same for the same stream, index, name and counter, and differ when any of them does', () => {
    const u = drawsFor('clips/train', 7)('size', 1);
    expect(drawsFor('clips/train', 7)('size', 1)).to.equal(u);
    const others = [
      drawsFor('clips/pairs', 7)('size', 1),
      drawsFor('clips/train', 8)('size', 1),
      drawsFor('clips/train', 7 + 2 ** 32)('size', 1),
      drawsFor('clips/train', 7)('travel', 1),
      drawsFor('clips/train', 7)('size', 2),
    ];
    expect(new Set([u, ...others]).size).to.equal(6);
  });

  it('are uniform over indices, names and counters, and not correlated between neighbours', () => {
    const sequences = [
      (i: number): number => drawsFor('s', i)('x'),
      (i: number): number => drawsFor('s', 0)(`x${i}`),
      (i: number): number => drawsFor('s', 0)('x', i),
      (i: number): number => uniformOf(`text ${i}`),
    ];
    const n = 20000;
    for (const at of sequences) {
      const u = Array.from({length: n}, (_, i) => at(i));
      const counts = new Array<number>(16).fill(0);
      u.forEach((v) => counts[Math.floor(v * 16)]++);
      const chiSquare = counts.reduce((sum, c) => sum + (c - n / 16) ** 2 / (n / 16), 0);
      // 99.9th percentile of chi-square with 15 degrees of freedom.
      expect(chiSquare).to.be.below(37.7);
      const correlation = u.slice(1).reduce((sum, v, i) => sum + (v - 0.5) * (u[i] - 0.5), 0) / (n / 12);
      expect(Math.abs(correlation)).to.be.below(4 / Math.sqrt(n));
    }
  });

  it('pick Zipf values with probability proportional to rank^-0.7', () => {
    const values = ['a', 'b', 'c', 'd', 'e', 'f'];
    const n = 60000;
    const counts = new Map<string, number>();
    for (let i = 0; i < n; i++) {
      const v = pickZipf(values, (i + 0.5) / n);
      counts.set(v, (counts.get(v) ?? 0) + 1);
    }
    // 1 / (1 + 2^-.7 + 3^-.7 + 4^-.7 + 5^-.7 + 6^-.7) and its multiples, by hand.
    const expected = [0.3261, 0.2007, 0.1511, 0.1236, 0.1057, 0.093];
    values.forEach((v, i) => expect(counts.get(v)! / n).to.be.closeTo(expected[i], 2e-4));
    expect(zipfWeight(0) / zipfWeight(5)).to.be.closeTo(3.505, 1e-3);
    expect([pickZipf(values, 0), pickZipf(values, 1 - 2 ** -32)]).to.deep.equal(['a', 'f']);
  });

  it('pick uniform values and give normal numbers with mean 0 and deviation 1', () => {
    expect(['a', 'b', 'c', 'd'].map((_, i) => pick(['a', 'b', 'c', 'd'], i / 4)).join('')).to.equal('abcd');
    const draw = drawsFor('n', 1);
    const z = Array.from({length: 20000}, (_, i) => normal(draw, 'z', i));
    const mean = z.reduce((a, b) => a + b) / z.length;
    const variance = z.reduce((a, b) => a + b * b, 0) / z.length - mean ** 2;
    expect(mean).to.be.closeTo(0, 0.03);
    expect(variance).to.be.closeTo(1, 0.04);
    expect(z.filter((v) => Math.abs(v) < 1).length / z.length).to.be.closeTo(0.6827, 0.012);
  });
});
