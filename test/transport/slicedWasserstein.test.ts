/** Distances on a line against the assignment that sorting is said to be, and sliced ones against closed forms. */
import {expect} from 'chai';
import fc from 'fast-check';
import {ConfigError, ShapeError} from '../../src/errors.js';
import type {Rows} from '../../src/numeric/moments.js';
import {normals, uniforms} from '../../src/tensor/random.js';
import {assignment} from '../../src/transport/assignment.js';
import {exactTransport} from '../../src/transport/exactTransport.js';
import {slicedWasserstein, wasserstein1d} from '../../src/transport/slicedWasserstein.js';

const draw = (seed: number, purpose: string, n: number): Float64Array =>
  Float64Array.from(normals({seed, purpose}, new Float32Array(n)));
const cloud = (seed: number, n: number, width: number): Rows => ({shape: [n, width], data: draw(seed, 'cloud', n * width)});

describe('transport: on a line', () => {
  it('is the best assignment of points to points', () => {
    fc.assert(
      fc.property(fc.nat(1e6), fc.integer({min: 1, max: 8}), fc.constantFrom(1, 2, 3), (seed, n, p) => {
        const [x, y] = [draw(seed, 'x', n), draw(seed, 'y', n)];
        const costs = Float64Array.from({length: n * n}, (_, at) => Math.abs(x[Math.floor(at / n)] - y[at % n]) ** p);
        expect(wasserstein1d({points: x}, {points: y}, p)).to.be.closeTo(assignment(costs, n).cost / n, 1e-10);
      }),
    );
  });

  it('is the best plan for weighted points of any number', () => {
    fc.assert(
      fc.property(fc.nat(1e6), fc.integer({min: 1, max: 7}), fc.integer({min: 1, max: 7}), (seed, n, m) => {
        const [x, y] = [draw(seed, 'x', n), draw(seed, 'y', m)];
        const weights = (purpose: string, count: number): Float64Array => {
          const raw = Float64Array.from(uniforms({seed, purpose}, new Float32Array(count)));
          return raw.map((u) => u / raw.reduce((s, v) => s + v, 0));
        };
        const [a, b] = [weights('a', n), weights('b', m)];
        const costs = Float64Array.from({length: n * m}, (_, at) => (x[Math.floor(at / m)] - y[at % m]) ** 2);
        const {cost} = exactTransport({costs, rows: n, columns: m, rowWeights: a, columnWeights: b});
        expect(wasserstein1d({points: x, weights: a}, {points: y, weights: b})).to.be.closeTo(cost, 1e-10);
      }),
    );
  });

  it('scales weights to total 1', () => {
    const [x, y] = [
      {points: [0, 1], weights: [3, 1]},
      {points: [1], weights: [7]},
    ];
    expect(wasserstein1d(x, y, 1)).to.equal(0.75);
  });

  it('refuses what is no measure', () => {
    expect(() => wasserstein1d({points: []}, {points: [1]})).to.throw(ShapeError, /at least one point/);
    expect(() => wasserstein1d({points: [1], weights: [1, 2]}, {points: [1]})).to.throw(ShapeError, /got 1 and 2/);
    expect(() => wasserstein1d({points: [1], weights: [0]}, {points: [1]})).to.throw(ConfigError, /positive total; got 0/);
    expect(() => wasserstein1d({points: [1], weights: [-1]}, {points: [1]})).to.throw(ConfigError, /at least 0; got -1/);
    expect(() => wasserstein1d({points: [1]}, {points: [1]}, 0.5)).to.throw(ConfigError, /p must be .* got 0.5/);
  });
});

describe('transport: sliced distance', () => {
  it('of a shift is its length over the root of the dimension', () => {
    const x = cloud(1, 8, 3);
    const shift = [1, -2, 2];
    const y = {...x, data: Float64Array.from(x.data, (v, at) => v + shift[at % 3])};
    expect(slicedWasserstein(x, y, {directions: 3000})).to.be.closeTo(3 / Math.sqrt(3), 0.05);
    // Mean of |⟨θ, s⟩| over the sphere in three dimensions: |s|/2.
    expect(slicedWasserstein(x, y, {directions: 3000, p: 1})).to.be.closeTo(1.5, 0.05);
  });

  it('is 0 for the same set in another order, symmetric, and drawn by its seed', () => {
    const [x, y] = [cloud(2, 12, 4), cloud(3, 9, 4)];
    const turned = {...x, data: Float64Array.from(x.data, (_, at) => x.data[(at + 20) % x.data.length])};
    expect(slicedWasserstein(x, turned)).to.be.lessThan(1e-12);
    expect(slicedWasserstein(x, y)).to.equal(slicedWasserstein(y, x));
    expect(slicedWasserstein(x, y)).to.equal(slicedWasserstein(x, y, {seed: 0}));
    expect(slicedWasserstein(x, y, {seed: 1})).to.not.equal(slicedWasserstein(x, y));
  });

  it('in one dimension is the distance on the line', () => {
    const [x, y] = [cloud(4, 10, 1), cloud(5, 7, 1)];
    const wanted = Math.sqrt(wasserstein1d({points: x.data}, {points: y.data}));
    expect(slicedWasserstein(x, y, {directions: 3})).to.be.closeTo(wanted, 1e-12);
  });

  it('refuses sets of different widths and no directions', () => {
    expect(() => slicedWasserstein(cloud(1, 3, 2), cloud(1, 3, 3))).to.throw(ShapeError, /one width; got 2 and 3/);
    expect(() => slicedWasserstein(cloud(1, 3, 2), cloud(1, 3, 2), {directions: 0})).to.throw(ConfigError, /got 0/);
  });
});
