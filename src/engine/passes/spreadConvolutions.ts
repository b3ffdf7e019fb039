/**
 * Transposed convolutions as plain ones: the input is spread apart with zeros and convolved with the filter turned round.
 *
 * The CPU's own operator is two to three times as fast. WebGPU's knows one and two dimensions only, and with groups and strides
 * it gave wrong numbers without a word (onnxruntime 1.30).
 */
import type {Graph, Node, Value} from '../graph.js';
import {reshape, slice, transpose} from '../lower/lowering.js';
import {spread} from '../lower/window.js';
import {rewrite, type Program} from './rewrite.js';

/** `[in, out/groups, …]` → `[out, in/groups, …]`, turned round along the spatial axes. */
function turned(graph: Graph, filter: Value, groups: number): Value {
  const [inputs, outputs, ...size] = filter.shape;
  const apart = reshape(graph, filter, [groups, inputs / groups, outputs, ...size]);
  const swapped = transpose(graph, apart, [0, 2, 1, ...size.map((_, i) => i + 3)]);
  const joined = reshape(graph, swapped, [groups * outputs, inputs / groups, ...size]);
  const axes = size.flatMap((n, i) => (n === 1 ? [] : [i + 2]));
  return axes.length === 0
    ? joined
    : slice(
        graph,
        joined,
        axes,
        axes.map((a) => joined.shape[a] - 1),
        axes.map(() => -1),
        axes.map(() => -1),
      );
}

function asConvolution(graph: Graph, node: Node, [x, filter]: readonly Value[]): Value | undefined {
  const list = (name: string): readonly number[] => node.attributes[name] as readonly number[];
  const [size, strides, pads] = [list('kernel_shape'), list('strides'), list('pads')];
  const [output] = node.outputs;
  const wide = spread(graph, x, strides, 2);
  const before = size.map((k, i) => k - 1 - pads[i]);
  const after = size.map((k, i) => output.shape[i + 2] + k - 1 - wide.shape[i + 2] - before[i]);
  if ([...before, ...after].some((n) => n < 0)) return undefined;
  const ones = size.map(() => 1);
  const attributes = {
    kernel_shape: size,
    strides: ones,
    dilations: ones,
    pads: [...before, ...after],
    group: node.attributes['group'],
  };
  return graph.op('Conv', [wide, turned(graph, filter, node.attributes['group'] as number)], output, attributes);
}

/** Applies the pass. */
export const spreadConvolutions = (program: Program): Program =>
  rewrite(program, (graph, node, inputs) => {
    if (node.op !== 'ConvTranspose') return undefined;
    const made = asConvolution(graph, node, inputs as readonly Value[]);
    return made && [made];
  });
