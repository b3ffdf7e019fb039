/** Matrix products. */
import type {Graph, Value} from '../graph.js';
import {broadcastShape} from '../graph.js';
import {reshape, type Lowerings} from './lowering.js';

/** A product of two matrices, or of two stacks of them, either side transposed. */
export function matMul(graph: Graph, a: Value, b: Value, transposeA: boolean, transposeB: boolean): Value {
  const [ra, rb] = [a.shape.length, b.shape.length];
  const m = a.shape[transposeA ? ra - 1 : ra - 2]!;
  const n = b.shape[transposeB ? rb - 2 : rb - 1]!;
  const batch = broadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2))!;
  const output = {dtype: a.dtype, shape: [...batch, m, n]};
  // One matrix each, in a stack of one: the plain product, whose transposes cost nothing.
  if (batch.every((d) => d === 1)) {
    const flat = (v: Value): Value => reshape(graph, v, v.shape.slice(-2));
    const product =
      transposeA || transposeB
        ? graph.op('Gemm', [flat(a), flat(b)], {dtype: a.dtype, shape: [m, n]}, {transA: transposeA ? 1 : 0, transB: transposeB ? 1 : 0})
        : graph.op('MatMul', [flat(a), flat(b)], {dtype: a.dtype, shape: [m, n]});
    return reshape(graph, product, output.shape);
  }
  if (!transposeA && !transposeB) return graph.op('MatMul', [a, b], output);
  return graph.op('FusedMatMul', [a, b], output, {transA: transposeA ? 1 : 0, transB: transposeB ? 1 : 0}, 'com.microsoft');
}

export const linalg: Lowerings = {
  BatchMatMul: (graph, {a, b}, {transposeA, transposeB}) => matMul(graph, a!, b!, transposeA === true, transposeB === true),
  Einsum: (graph, inputs, {equation}) => {
    const all = Object.keys(inputs).sort((p, q) => Number(p) - Number(q)).map((key) => inputs[key]!);
    const [from, to = ''] = (equation as string).replace(/\s/g, '').split('->');
    const sizes = new Map<string, number>();
    from!.split(',').forEach((letters, i) => [...letters].forEach((letter, axis) => sizes.set(letter, all[i]!.shape[axis]!)));
    return graph.op('Einsum', all, {dtype: all[0]!.dtype, shape: [...to].map((letter) => sizes.get(letter)!)}, {equation: equation as string});
  },
};

