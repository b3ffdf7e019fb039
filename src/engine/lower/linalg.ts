/** Matrix products. */
import {UnsupportedOpError} from '../../errors.js';
import {broadcastShape, type Graph, type Value} from '../graph.js';
import {activate} from './elementwise.js';
import {by, listOf, op2, reshape, type Lowerings} from './lowering.js';

/** A product of two matrices, or of two stacks of them, either side transposed. */
export function matMul(graph: Graph, a: Value, b: Value, transposeA: boolean, transposeB: boolean): Value {
  const [ra, rb] = [a.shape.length, b.shape.length];
  const m = a.shape[transposeA ? ra - 1 : ra - 2];
  const n = b.shape[transposeB ? rb - 2 : rb - 1];
  const batch = broadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2))!;
  const output = {dtype: a.dtype, shape: [...batch, m, n]};
  // One matrix each, in a stack of one: the plain product, whose transposes cost nothing.
  if (batch.every((d) => d === 1)) {
    const flat = (v: Value): Value => reshape(graph, v, v.shape.slice(-2));
    const product =
      transposeA || transposeB
        ? graph.op(
            'Gemm',
            [flat(a), flat(b)],
            {dtype: a.dtype, shape: [m, n]},
            {transA: transposeA ? 1 : 0, transB: transposeB ? 1 : 0},
          )
        : graph.op('MatMul', [flat(a), flat(b)], {dtype: a.dtype, shape: [m, n]});
    return reshape(graph, product, output.shape);
  }
  if (!transposeA && !transposeB) return graph.op('MatMul', [a, b], output);
  return graph.op('FusedMatMul', [a, b], output, {transA: transposeA ? 1 : 0, transB: transposeB ? 1 : 0}, 'com.microsoft');
}

/** Their lowerings. */
export const linalg: Lowerings = {
  BatchMatMul: by('MatMul', (graph, {a, b}, {transposeA, transposeB}) =>
    matMul(graph, a, b, transposeA === true, transposeB === true),
  ),
  _FusedMatMul: (graph, {a, b, bias, preluActivationWeights}, {transposeA, transposeB, activation, leakyreluAlpha}) => {
    const y = matMul(graph, a, b, transposeA === true, transposeB === true);
    return activate(graph, bias ? op2(graph, 'Add', y, bias) : y, activation, leakyreluAlpha, preluActivationWeights);
  },
  Einsum: by('Einsum', (graph, inputs, {equation}) => {
    const all = listOf(inputs);
    const [from, to = ''] = (equation as string).replace(/\s/g, '').split('->');
    if (to === '')
      throw new UnsupportedOpError(
        'compile: Einsum to a scalar, which tfjs itself gets wrong on the CPU; keep an axis and sum it with tf.sum.',
      );
    const sizes = new Map<string, number>();
    from.split(',').forEach((letters, i) => [...letters].forEach((letter, axis) => sizes.set(letter, all[i].shape[axis])));
    return graph.op(
      'Einsum',
      all,
      {dtype: all[0].dtype, shape: [...to].map((letter) => sizes.get(letter)!)},
      {equation: equation as string},
    );
  }),
  Diag: (graph, {x}) => {
    const n = x.shape.reduce((size, d) => size * d, 1);
    const eye = graph.constant(
      Array.from({length: n * n}, (_, i) => (i % (n + 1) === 0 ? 1 : 0)),
      [n, n],
      'bool',
    );
    const spread = graph.op('Where', [eye, reshape(graph, x, [n, 1]), graph.scalar(0, x.dtype)], {
      dtype: x.dtype,
      shape: [n, n],
    });
    return reshape(graph, spread, [...x.shape, ...x.shape]);
  },
  FusedBatchNorm: (graph, {x, mean, variance, offset, scale}, {varianceEpsilon}) => {
    const root = graph.op('Sqrt', [op2(graph, 'Add', variance, graph.scalar(varianceEpsilon as number))], {
      dtype: 'float32',
      shape: variance.shape,
    });
    const normal = op2(graph, 'Div', op2(graph, 'Sub', x, mean), root);
    const scaled = scale ? op2(graph, 'Mul', normal, scale) : normal;
    return offset ? op2(graph, 'Add', scaled, offset) : scaled;
  },
};
