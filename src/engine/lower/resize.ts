/** Resizing images: products with constant matrices, or gathers where each output is one input (see `autograd/resize.ts`). */
import {resizeMatrix, type ResizeOptions} from '../../autograd/resize.js';
import type {Graph, Value} from '../graph.js';
import {matMul} from './linalg.js';
import {reshape, type Lowering, type Lowerings} from './lowering.js';

function alongAxis(graph: Graph, x: Value, axis: 1 | 2, to: number, options: ResizeOptions): Value {
  const from = x.shape[axis];
  if (from === to) return x;
  const matrix = resizeMatrix(from, to, options);
  const shape = x.shape.map((d, i) => (i === axis ? to : d));
  if (options.nearest) {
    return graph.op('Gather', [x, graph.ints(matrix.map((row) => row.indexOf(1)))], {dtype: x.dtype, shape}, {axis});
  }
  const before = x.shape.slice(0, axis).reduce((n, d) => n * d, 1);
  const after = x.shape.slice(axis + 1).reduce((n, d) => n * d, 1);
  const weights = graph.constant(matrix.flat(), [to, from], 'float32');
  return reshape(graph, matMul(graph, weights, reshape(graph, x, [before, from, after]), false, false), shape);
}

const resized =
  (nearest: boolean): Lowering =>
  (graph, {images}, {size, alignCorners, halfPixelCenters}) => {
    const [height, width] = size as [number, number];
    const options = {nearest, alignCorners: alignCorners === true, halfPixelCenters: halfPixelCenters === true};
    return alongAxis(graph, alongAxis(graph, images, 1, height, options), 2, width, options);
  };

/** Their lowerings. */
export const resize: Lowerings = {ResizeBilinear: resized(false), ResizeNearestNeighbor: resized(true)};
