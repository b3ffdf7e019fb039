/** Costs against the released code's numbers, and against plain loops. */
import * as tf from '@tensorflow/tfjs-core';
import type {TokenGeometry} from '../../src/encoder.js';
import {cosineCost, expectedPlaces, layoutOf, spatioTemporalCost, squaredEuclideanCost} from '../../src/transport/costs.js';
import {cases, expectClose, expectOutput, numbers, tensor, type Case} from '../support/golden.js';

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

  it('counts squared distances and angles', () => {
    const x = tf.tensor3d([
      [
        [1, 2],
        [0, 0],
        [3, -1],
      ],
    ]);
    const y = tf.tensor3d([
      [
        [2, 4],
        [1, 2],
      ],
    ]);
    expectClose(squaredEuclideanCost(x, y), [5, 0, 20, 5, 26, 13], 1e-5);
    const cos = 1 / Math.sqrt(50);
    expectClose(cosineCost(x, y), [0, 0, 1, 1, 1 - cos, 1 - cos], 1e-6);
  });
});
