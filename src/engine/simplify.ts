/**
 * Peephole rules: an operator whose result is already there, or is cheaper to say otherwise.
 *
 * Gradients make most of the work for these. The backward of a sum multiplies by ones, a loss adds zeros, a reshape follows
 * a reshape; each such node would be one more pass over memory.
 */
import type {Attributes, Graph, OutputSpec, Value} from './graph.js';
import {broadcastShape, sameShape} from './shapes.js';

const elementwise = new Set([
  'Add',
  'Sub',
  'Mul',
  'Div',
  'Pow',
  'Max',
  'Min',
  'Greater',
  'GreaterOrEqual',
  'Less',
  'LessOrEqual',
  'Equal',
]);

/** The value that an `Expand` repeats, or a scalar for a constant of one repeated number: what broadcasting can do by itself. */
function narrowed(graph: Graph, v: Value): Value {
  if (v.uniform !== undefined && v.shape.length > 0) return graph.scalar(v.uniform, v.dtype);
  if (v.node?.op === 'Expand') return v.node.inputs[0]!;
  return v;
}

/** `v` repeated to `shape`, or `v` itself where it has that shape already. */
const expanded = (graph: Graph, v: Value, shape: readonly number[]): Value =>
  sameShape(v.shape, shape) ? v : graph.op('Expand', [v, graph.ints(shape)], {dtype: v.dtype, shape});

/** Whether a factor may stand for two: the device flushes denormal numbers to zero, and an overflow would not come back. */
function isNormal(n: number): boolean {
  const magnitude = Math.abs(Math.fround(n));
  return magnitude >= 2 ** -126 && magnitude < Infinity;
}

/** The shorter form of a node about to be added, or undefined if there is none. */
export function simplify(
  graph: Graph,
  op: string,
  inputs: readonly (Value | undefined)[],
  output: OutputSpec,
  attributes: Attributes,
): Value | undefined {
  const x = inputs[0];
  if (!x) return undefined;
  if (op === 'Identity') return x;
  if (op === 'Cast' && x.dtype === output.dtype) return x;
  // Bytes are integers inside a function; what becomes of those comes straight from the bytes.
  if (op === 'Cast' && x.dtype === 'int32' && x.node?.op === 'Cast' && x.node.inputs[0]!.dtype === 'uint8')
    return graph.op('Cast', [x.node.inputs[0]], output, attributes);
  if (op === 'Reshape') {
    if (sameShape(x.shape, output.shape)) return x;
    if (x.uniform !== undefined) return graph.fill(x.uniform, output.shape, x.dtype);
    if (x.node?.op === 'Reshape') return graph.op('Reshape', [x.node.inputs[0], inputs[1]], output);
  }
  if (op === 'Expand') {
    if (sameShape(x.shape, output.shape)) return x;
    if (x.uniform !== undefined) return graph.fill(x.uniform, output.shape, x.dtype);
  }
  if (op === 'Transpose') {
    const perm = attributes['perm'] as readonly number[];
    if (perm.every((axis, i) => axis === i)) return x;
    if (x.uniform !== undefined) return graph.fill(x.uniform, output.shape, x.dtype);
    if (x.node?.op === 'Transpose') {
      const inner = x.node.attributes['perm'] as readonly number[];
      return graph.op('Transpose', [x.node.inputs[0]], output, {perm: perm.map((axis) => inner[axis])});
    }
    // Moving only axes of size 1 moves no element: a reshape, which copies nothing.
    const moved = perm.filter((axis) => x.shape[axis] !== 1);
    if (moved.every((axis, i) => i === 0 || axis > moved[i - 1])) {
      return graph.op('Reshape', [x, graph.ints(output.shape)], output);
    }
  }
  if (op === 'Neg' && x.node?.op === 'Neg') return x.node.inputs[0];
  if (op === 'Sqrt' || op === 'Neg' || op === 'Exp') {
    if (x.uniform !== undefined && x.dtype === 'float32') {
      const f = op === 'Sqrt' ? Math.sqrt : op === 'Exp' ? Math.exp : (n: number): number => -n;
      return graph.fill(Math.fround(f(x.uniform)), x.shape, x.dtype);
    }
  }
  if (op === 'Concat' && inputs.length === 1) return x;
  const y = inputs[1];
  if (!y || !elementwise.has(op)) return undefined;
  if (x.dtype === 'float32') {
    const zero = (v: Value): boolean => v.uniform === 0;
    const one = (v: Value): boolean => v.uniform === 1;
    if (op === 'Add' && zero(y)) return expanded(graph, x, output.shape);
    if (op === 'Add' && zero(x)) return expanded(graph, y, output.shape);
    if (op === 'Sub' && zero(y)) return expanded(graph, x, output.shape);
    if (op === 'Sub' && zero(x)) return graph.op('Neg', [expanded(graph, y, output.shape)], output);
    if (op === 'Mul' && one(y)) return expanded(graph, x, output.shape);
    if (op === 'Mul' && one(x)) return expanded(graph, y, output.shape);
    if (op === 'Div' && one(y)) return expanded(graph, x, output.shape);
    // This hides a NaN or an infinity in the other factor. Zero constants come from absent gradients and from terms of a loss
    // that are switched off, and what they multiply must cost nothing.
    if (op === 'Mul' && (zero(x) || zero(y))) return graph.fill(0, output.shape, output.dtype);
    if (op === 'Div' && y.uniform !== undefined && x.uniform === undefined && isNormal(1 / y.uniform)) {
      return graph.op('Mul', [x, graph.fill(Math.fround(1 / y.uniform), y.shape, y.dtype)], output);
    }
    if (x.uniform !== undefined && y.uniform !== undefined) {
      const [a, b] = [x.uniform, y.uniform];
      const folded = op === 'Add' ? a + b : op === 'Sub' ? a - b : op === 'Mul' ? a * b : op === 'Div' ? a / b : undefined;
      if (folded !== undefined) return graph.fill(Math.fround(folded), output.shape, output.dtype);
    }
    // Constant factors go to the right, so that equal products have one spelling and chains of factors meet.
    if ((op === 'Mul' || op === 'Add') && x.uniform !== undefined && y.uniform === undefined) return graph.op(op, [y, x], output);
    // (x·c)·d = x·(cd): chains of constant factors come from means of means.
    if (op === 'Mul' && y.uniform !== undefined && x.node?.op === 'Mul') {
      const [p, q] = x.node.inputs as [Value, Value];
      if (q.uniform !== undefined && sameShape(p.shape, output.shape) && isNormal(q.uniform * y.uniform)) {
        return graph.op('Mul', [p, graph.scalar(Math.fround(q.uniform * y.uniform), y.dtype)], output);
      }
    }
    // x + (−y), (−x) + y, x − (−y)
    if (op === 'Add' && y.node?.op === 'Neg') return graph.op('Sub', [x, y.node.inputs[0]], output);
    if (op === 'Add' && x.node?.op === 'Neg') return graph.op('Sub', [y, x.node.inputs[0]], output);
    if (op === 'Sub' && y.node?.op === 'Neg') return graph.op('Add', [x, y.node.inputs[0]], output);
  }
  // Let the operator broadcast what an Expand would have written out.
  const [narrowX, narrowY] = [narrowed(graph, x), narrowed(graph, y)];
  const small = narrowX !== x && narrowY !== y ? broadcastShape(narrowX.shape, narrowY.shape) : undefined;
  // Both operands repeat something: compute small, then repeat.
  if (small && small.length === output.shape.length) {
    return expanded(graph, graph.op(op, [narrowX, narrowY], {dtype: output.dtype, shape: small}, attributes), output.shape);
  }
  for (const [a, b] of [
    [x, narrowY],
    [narrowX, y],
  ] as const) {
    if (a === x && b === y) continue;
    const shape = broadcastShape(a.shape, b.shape);
    if (shape && sameShape(shape, output.shape)) return graph.op(op, [a, b], output, attributes);
  }
  return undefined;
}
