/**
 * A program of its own: `node probe.js webgpu` opens a session on a provider and computes one product. A provider that fails
 * does so on the console, or by ending the process, neither of which may happen to the one who asks.
 */
import * as ort from 'onnxruntime-node';
import {Graph} from './graph.js';
import {encodeOnnx} from './onnx.js';

const graph = new Graph();
const x = graph.input({dtype: 'float32', shape: [2, 2]});
const y = graph.op('MatMul', [x, x], {dtype: 'float32', shape: [2, 2]});
try {
  const session = await ort.InferenceSession.create(encodeOnnx(graph, [y]), {
    executionProviders: [process.argv[2]],
    logSeverityLevel: 4,
  });
  const {y0} = await session.run({x0: new ort.Tensor('float32', [1, 2, 3, 4], [2, 2])});
  const product = Array.from(y0.data as Float32Array).join(', ');
  process.stdout.write(product === '7, 10, 15, 22' ? 'ok' : `a 2×2 product came out as [${product}]`);
} catch (error) {
  process.stdout.write(error instanceof Error ? error.message : String(error));
}
// Some drivers keep threads that would hold the process.
process.exit(0);
