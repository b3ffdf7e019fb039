/** Costs against the released code's numbers, and against plain loops. */
import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import type {TokenGeometry} from '../../src/encoder.js';
import {ShapeError} from '../../src/errors.js';
import type {Rows} from '../../src/numeric/moments.js';
import {normals} from '../../src/tensor/random.js';
import {
  cosineMatrix,
  minMaxScaledMatrix,
  spatioTemporalMatrix,
  squaredEuclideanMatrix,
} from '../../src/transport/costMatrices.js';
import {gridGeometry} from '../../src/transport/gridGeometry.js';
import {
  cosineCost,
  expectedPlaces,
  layoutOf,
  spatioTemporalCost,
  squaredEuclideanCost,
  type SpatioTemporalOptions,
} from '../../src/transport/costs.js';
import {cases, expectClose, expectOutput, numbers, tensor, values, type Case} from '../support/golden.js';

interface CostParams {
  temporal_weight: number;
  spatial_weight: number;
  variants?: Record<string, [number, number]>;
}

const geometryOf = ({inputs}: Case<unknown>): TokenGeometry => {
  const places = numbers(inputs['spatial_coordinates']);
  return {
    frames: numbers(inputs['frame_indices']),
    rows: places.filter((_, i) => i % 2 === 0),
    columns: places.filter((_, i) => i % 2 === 1),
  };
};

describe('transport: costs', () => {
  for (const c of cases<CostParams>('pot.json', 'cost')) {
    const {inputs, params, outputs} = c;
    const [text, video] = [inputs['text'], inputs['video']].map((t) => tf.expandDims(tensor(t), 0));
    const weights = tf.reshape(tensor(inputs['attention']), [1, 1, ...inputs['attention'].shape]);
    const geometry = geometryOf(c);
    const cost = (temporalWeight: number, spatialWeight: number): tf.Tensor =>
      spatioTemporalCost({text, video, weights, geometry}, {temporalWeight, spatialWeight});

    it(`is the released code's: ${c.name}`, () => {
      expectOutput(c, 'cost', cost(params.temporal_weight, params.spatial_weight));
      for (const [output, [temporal, spatial]] of Object.entries(params.variants ?? {})) {
        if (output in outputs) expectOutput(c, output, cost(temporal, spatial));
      }
      if ('expected_frame' in outputs) {
        const [frame, row, column] = tf.split(expectedPlaces(weights, layoutOf(geometry, {})), 3, -1);
        expectOutput(c, 'expected_frame', frame);
        expectOutput(c, 'expected_position', tf.concat([row, column], -1));
      }
    });
  }

  it('counts squared distances and angles, in the graph and in arrays', () => {
    const [xs, ys] = [
      [1, 2, 0, 0, 3, -1],
      [2, 4, 1, 2],
    ];
    const [x, y] = [tf.tensor3d(xs, [1, 3, 2]), tf.tensor3d(ys, [1, 2, 2])];
    const arrays = [
      {shape: [3, 2], data: xs},
      {shape: [2, 2], data: ys},
    ] as const;
    const squares = [5, 0, 20, 5, 26, 13];
    expectClose(squaredEuclideanCost(x, y), squares, 1e-5);
    expectClose(squaredEuclideanMatrix(...arrays), squares, 1e-12);
    const cos = 1 / Math.sqrt(50);
    const angles = [0, 0, 1, 1, 1 - cos, 1 - cos];
    expectClose(cosineCost(x, y), angles, 1e-6);
    expectClose(cosineMatrix(...arrays), angles, 1e-12);
    expectClose(minMaxScaledMatrix(Float64Array.of(2, 4, 3)), [0, 1, 0.5], 1e-15);
    expectClose(minMaxScaledMatrix(Float64Array.of(2, 2)), [0, 0], 0);
  });

  const draw = (purpose: string, n: number): Float32Array => normals({seed: 31, purpose}, new Float32Array(n));
  const [B, HEADS, N, D] = [2, 3, 4, 5];
  const grid = gridGeometry(3, 2, 2);
  const M = grid.frames.length;
  const batch = {
    text: tf.tensor(draw('text', B * N * D), [B, N, D]),
    video: tf.tensor(draw('video', B * M * D), [B, M, D]),
    weights: tf.softmax(tf.tensor(draw('weights', B * HEADS * N * M), [B, HEADS, N, M])),
    geometry: grid,
  };
  const forms: readonly SpatioTemporalOptions[] = [
    {},
    {spatialRange: 'paper'},
    {unplaced: 'free'},
    {unplaced: 'free', spatialRange: 'paper', temporalWeight: 0.5},
    {temporalWeight: 0},
    {spatialWeight: 0},
    {temporalWeight: 0, spatialWeight: 0},
  ];

  it('of a batch of heads is that of each head by itself, in every form', () => {
    const [text, video, weights] = [batch.text, batch.video, batch.weights].map(values);
    for (const options of forms) {
      const all = values(spatioTemporalCost(batch, options));
      for (let b = 0; b < B; b++) {
        for (let head = 0; head < HEADS; head++) {
          const at = (b * HEADS + head) * N * M;
          const one = spatioTemporalMatrix(
            {
              text: {shape: [N, D], data: text.slice(b * N * D, (b + 1) * N * D)},
              video: {shape: [M, D], data: video.slice(b * M * D, (b + 1) * M * D)},
              weights: weights.slice(at, at + N * M),
              geometry: grid,
            },
            options,
          );
          expectClose(all.slice(at, at + N * M), one, 2e-6, 0, JSON.stringify(options));
        }
      }
    }
  });

  it('differs by form only where it should', () => {
    const of = (options: SpatioTemporalOptions): number[] => values(spatioTemporalCost(batch, options));
    const distance = (x: number[], y: number[]): number => Math.max(...x.map((v, i) => Math.abs(v - y[i])));
    // The sentinel at (−1, −1) doubles the largest distance, so the paper's range halves the spatial term.
    expect(distance(of({spatialRange: 'paper'}), of({spatialWeight: 0.1}))).to.be.lessThan(1e-6);
    expect(distance(of({spatialRange: 'paper'}), of({}))).to.be.greaterThan(1e-2);
    // Without the sentinel a grid's diagonal is √2.
    expect(distance(of({unplaced: 'free', spatialRange: 'paper'}), of({unplaced: 'free'}))).to.be.lessThan(1e-6);
    expect(distance(of({unplaced: 'free'}), of({}))).to.be.greaterThan(1e-2);
  });

  it('leaves rows that take no part out of the scaling', () => {
    const rows = tf.tensor2d([1, 0, 1, 1, 1, 1, 0, 0], [B, N]);
    const masked = values(spatioTemporalCost({...batch, rows}));
    const kept = [0, 2, 3];
    const pick = (t: tf.Tensor, axis: number): tf.Tensor => tf.gather(tf.slice(t, [0], [1]), kept, axis);
    const alone = values(
      spatioTemporalCost({
        ...batch,
        text: pick(batch.text, 1),
        video: tf.slice(batch.video, [0], [1]),
        weights: pick(batch.weights, 2),
      }),
    );
    const found = alone.map((_, at) => {
      const [head, row, column] = [Math.floor(at / (3 * M)), Math.floor(at / M) % 3, at % M];
      return masked[(head * N + kept[row]) * M + column];
    });
    expectClose(found, alone, 1e-6);
    expect(Math.min(...masked)).to.equal(0);
    expect(Math.max(...masked)).to.equal(1);
  });

  it('has a finite gradient, also where a word looks at one token alone and where nothing takes part', () => {
    const onto = tf.cast(tf.oneHot(tf.zeros([B, HEADS, N], 'int32'), M), 'float32');
    const rows = tf.tensor2d([1, 1, 1, 1, 0, 0, 0, 0], [B, N]);
    const [dText, dWeights] = tf.grads((text: tf.Tensor, weights: tf.Tensor) =>
      tf.sum(tf.square(spatioTemporalCost({...batch, text, weights, rows}))),
    )([batch.text, onto]);
    for (const gradient of [dText, dWeights]) {
      const numbersOf = values(gradient);
      expect(numbersOf.every(Number.isFinite)).to.equal(true);
      expect(Math.max(...numbersOf.map(Math.abs))).to.be.greaterThan(0);
    }
  });

  it('refuses sizes that do not fit one another', () => {
    const short = {...grid, rows: grid.rows.slice(1)};
    expect(() => spatioTemporalCost({...batch, geometry: short})).to.throw(ShapeError, /got 13, 12 and 13/);
    expect(() => spatioTemporalCost({...batch, geometry: gridGeometry(1, 2, 2)})).to.throw(ShapeError, /has 5 video tokens/);
    const cloud = (n: number, width: number): Rows => ({shape: [n, width], data: new Float64Array(n * width)});
    expect(() => squaredEuclideanMatrix(cloud(2, 3), cloud(2, 4))).to.throw(ShapeError, /one width; got 3 and 4/);
    expect(() =>
      spatioTemporalMatrix({text: cloud(2, 3), video: cloud(4, 3), weights: new Float64Array(26), geometry: grid}),
    ).to.throw(ShapeError, /has 13 video tokens; got features of 4 and 26 weights for 2 words/);
  });

  for (const c of cases<{num_video_tokens: number; patches_per_frame: number}>('pot.json', 'geometry')) {
    it(`lies on the released code's grid: ${c.name}`, () => {
      const side = Math.sqrt(c.params.patches_per_frame);
      const {frames, rows, columns} = gridGeometry((c.params.num_video_tokens - 1) / side ** 2, side, side);
      expectOutput(c, 'frame_indices', frames);
      expectOutput(
        c,
        'spatial_coordinates',
        rows.flatMap((row, i) => [row, columns[i]]),
      );
    });
  }
});
