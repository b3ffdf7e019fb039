/** What onnxruntime makes of a function: its graph after its own optimisations, in the order in which it runs. */
import {fromBinary} from '@bufbuild/protobuf';
import {ModelProtoSchema, type NodeProto} from 'onnx-buf';
import * as ort from 'onnxruntime-node';
import {mkdtemp, readFile, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {encodeOnnx} from '../../src/engine/onnx.js';
import {optimise} from '../../src/engine/passes/index.js';
import {trace, type InputSpec, type NumericFunction} from '../../src/engine/trace.js';
import {sizeOf} from '../../src/tensor/ndarray.js';
import type {Branch} from '../../src/tensor/tree.js';

/** A compiled function as the runtime has it. */
export interface RuntimeGraph {
  /** In the order of execution. */
  readonly nodes: readonly NodeProto[];
  /** Most elements that are held at once between nodes, inputs and outputs of the graph apart. */
  readonly livePeak: number;
}

/** Operators whose result lies where their operand does. */
const VIEWS = new Set(['Reshape', 'Squeeze', 'Unsqueeze', 'Identity']);

/** Compiles a function as the `cpu` device does, and reads what the runtime has left of it. */
export async function runtimeGraph(fn: NumericFunction, specs: Branch<InputSpec>): Promise<RuntimeGraph> {
  const traced = trace('test', fn, specs);
  const program = optimise(
    traced.graph,
    traced.outputs.map(({value}) => value),
    'cpu',
  );
  const folder = await mkdtemp(join(tmpdir(), 'rlft-graph-'));
  try {
    const file = join(folder, 'model.onnx');
    const session = await ort.InferenceSession.create(encodeOnnx(program.graph, program.outputs), {
      graphOptimizationLevel: 'all',
      optimizedModelFilePath: file,
      logSeverityLevel: 4,
    });
    await session.release();
    const {graph} = fromBinary(ModelProtoSchema, await readFile(file));
    const sizes = new Map(program.graph.nodes.flatMap(({outputs}) => outputs.map(({id, shape}) => [`v${id}`, sizeOf(shape)])));
    return {nodes: graph!.node, livePeak: livePeak(graph!.node, sizes)};
  } finally {
    await rm(folder, {recursive: true});
  }
}

/** What the runtime has renamed counts as nothing. */
function livePeak(nodes: readonly NodeProto[], sizes: ReadonlyMap<string, number>): number {
  const home = new Map<string, string>();
  const at = (name: string): string => home.get(name) ?? name;
  const lastUse = new Map<string, number>();
  nodes.forEach(({opType, input, output}, i) => {
    for (const name of input) lastUse.set(at(name), i);
    if (VIEWS.has(opType)) home.set(output[0], at(input[0]));
  });
  let live = 0;
  let peak = 0;
  const held = new Set<string>();
  nodes.forEach(({input, output}, i) => {
    for (const name of output) {
      const size = sizes.get(name);
      if (home.has(name) || size === undefined) continue;
      held.add(name);
      live += size;
    }
    peak = Math.max(peak, live);
    for (const name of [...input, ...output].map(at)) {
      if (!held.has(name) || (lastUse.get(name) ?? i) > i) continue;
      held.delete(name);
      live -= sizes.get(name)!;
    }
  });
  return peak;
}
