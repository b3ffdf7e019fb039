/** The question whether a session can hold convolutions of blocked channels, which are onnxruntime's own for the CPU. */
import {depthwise} from './lower/depthwise.js';
import {Graph} from './graph.js';
import {encodeOnnx} from './onnx.js';

/** The bytes of a model that loads only where the provider and the processor have them: the vectors must be wide enough. */
export function blockedModel(): Uint8Array {
  const graph = new Graph();
  const x = graph.input({dtype: 'float32', shape: [1, 4, 16]});
  const kernel = graph.input({dtype: 'float32', shape: [16, 9]});
  return encodeOnnx(graph, [depthwise(graph, x, kernel, [1, 2, 2])]);
}
