import {expect} from 'chai';
import {ShapeError} from '../../../src/errors.js';
import {moments} from '../../../src/numeric/moments.js';
import {float32, type NdArray} from '../../../src/tensor/ndarray.js';
import type {Params} from '../../../src/tensor/tree.js';
import {affine} from '../../../src/transport/maps/affine.js';
import {entropicMap, fitEntropicMap} from '../../../src/transport/maps/entropic.js';
import {fitGaussianMap} from '../../../src/transport/maps/gaussianMap.js';
import {fitProcrustes, nearestRotation} from '../../../src/transport/maps/procrustes.js';
import type {TransportMap} from '../../../src/transport/maps/transportMap.js';
import {frechetDistance} from '../../../src/transport/metrics/frechetDistance.js';
import {affineCloud, normalCloud, turn} from '../../support/clouds.js';
import {runEagerly} from '../../support/eager.js';
import {expectNear} from '../../support/near.js';

const apply = (map: TransportMap['apply'], params: Params, points: NdArray): NdArray<'float32'> =>
  runEagerly((inputs) => ({out: map(inputs['params'] as never, inputs['points'] as never)}), {params, points})[
    'out'
  ] as NdArray<'float32'>;

const scaled = (matrix: number[][], factor: number): number[][] => matrix.map((row) => row.map((v) => v * factor));
const diagonal = (...values: number[]): number[][] => values.map((v, i) => values.map((_, j) => (i === j ? v : 0)));

describe('fitGaussianMap', () => {
  it('carries mean and covariance exactly', () => {
    const text = affineCloud(
      normalCloud(80, 4, 1),
      [
        [2, 0, 1, 0],
        [0, 1, 0, 0],
        [0, 0.5, 1, 0],
        [0, 0, 0, 0.2],
      ],
      [1, 0, 0, 2],
    );
    const video = affineCloud(
      normalCloud(60, 4, 2),
      turn(4, 0.8).map((row, i) => row.map((v) => v * (i + 1))),
      [0, 3, 0, -1],
    );
    const mapped = moments(apply(affine, fitGaussianMap(text, video), text));
    const wanted = moments(video);
    expectNear(mapped.mean, wanted.mean, {atol: 1e-5, rtol: 0}, 'mean');
    expectNear(mapped.covariance, wanted.covariance, {atol: 2e-5, rtol: 0}, 'covariance');
    expect(frechetDistance(text, video)).to.be.above(10);
    expect(frechetDistance(apply(affine, fitGaussianMap(text, video), text), video)).to.be.below(1e-4);
  });

  it('stretches independent axes by the ratio of their deviations, and turns nothing', () => {
    const text = normalCloud(4000, 2, 3);
    const video = affineCloud(text, diagonal(3, 0.5), [1, 2]);
    const {matrix, shift} = fitGaussianMap(text, video) as Record<string, NdArray>;
    // Exact for these samples: video is a positive-definite map of text, and that is the optimal one.
    expectNear(matrix.data, [3, 0, 0, 0.5], {atol: 1e-5, rtol: 0}, 'matrix');
    expectNear(shift.data, [1, 2], {atol: 1e-5, rtol: 0}, 'shift');
  });

  it('is not misled into a rotation that no cost asks for', () => {
    // A turned isotropic cloud has the same Gaussian: the optimal map stays.
    const text = normalCloud(20000, 3, 4);
    const {matrix} = fitGaussianMap(text, affineCloud(text, turn(3, 0.9), [0, 0, 0])) as Record<string, NdArray>;
    expectNear(matrix.data, [1, 0, 0, 0, 1, 0, 0, 0, 1], {atol: 0.05, rtol: 0}, 'matrix');
  });

  it('takes texts that span less than the space, and shifts what does not vary', () => {
    const flat = affineCloud(
      normalCloud(30, 3, 5),
      [
        [1, 1, 0],
        [0, 1, 0],
        [0, 0, 0],
      ],
      [0, 0, 7],
    );
    const video = affineCloud(normalCloud(30, 3, 6), diagonal(2, 1, 1), [0, 0, 1]);
    const mapped = apply(affine, fitGaussianMap(flat, video), flat);
    expect(Array.from(mapped.data).every(Number.isFinite)).to.equal(true);
    expectNear(moments(mapped).mean, moments(video).mean, {atol: 1e-5, rtol: 0}, 'mean');
  });

  it('sends texts that are all the same but for rounding to the mean, and amplifies nothing', () => {
    const constant = float32(
      Array.from({length: 60}, (_, at) => [0.4, -0.7, 0.1][at % 3] * (1 + (at % 2) * 6e-8)),
      [20, 3],
    );
    const video = normalCloud(20, 3, 8);
    for (const params of [fitGaussianMap(constant, video), fitProcrustes(constant, video)]) {
      const {mean} = moments(video);
      const mapped = apply(affine, params, constant);
      expectNear(
        mapped.data,
        Array.from({length: 60}, (_, at) => mean[at % 3]),
        {atol: 1e-5, rtol: 0},
        'T(y)',
      );
    }
  });

  it('refuses sets of different width', () => {
    expect(() => fitGaussianMap(normalCloud(9, 2, 1), normalCloud(9, 3, 1))).to.throw(ShapeError, /one width; got 2 and 3/);
  });
});

describe('fitProcrustes', () => {
  it('finds rotation, scale and shift', () => {
    const text = normalCloud(50, 5, 1);
    const video = affineCloud(text, scaled(turn(5, 0.6), 1.7), [1, 2, 3, 4, 5]);
    expectNear(apply(affine, fitProcrustes(text, video), text).data, video.data, {atol: 2e-5, rtol: 0}, 'T(y)');
  });

  it('finds a reflection as well', () => {
    const text = normalCloud(50, 2, 1);
    const video = affineCloud(text, diagonal(1, -1), [0, 0]);
    expectNear(apply(affine, fitProcrustes(text, video), text).data, video.data, {atol: 1e-5, rtol: 0}, 'T(y)');
  });

  it('leaves no smaller error to any other turn or scale', () => {
    const text = normalCloud(40, 3, 2);
    const noise = normalCloud(40, 3, 3);
    const turned = affineCloud(text, scaled(turn(3, 1.2), 0.8), [0, 1, 0]);
    const video = {...turned, data: turned.data.map((v, at) => v + 0.7 * noise.data[at])};
    const error = (params: Params, extra: number[][]): number => {
      const {mean} = moments(text);
      // The extra turn is about the texts' mean, so that the means still meet.
      const about = affineCloud(
        text,
        extra,
        Array.from(mean, (m, j) => m - mean.reduce((sum, v, i) => sum + v * extra[i][j], 0)),
      );
      const mapped = apply(affine, params, about);
      return mapped.data.reduce((sum, v, at) => sum + (v - video.data[at]) ** 2, 0);
    };
    const params = fitProcrustes(text, video);
    const best = error(params, diagonal(1, 1, 1));
    for (const angle of [-0.05, 0.05]) {
      const small = [
        [Math.cos(angle), -Math.sin(angle), 0],
        [Math.sin(angle), Math.cos(angle), 0],
        [0, 0, 1],
      ];
      expect(error(params, small)).to.be.above(best + 1e-3);
    }
    for (const factor of [0.97, 1.03]) expect(error(params, diagonal(factor, factor, factor))).to.be.above(best + 1e-3);
  });

  it('keeps rotations orthogonal, and does not turn what pairs say nothing about', () => {
    // Rank 1 in three dimensions.
    const rotation = nearestRotation(Float64Array.from([0, 2, 0, 0, 0, 0, 0, 0, 0]), 3);
    const dot = (i: number, j: number): number =>
      [0, 1, 2].reduce((sum, k) => sum + rotation[i * 3 + k] * rotation[j * 3 + k], 0);
    for (let i = 0; i < 3; i++) for (let j = 0; j < 3; j++) expect(dot(i, j)).to.be.closeTo(i === j ? 1 : 0, 1e-12);
    expect(rotation[1]).to.be.closeTo(1, 1e-6);
    expect(rotation[8]).to.be.closeTo(1, 1e-6);
  });

  it('refuses what are not pairs', () => {
    expect(() => fitProcrustes(normalCloud(5, 2, 1), normalCloud(6, 2, 1))).to.throw(
      ShapeError,
      /wanted pairs; got texts \[5, 2\]/,
    );
  });
});

describe('fitEntropicMap', () => {
  it('translates a cloud to its own translation when ε is small', () => {
    const text = normalCloud(40, 3, 1);
    const video = affineCloud(text, diagonal(1, 1, 1), [5, -3, 1]);
    const fit = fitEntropicMap(text, video, {relativeEpsilon: 0.001, iterations: 20000});
    expect(fit.converged).to.equal(true);
    expectNear(apply(entropicMap, fit.params, text).data, video.data, {atol: 0.02, rtol: 0}, 'T(y)');
  });

  it('goes to the mean of all when ε is large', () => {
    const [text, video] = [normalCloud(30, 2, 1), normalCloud(50, 2, 2)];
    const {mean} = moments(video);
    const mapped = apply(entropicMap, fitEntropicMap(text, video, {relativeEpsilon: 1e4}).params, text);
    expectNear(
      mapped.data,
      Array.from({length: 60}, (_, at) => mean[at % 2]),
      {atol: 1e-3, rtol: 0},
      'T(y)',
    );
  });

  it('has the slope of the entropic plan between two Gaussians', () => {
    // Quantiles of two normals of deviation a and b. Janati et al. 2020, arXiv:2006.02572, theorem 1: with the cost |x − y|² and
    // ε = 2σ², the plan's covariance is (√(4a²b² + σ⁴) − σ²)/2.
    const n = 400;
    const normal = Array.from({length: n}, (_, i) => quantile((i + 0.5) / n));
    const [a, b] = [1, 2];
    const [text, video] = [a, b].map((s) =>
      float32(
        normal.map((z) => s * z),
        [n, 1],
      ),
    );
    const fit = fitEntropicMap(text, video, {relativeEpsilon: 0.3});
    const s = fit.epsilon / 2;
    const slope = (Math.sqrt(4 * a ** 2 * b ** 2 + s ** 2) - s) / 2 / a ** 2;
    const mapped = apply(entropicMap, fit.params, float32([-1, -0.5, 0, 0.5, 1], [5, 1]));
    expectNear(
      mapped.data,
      [-1, -0.5, 0, 0.5, 1].map((y) => slope * y),
      {atol: 0.01, rtol: 0},
      'T(y)',
    );
    expect(slope).to.be.within(1.2, 1.8);
  });

  it('carries the texts to the videos’ mean, whatever ε is', () => {
    const [text, video] = [normalCloud(60, 3, 5), affineCloud(normalCloud(50, 3, 6), diagonal(1, 2, 1), [1, 0, 0])];
    for (const relativeEpsilon of [0.05, 1]) {
      const mapped = apply(entropicMap, fitEntropicMap(text, video, {relativeEpsilon}).params, text);
      expectNear(moments(mapped).mean, moments(video).mean, {atol: 2e-3, rtol: 0}, 'mean');
    }
  });

  it('refuses sets of different width', () => {
    expect(() => fitEntropicMap(normalCloud(9, 2, 1), normalCloud(9, 3, 1))).to.throw(ShapeError, /one width; got 2 and 3/);
  });
});

/** The number below which a standard normal lies with probability p, by bisection of its distribution function. */
function quantile(p: number): number {
  let [low, high] = [-8, 8];
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (distribution(middle) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** Φ(x) by its power series. */
function distribution(x: number): number {
  let [term, sum] = [x, x];
  for (let k = 1; k < 200; k++) {
    term *= -(x * x) / (2 * k);
    sum += term / (2 * k + 1);
  }
  return 0.5 + sum / Math.sqrt(2 * Math.PI);
}
