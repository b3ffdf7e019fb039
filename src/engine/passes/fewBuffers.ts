/**
 * Splits and joins of many parts, for WebGPU: a shader may bind eight buffers unless the driver offers more, and the runtime
 * binds one for each part. Parameters that are packed into one vector have dozens.
 */
import type {Graph, Value} from '../graph.js';
import {slice} from '../lower/lowering.js';
import {rewrite, type Program} from './rewrite.js';

/** Parts that one operator may have beside the whole. */
const MOST_PARTS = 7;

/** Each part by a slice of its own. */
function cut(graph: Graph, x: Value, parts: readonly Value[], axis: number): Value[] {
  let start = 0;
  return parts.map((part) => {
    const from = start;
    start += part.shape[axis];
    return slice(graph, x, [axis], [from], [start]);
  });
}

/** Joins a few at a time, and then what was joined. */
function join(graph: Graph, parts: readonly Value[], axis: number): Value {
  if (parts.length === 1) return parts[0];
  const groups = Array.from({length: Math.ceil(parts.length / MOST_PARTS)}, (_, i) =>
    parts.slice(i * MOST_PARTS, (i + 1) * MOST_PARTS),
  );
  const joined = groups.map((group) => {
    const total = group.reduce((n, v) => n + v.shape[axis], 0);
    const shape = group[0].shape.map((d, i) => (i === axis ? total : d));
    return group.length === 1 ? group[0] : graph.op('Concat', group, {dtype: group[0].dtype, shape}, {axis});
  });
  return join(graph, joined, axis);
}

/** Applies the pass. */
export const fewBuffers = (program: Program): Program =>
  rewrite(program, (graph, node, inputs) => {
    const axis = node.attributes['axis'] as number;
    if (node.op === 'Split' && node.outputs.length > MOST_PARTS) return cut(graph, inputs[0]!, node.outputs, axis);
    if (node.op === 'Concat' && inputs.length > MOST_PARTS) return [join(graph, inputs as readonly Value[], axis)];
    return undefined;
  });
