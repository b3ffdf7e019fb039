/** Kernels that work element by element. */
import {UnsupportedOpError} from '../../errors.js';
import {broadcastShape, type Graph, type GraphDType, type Value} from '../graph.js';
import {onnxDataType} from '../onnx.js';
import {cast, type Lowering, type Lowerings} from './lowering.js';

function together(a: Value, b: Value): number[] {
  const shape = broadcastShape(a.shape, b.shape);
  if (!shape) throw new UnsupportedOpError(`compile: [${a.shape.join()}] and [${b.shape.join()}] do not broadcast.`);
  return shape;
}

const unary = (op: string): Lowering => (graph, {x}) => graph.op(op, [x], {dtype: x!.dtype, shape: x!.shape});

const binary = (op: string, dtype?: GraphDType): Lowering => (graph, {a, b}) =>
  graph.op(op, [a, b], {dtype: dtype ?? a!.dtype, shape: together(a!, b!)});

const same = (x: Value): {dtype: GraphDType; shape: readonly number[]} => ({dtype: x.dtype, shape: x.shape});
const op1 = (graph: Graph, op: string, x: Value): Value => graph.op(op, [x], same(x));
const op2 = (graph: Graph, op: string, a: Value, b: Value): Value => graph.op(op, [a, b], {dtype: a.dtype, shape: together(a, b)});
const number = (graph: Graph, x: Value, n: number): Value => graph.scalar(n, x.dtype);
const compare = (graph: Graph, op: string, a: Value, b: Value): Value => graph.op(op, [a, b], {dtype: 'bool', shape: together(a, b)});
const where = (graph: Graph, condition: Value, a: Value, b: Value): Value =>
  graph.op('Where', [condition, a, b], {dtype: a.dtype, shape: broadcastShape(condition.shape, together(a, b))!});

export const elementwise: Lowerings = {
  Abs: unary('Abs'),
  Acos: unary('Acos'),
  Acosh: unary('Acosh'),
  Asin: unary('Asin'),
  Asinh: unary('Asinh'),
  Atan: unary('Atan'),
  Atanh: unary('Atanh'),
  Ceil: unary('Ceil'),
  Cos: unary('Cos'),
  Cosh: unary('Cosh'),
  Erf: unary('Erf'),
  Exp: unary('Exp'),
  Floor: unary('Floor'),
  Identity: unary('Identity'),
  Log: unary('Log'),
  LogicalNot: unary('Not'),
  Neg: unary('Neg'),
  Reciprocal: unary('Reciprocal'),
  Relu: unary('Relu'),
  Round: unary('Round'),
  Sigmoid: unary('Sigmoid'),
  Sign: unary('Sign'),
  Sin: unary('Sin'),
  Sinh: unary('Sinh'),
  Softplus: unary('Softplus'),
  Sqrt: unary('Sqrt'),
  Tan: unary('Tan'),
  Tanh: unary('Tanh'),

  Add: binary('Add'),
  Sub: binary('Sub'),
  Multiply: binary('Mul'),
  RealDiv: binary('Div'),
  Maximum: binary('Max'),
  Minimum: binary('Min'),
  Pow: binary('Pow'),
  Equal: binary('Equal', 'bool'),
  Greater: binary('Greater', 'bool'),
  GreaterEqual: binary('GreaterOrEqual', 'bool'),
  Less: binary('Less', 'bool'),
  LessEqual: binary('LessOrEqual', 'bool'),
  LogicalAnd: binary('And', 'bool'),
  LogicalOr: binary('Or', 'bool'),
  LogicalXor: binary('Xor', 'bool'),
  NotEqual: (graph, {a, b}) => op1(graph, 'Not', compare(graph, 'Equal', a!, b!)),
  Mod: (graph, {a, b}) => {
    // tfjs follows Python: the result has the sign of the divisor.
    const quotient = op2(graph, 'Div', a!, b!);
    const floor = a!.dtype === 'float32' ? op1(graph, 'Floor', quotient) : quotient;
    return a!.dtype === 'float32'
      ? op2(graph, 'Sub', a!, op2(graph, 'Mul', floor, b!))
      : graph.op('Mod', [a, b], {dtype: a!.dtype, shape: together(a!, b!)}, {fmod: 0});
  },
  FloorDiv: (graph, {a, b}) => {
    if (a!.dtype === 'float32') return op1(graph, 'Floor', op2(graph, 'Div', a!, b!));
    // Integer division of ONNX truncates: through floats it floors, exactly up to 2^24.
    const quotient = op2(graph, 'Div', cast(graph, a!, 'float32', onnxDataType('float32')), cast(graph, b!, 'float32', onnxDataType('float32')));
    return cast(graph, op1(graph, 'Floor', quotient), a!.dtype, onnxDataType(a!.dtype));
  },
  SquaredDifference: (graph, {a, b}) => {
    const d = op2(graph, 'Sub', a!, b!);
    return op2(graph, 'Mul', d, d);
  },
  Square: (graph, {x}) => op2(graph, 'Mul', x!, x!),
  Rsqrt: (graph, {x}) => op1(graph, 'Reciprocal', op1(graph, 'Sqrt', x!)),
  Expm1: (graph, {x}) => {
    // e^x − 1 = 2·tanh(x/2) / (1 − tanh(x/2)): no cancellation near zero.
    const t = op1(graph, 'Tanh', op2(graph, 'Mul', x!, number(graph, x!, 0.5)));
    return op2(graph, 'Div', op2(graph, 'Mul', t, number(graph, x!, 2)), op2(graph, 'Sub', number(graph, x!, 1), t));
  },
  Log1p: (graph, {x}) => {
    // Kahan: log(1+x)·x/((1+x)−1) is accurate where 1+x rounds; x itself where it rounds to 1.
    const u = op2(graph, 'Add', x!, number(graph, x!, 1));
    const d = op2(graph, 'Sub', u, number(graph, x!, 1));
    const tiny = compare(graph, 'Equal', d, number(graph, x!, 0));
    const ratio = op2(graph, 'Div', op2(graph, 'Mul', op1(graph, 'Log', u), x!), where(graph, tiny, op2(graph, 'Add', d, number(graph, x!, 1)), d));
    return where(graph, tiny, x!, ratio);
  },
  Relu6: (graph, {x}) => graph.op('Clip', [x, graph.scalar(0, x!.dtype), graph.scalar(6, x!.dtype)], same(x!)),
  LeakyRelu: (graph, {x}, {alpha}) => graph.op('LeakyRelu', [x], same(x!), {alpha: {float: alpha as number}}),
  Prelu: (graph, {x, alpha}) => {
    const shape = together(x!, alpha!);
    return where(graph, compare(graph, 'Greater', x!, number(graph, x!, 0)), x!, graph.op('Mul', [x, alpha], {dtype: x!.dtype, shape}));
  },
  Elu: (graph, {x}) => graph.op('Elu', [x], same(x!), {alpha: {float: 1}}),
  EluGrad: (graph, {dy, y}) =>
    where(graph, compare(graph, 'GreaterOrEqual', y!, number(graph, y!, 0)), dy!, op2(graph, 'Mul', dy!, op2(graph, 'Add', y!, number(graph, y!, 1)))),
  Selu: (graph, {x}) => graph.op('Selu', [x], same(x!)),
  Step: (graph, {x}, {alpha}) =>
    where(graph, compare(graph, 'Greater', x!, number(graph, x!, 0)), number(graph, x!, 1), number(graph, x!, (alpha as number | undefined) ?? 0)),
  ClipByValue: (graph, {x}, {clipValueMin, clipValueMax}) =>
    graph.op('Clip', [x, graph.scalar(clipValueMin as number, x!.dtype), graph.scalar(clipValueMax as number, x!.dtype)], same(x!)),
  IsNan: (graph, {x}) => graph.op('IsNaN', [x], {dtype: 'bool', shape: x!.shape}),
  IsInf: (graph, {x}) => graph.op('IsInf', [x], {dtype: 'bool', shape: x!.shape}),
  IsFinite: (graph, {x}) => compare(graph, 'Less', op1(graph, 'Abs', x!), number(graph, x!, Infinity)),
  Cast: (graph, {x}, {dtype}) => {
    const to = dtype as GraphDType;
    if (to === 'bool') return op1(graph, 'Not', compare(graph, 'Equal', x!, number(graph, x!, 0)));
    return cast(graph, x!, to, onnxDataType(to));
  },
  Select: (graph, {condition, t, e}) => {
    let c = condition!;
    // tfjs lets a vector choose whole rows.
    if (c.shape.length === 1 && t!.shape.length > 1) {
      const shape = [c.shape[0]!, ...Array.from({length: t!.shape.length - 1}, () => 1)];
      c = graph.op('Reshape', [c, graph.ints(shape)], {dtype: c.dtype, shape});
    }
    if (c.dtype !== 'bool') c = op1(graph, 'Not', compare(graph, 'Equal', c, number(graph, c, 0)));
    return where(graph, c, t!, e!);
  },
  AddN: (graph, inputs) => Object.values(inputs).reduce((sum, x) => op2(graph, 'Add', sum, x)),
  Atan2: (graph, {a, b}) => {
    const ratio = op1(graph, 'Atan', op2(graph, 'Div', a!, b!));
    const zero = number(graph, a!, 0);
    const turn = where(graph, compare(graph, 'Less', a!, zero), number(graph, a!, -Math.PI), number(graph, a!, Math.PI));
    const half = op2(graph, 'Mul', op1(graph, 'Sign', a!), number(graph, a!, Math.PI / 2));
    const side = where(graph, compare(graph, 'Less', b!, zero), op2(graph, 'Add', ratio, turn), ratio);
    return where(graph, compare(graph, 'Equal', b!, zero), half, side);
  },
};
