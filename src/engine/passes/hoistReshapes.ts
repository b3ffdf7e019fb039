/**
 * Computes before reshaping: f(reshape x) = reshape f(x) for what works element by element, so that the reshapes around it meet
 * and cancel. Layers that see tokens as rows, and gradients that undo them, leave hundreds of reshapes behind; each costs
 * microseconds and stands between operators that the runtime would fuse.
 */
import {sizeOf} from '../../tensor/ndarray.js';
import {sameShape, type Value} from '../graph.js';
import {reshape} from '../lower/lowering.js';
import {rewrite, type Program} from './rewrite.js';

const unary = new Set([
  'Abs',
  'Cast',
  'Cos',
  'Erf',
  'Exp',
  'Log',
  'Neg',
  'Reciprocal',
  'Relu',
  'Sigmoid',
  'Sign',
  'Sin',
  'Softplus',
  'Sqrt',
  'Tanh',
]);
const binary = new Set(['Add', 'Div', 'Max', 'Min', 'Mul', 'Pow', 'Sub']);

/** What is reshaped, if the value is a reshape. */
const source = (v: Value): Value | undefined => (v.node?.op === 'Reshape' ? v.node.inputs[0] : undefined);

/** Whether the value is one number: it means the same beside any shape. */
const isNumber = (v: Value): boolean => sizeOf(v.shape) === 1 && v.shape.length <= 1;

/** Applies the pass. */
export const hoistReshapes = (program: Program): Program =>
  rewrite(program, (graph, node, inputs) => {
    const [output] = node.outputs;
    const values = inputs as readonly Value[];
    if (node.domain !== '' || !(unary.has(node.op) ? values.length === 1 : binary.has(node.op) && values.length === 2))
      return undefined;
    const sources = values.map(source);
    const inner = sources.find((v) => v !== undefined);
    if (!inner || sizeOf(inner.shape) !== sizeOf(output.shape)) return undefined;
    // Numbers among themselves stay what they are.
    if (values.every(isNumber)) return undefined;
    const operands = values.map((v, i) => {
      if (isNumber(v)) return reshape(graph, v, []);
      const from = sources[i];
      return from && sameShape(from.shape, inner.shape) ? from : undefined;
    });
    if (operands.includes(undefined)) return undefined;
    const computed = graph.op(node.op, operands, {dtype: output.dtype, shape: inner.shape}, node.attributes);
    return [reshape(graph, computed, output.shape)];
  });
