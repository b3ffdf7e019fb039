/** Operators that onnxruntime has one kernel for; `autograd/fused.ts` says what they compute. */
import {DEPTHWISE, DEPTHWISE_FILTER, GELU, LAYER_NORM, ROTARY} from '../../autograd/fused.js';
import {depthwise, depthwiseFilterGradient, type Grid} from './depthwise.js';
import type {Lowerings} from './lowering.js';

/** Their lowerings. */
export const fused: Lowerings = {
  [LAYER_NORM]: (graph, {x}, {epsilon}) => {
    const width = x.shape.at(-1)!;
    const row = {dtype: x.dtype, shape: x.shape.map((d, i) => (i === x.shape.length - 1 ? 1 : d))};
    const [y, , inverseStd] = graph.ops(
      'LayerNormalization',
      [x, graph.fill(1, [width], x.dtype), graph.fill(0, [width], x.dtype)],
      [{dtype: x.dtype, shape: x.shape}, row, row],
      {axis: x.shape.length - 1, epsilon: {float: epsilon as number}},
    );
    return [y, inverseStd];
  },
  [GELU]: (graph, {x, bias}) => [graph.op('BiasGelu', [x, bias], {dtype: x.dtype, shape: x.shape}, {}, 'com.microsoft')],
  [ROTARY]: (graph, {x, cos, sin}) => {
    const y = graph.op(
      'RotaryEmbedding',
      [x, graph.ints([0]), cos, sin],
      {dtype: x.dtype, shape: x.shape},
      {interleaved: 0},
      'com.microsoft',
    );
    return [y];
  },
  [DEPTHWISE]: (graph, {x, kernel}, {grid}) => [depthwise(graph, x, kernel, grid as Grid)],
  [DEPTHWISE_FILTER]: (graph, {x, dy}, {grid, taps}) => [depthwiseFilterGradient(graph, x, dy, grid as Grid, taps as number)],
};
