import {expect} from 'chai';
import {readFileSync} from 'node:fs';
import {ConfigError} from '../../src/errors.js';
import {
  hash32,
  integers,
  normals,
  permutation,
  philox4x32,
  philoxStream,
  uniforms,
  type NoiseKey,
  type Words2,
  type Words4,
} from '../../src/tensor/random.js';

interface Case {
  name: string;
  inputs: {counter: string[]; key: string[]};
  params: {rounds: number; blocks?: number};
  outputs: {words: string[]};
}

const cases = JSON.parse(readFileSync(new URL('../fixtures/rng.json', import.meta.url), 'utf8')) as Case[];
const parse = (words: string[]): number[] => words.map((w) => parseInt(w, 16));
const key: NoiseKey = {seed: 7, purpose: 'test'};
const near = (value: number, wanted: number, deviation: number): void => {
  expect(Math.abs(value - wanted), `${value} against ${wanted}`).to.be.below(deviation);
};

describe('philox4x32', () => {
  for (const c of cases) {
    it(`gives the words of ${c.name}`, () => {
      const counter = parse(c.inputs.counter) as unknown as Words4;
      const philoxKey = parse(c.inputs.key) as unknown as Words2;
      const wanted = parse(c.outputs.words);
      const words = philoxStream(counter, philoxKey, new Uint32Array(wanted.length), c.params.rounds);
      expect([...words]).to.deep.equal(wanted);
      expect(philox4x32(counter, philoxKey, c.params.rounds)).to.deep.equal(wanted.slice(0, 4));
    });
  }

  it('carries through all four words of the counter', () => {
    const full = 0xffffffff;
    const words = philoxStream([full, full, full, 4], [1, 2], new Uint32Array(8));
    expect([...words.subarray(4)]).to.deep.equal(philox4x32([0, 0, 0, 5], [1, 2]));
  });
});

describe('keyed noise', () => {
  it('hashes words by FNV-1a', () => {
    // Published test vectors of the 32-bit FNV-1a.
    expect(hash32('')).to.equal(0x811c9dc5);
    expect(hash32('a')).to.equal(0xe40c292c);
    expect(hash32('foobar')).to.equal(0xbf9cf968);
  });

  it('does not depend on the length asked for', () => {
    const long = normals(key, new Float32Array(5001));
    const longUniforms = uniforms(key, new Float32Array(5001));
    const longIntegers = integers(key, 5001, 1000);
    for (const n of [0, 1, 2, 3, 4, 5, 2047, 2048, 2049, 4097]) {
      expect(normals(key, new Float32Array(n))).to.deep.equal(long.subarray(0, n));
      expect(uniforms(key, new Float32Array(n))).to.deep.equal(longUniforms.subarray(0, n));
      expect(integers(key, n, 1000)).to.deep.equal(longIntegers.subarray(0, n));
    }
  });

  it('is the same for equal keys and unrelated for keys that differ in any field', () => {
    const base = {seed: 3, purpose: 'a', iteration: 1, prompt: 'red boat', sample: 2, step: 4};
    const n = 4000;
    const streams = [
      base,
      {...base, seed: 4},
      {...base, seed: 3 + 2 ** 32},
      {...base, purpose: 'b'},
      {...base, iteration: 2},
      {...base, prompt: 'red boats'},
      {...base, prompt: 0},
      {...base, sample: 3},
      {...base, step: 5},
      {...base, iteration: 2, sample: 1},
    ].map((k) => normals(k, new Float32Array(n)));
    expect(normals({...base}, new Float32Array(n))).to.deep.equal(streams[0]);
    streams.forEach((a, i) => {
      for (const b of streams.slice(i + 1)) near(a.reduce((sum, v, j) => sum + v * b[j], 0) / n, 0, 4.5 / Math.sqrt(n));
    });
  });

  it('counts a missing field as 0', () => {
    const explicit = {...key, iteration: 0, prompt: 0, sample: 0, step: 0};
    expect(normals(explicit, new Float32Array(8))).to.deep.equal(normals(key, new Float32Array(8)));
  });

  it('refuses a field that is not an integer in its range', () => {
    for (const bad of [{seed: -1}, {seed: 1.5}, {seed: NaN}, {seed: 2 ** 53}, {step: 2 ** 32}, {sample: -2}, {prompt: 0.5}]) {
      expect(() => normals({...key, ...bad}, new Float32Array(1))).to.throw(ConfigError, /must be an integer in/);
    }
  });
});

describe('normals', () => {
  const n = 200_000;
  const x = normals(key, new Float32Array(n));
  const moment = (power: number): number => x.reduce((sum, v) => sum + v ** power, 0) / n;

  it('has the first eight moments of the standard normal', () => {
    // The variance of the k-th sample moment is (E x^2k − (E x^k)²)/n, with E x^2k = (2k − 1)!!.
    const even = [1, 1, 3, 15, 105, 945, 10395, 135135, 2027025];
    for (let k = 1; k <= 8; k++) {
      const wanted = k % 2 === 0 ? even[k / 2] : 0;
      near(moment(k), wanted, 4 * Math.sqrt((even[k] - wanted ** 2) / n));
    }
  });

  it('follows the normal distribution function', () => {
    const sorted = Float64Array.from(x).sort();
    const quantiles: [number, number][] = [
      [-2.3263479, 0.01],
      [-1, 0.15865525],
      [0, 0.5],
      [0.6744898, 0.75],
      [1.6448536, 0.95],
    ];
    for (const [at, probability] of quantiles) {
      near(sorted.findIndex((v) => v > at) / n, probability, 4 * Math.sqrt((probability * (1 - probability)) / n));
    }
  });

  it('has no correlation between neighbours, nor between their squares', () => {
    for (const lag of [1, 2, 3, 4]) {
      let first = 0;
      let second = 0;
      for (let i = 0; i + lag < n; i++) {
        first += x[i] * x[i + lag];
        second += (x[i] ** 2 - 1) * (x[i + lag] ** 2 - 1);
      }
      near(first / n, 0, 4 / Math.sqrt(n));
      near(second / n, 0, 8 / Math.sqrt(n));
    }
  });

  it('is Box-Muller of the words of the stream', () => {
    // Words recovered from 'integers' of the same key: element i is the upper 31 bits of word 2i.
    const high = integers(key, 2, 2 ** 31);
    const pairs = [normals(key, new Float32Array(4)).subarray(0, 2), normals(key, new Float32Array(4)).subarray(2)];
    pairs.forEach(([a, b], i) => near(Math.hypot(a, b), Math.sqrt(-2 * Math.log((high[i] + 0.5) / 2 ** 31)), 1e-5));
  });
});

describe('uniforms', () => {
  it('has the moments of the uniform distribution and stays inside (0, 1)', () => {
    const n = 200_000;
    const u = uniforms(key, new Float32Array(n));
    expect(u.every((v) => v > 0 && v < 1)).to.equal(true);
    for (let k = 1; k <= 4; k++) {
      const wanted = 1 / (k + 1);
      near(u.reduce((sum, v) => sum + v ** k, 0) / n, wanted, 4 * Math.sqrt((1 / (2 * k + 1) - wanted ** 2) / n));
    }
  });
});

describe('integers', () => {
  it('gives each value its share', () => {
    const n = 60_000;
    const counts = new Array<number>(6).fill(0);
    for (const v of integers(key, n, 6)) counts[v]++;
    // Chi-squared with 5 degrees of freedom: 20.5 is the 0.999 quantile.
    expect(counts.reduce((sum, c) => sum + (c - n / 6) ** 2 / (n / 6), 0)).to.be.below(20.5);
  });

  it('gives only 0 for bound 1 and refuses bounds outside [1, 2^31]', () => {
    expect([...integers(key, 3, 1)]).to.deep.equal([0, 0, 0]);
    expect(Math.max(...integers(key, 1000, 2 ** 31)))
      .to.be.above(2 ** 30)
      .and.below(2 ** 31);
    for (const bound of [0, -1, 1.5, 2 ** 31 + 1]) expect(() => integers(key, 1, bound)).to.throw(ConfigError, /bound/);
  });
});

describe('permutation', () => {
  it('holds each index once', () => {
    for (const n of [0, 1, 2, 1000]) {
      expect([...permutation(key, n)].sort((a, b) => a - b)).to.deep.equal([...Array(n).keys()]);
    }
  });

  it('gives each of the 24 orders of four its share', () => {
    const n = 12_000;
    const counts = new Map<string, number>();
    for (let i = 0; i < n; i++) {
      const order = permutation({...key, sample: i}, 4).join('');
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).to.equal(24);
    // Chi-squared with 23 degrees of freedom: 49.7 is the 0.999 quantile.
    expect([...counts.values()].reduce((sum, c) => sum + (c - n / 24) ** 2 / (n / 24), 0)).to.be.below(49.7);
  });
});
