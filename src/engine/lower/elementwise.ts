/** Kernels that work element by element. */
import {UnsupportedOpError} from '../../errors.js';
import {broadcastShape, sameShape, type Graph, type GraphDType, type Value} from '../graph.js';
import {asSpec, by, cast, compare, listOf, op1, op2, together, where, type Lowering, type Lowerings} from './lowering.js';

const number = (graph: Graph, x: Value, n: number): Value => graph.scalar(n, x.dtype);

/** Refuses a dtype that onnxruntime has no kernel for, before it says so in its own words. */
function numeric(op: string, dtypes: readonly GraphDType[], ...operands: Value[]): void {
  for (const {dtype} of operands) {
    if (!dtypes.includes(dtype))
      throw new UnsupportedOpError(`compile: ${op} wants ${dtypes.join(' or ')}; got ${dtype}; cast it first.`);
  }
}

const floats: readonly GraphDType[] = ['float32'];
const numbers: readonly GraphDType[] = ['float32', 'int32'];

const unary = (op: string, dtypes = floats): Lowering =>
  by(op, (graph, {x}) => {
    numeric(op, dtypes, x);
    return graph.op(op, [x], asSpec(x));
  });

const binary = (op: string, dtypes = numbers): Lowering =>
  by(op, (graph, {a, b}) => {
    numeric(op, dtypes, a, b);
    return op2(graph, op, a, b);
  });

/** Comparisons of truth values are those of 0 and 1. */
const comparison = (op: string): Lowering =>
  by(op, (graph, {a, b}) => {
    const [p, q] = a.dtype === 'bool' ? [cast(graph, a, 'int32'), cast(graph, b, 'int32')] : [a, b];
    return compare(graph, op, p, q);
  });

const logical = (op: string): Lowering => by(op, (graph, {a, b}) => compare(graph, op, a, b));

/** x ≠ 0. */
const truth = (graph: Graph, x: Value): Value =>
  x.dtype === 'bool' ? x : op1(graph, 'Not', compare(graph, 'Equal', x, number(graph, x, 0)));

/** ⌊a/b⌋ as tfjs has it: an integer, also of floats. Integers go through doubles, which hold every quotient exactly. */
function floorDivide(graph: Graph, a: Value, b: Value): Value {
  const wide = (v: Value): Value => (v.dtype === 'int32' ? cast(graph, v, 'float64') : v);
  return cast(graph, op1(graph, 'Floor', op2(graph, 'Div', wide(a), wide(b))), 'int32');
}

/** The remainder with the sign of the divisor, as Python and tfjs have it. */
function modulo(graph: Graph, a: Value, b: Value): Value {
  if (a.dtype !== 'float32') return graph.op('Mod', [a, b], {dtype: a.dtype, shape: together(a, b)}, {fmod: 0});
  return op2(graph, 'Sub', a, op2(graph, 'Mul', op1(graph, 'Floor', op2(graph, 'Div', a, b)), b));
}

/** e^x − 1 = 2·tanh(x/2) / (1 − tanh(x/2)): no cancellation near zero. */
function expMinus1(graph: Graph, x: Value): Value {
  const t = op1(graph, 'Tanh', op2(graph, 'Mul', x, number(graph, x, 0.5)));
  return op2(graph, 'Div', op2(graph, 'Mul', t, number(graph, x, 2)), op2(graph, 'Sub', number(graph, x, 1), t));
}

/** Kahan: log(1+x)·x/((1+x)−1) is accurate where 1+x rounds; x itself where it rounds to 1, and where it is infinite. */
function log1p(graph: Graph, x: Value): Value {
  const u = op2(graph, 'Add', x, number(graph, x, 1));
  const d = op2(graph, 'Sub', u, number(graph, x, 1));
  const itself = compare(
    graph,
    'Or',
    compare(graph, 'Equal', d, number(graph, x, 0)),
    compare(graph, 'Equal', x, number(graph, x, Infinity)),
  );
  const ratio = op2(graph, 'Div', op2(graph, 'Mul', op1(graph, 'Log', u), x), where(graph, itself, number(graph, x, 1), d));
  return where(graph, itself, x, ratio);
}

/** The angle of (b, a): the arc tangent, moved to the other half-plane where b < 0. */
function arcTangent2(graph: Graph, a: Value, b: Value): Value {
  const ratio = op1(graph, 'Atan', op2(graph, 'Div', a, b));
  const zero = number(graph, a, 0);
  const turn = where(graph, compare(graph, 'Less', a, zero), number(graph, a, -Math.PI), number(graph, a, Math.PI));
  const half = op2(graph, 'Mul', op1(graph, 'Sign', a), number(graph, a, Math.PI / 2));
  const side = where(graph, compare(graph, 'Less', b, zero), op2(graph, 'Add', ratio, turn), ratio);
  return where(graph, compare(graph, 'Equal', b, zero), half, side);
}

/** tfjs spreads all three operands to the result's shape first; the operator spreads them by itself. */
function select(graph: Graph, condition: Value, t: Value, e: Value): Value {
  const bare = (v: Value): Value => {
    if (v.uniform !== undefined) return graph.scalar(v.uniform, v.dtype);
    return v.node?.op === 'Expand' ? v.node.inputs[0]! : v;
  };
  const c = truth(graph, bare(condition));
  const short = broadcastShape(broadcastShape(c.shape, bare(t).shape) ?? [], bare(e).shape);
  return short && sameShape(short, t.shape) ? where(graph, c, bare(t), bare(e)) : where(graph, truth(graph, condition), t, e);
}

const positive = (graph: Graph, x: Value): Value => compare(graph, 'Greater', x, number(graph, x, 0));

/** The activations that tfjs fuses into products and convolutions. @throws UnsupportedOpError for another. */
export function activate(graph: Graph, x: Value, activation: unknown, alpha: unknown, prelu: Value | undefined): Value {
  switch (activation ?? 'linear') {
    case 'linear':
      return x;
    case 'relu':
      return op1(graph, 'Relu', x);
    case 'relu6':
      return clip(graph, x, 0, 6);
    case 'elu':
      return graph.op('Elu', [x], asSpec(x), {alpha: {float: 1}});
    case 'sigmoid':
      return op1(graph, 'Sigmoid', x);
    case 'leakyrelu':
      return graph.op('LeakyRelu', [x], asSpec(x), {alpha: {float: (alpha as number | undefined) ?? 0.2}});
    case 'prelu':
      return where(graph, positive(graph, x), x, op2(graph, 'Mul', x, prelu!));
    default:
      throw new UnsupportedOpError(
        `compile: a fused activation "${String(activation)}" has no lowering; apply it as an operator of its own.`,
      );
  }
}

const clip = (graph: Graph, x: Value, low: number, high: number): Value =>
  graph.op('Clip', [x, number(graph, x, low), number(graph, x, high)], asSpec(x));

/** Their lowerings. */
export const elementwise: Lowerings = {
  Abs: unary('Abs', numbers),
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
  Exp: by('Exp', (graph, {x}) => op1(graph, 'Exp', cast(graph, x, 'float32'))),
  Floor: unary('Floor'),
  Identity: by('Identity', (_graph, {x}) => x),
  Log: unary('Log'),
  LogicalNot: by('Not', (graph, {x}) => op1(graph, 'Not', truth(graph, x))),
  Neg: unary('Neg', numbers),
  Reciprocal: unary('Reciprocal'),
  Relu: unary('Relu', numbers),
  Round: by('Round', (graph, {x}) => (x.dtype === 'int32' ? x : op1(graph, 'Round', x))),
  Sigmoid: unary('Sigmoid'),
  Sign: unary('Sign', numbers),
  Sin: unary('Sin'),
  Sinh: unary('Sinh'),
  Softplus: unary('Softplus'),
  Sqrt: unary('Sqrt'),
  Tan: unary('Tan'),
  Tanh: unary('Tanh'),

  Add: binary('Add'),
  Sub: binary('Sub'),
  Multiply: binary('Mul'),
  RealDiv: binary('Div', floats),
  Maximum: binary('Max'),
  Minimum: binary('Min'),
  Pow: binary('Pow'),
  BitwiseAnd: binary('BitwiseAnd', ['int32']),
  Equal: by('Equal', (graph, {a, b}) => compare(graph, 'Equal', a, b)),
  NotEqual: (graph, {a, b}) => op1(graph, 'Not', compare(graph, 'Equal', a, b)),
  Greater: comparison('Greater'),
  GreaterEqual: comparison('GreaterOrEqual'),
  Less: comparison('Less'),
  LessEqual: comparison('LessOrEqual'),
  LogicalAnd: logical('And'),
  LogicalOr: logical('Or'),
  Mod: (graph, {a, b}) => modulo(graph, a, b),
  FloorDiv: (graph, {a, b}) => floorDivide(graph, a, b),
  SquaredDifference: (graph, {a, b}) => {
    const d = op2(graph, 'Sub', a, b);
    return op2(graph, 'Mul', d, d);
  },
  Square: by('Mul', (graph, {x}) => op2(graph, 'Mul', x, x)),
  Rsqrt: (graph, {x}) => op1(graph, 'Reciprocal', op1(graph, 'Sqrt', x)),
  Expm1: (graph, {x}) => expMinus1(graph, x),
  Log1p: (graph, {x}) => log1p(graph, x),
  Relu6: by('Clip', (graph, {x}) => clip(graph, x, 0, 6)),
  LeakyRelu: by('LeakyRelu', (graph, {x}, {alpha}) => activate(graph, x, 'leakyrelu', alpha, undefined)),
  Prelu: (graph, {x, alpha}) => activate(graph, x, 'prelu', undefined, alpha),
  Elu: by('Elu', (graph, {x}) => activate(graph, x, 'elu', undefined, undefined)),
  Selu: unary('Selu'),
  // NaN stays NaN.
  Step: (graph, {x}, {alpha}) => {
    const below = where(
      graph,
      graph.op('IsNaN', [x], {dtype: 'bool', shape: x.shape}),
      x,
      number(graph, x, (alpha as number | undefined) ?? 0),
    );
    return where(graph, positive(graph, x), number(graph, x, 1), below);
  },
  ClipByValue: by('Clip', (graph, {x}, {clipValueMin, clipValueMax}) =>
    clip(graph, x, clipValueMin as number, clipValueMax as number),
  ),
  IsNan: by('IsNaN', (graph, {x}) => graph.op('IsNaN', [x], {dtype: 'bool', shape: x.shape})),
  IsInf: by('IsInf', (graph, {x}) => graph.op('IsInf', [x], {dtype: 'bool', shape: x.shape})),
  IsFinite: (graph, {x}) => compare(graph, 'Less', op1(graph, 'Abs', x), number(graph, x, Infinity)),
  Cast: by('Cast', (graph, {x}, {dtype}) => (dtype === 'bool' ? truth(graph, x) : cast(graph, x, dtype as GraphDType))),
  Select: by('Where', (graph, {condition, t, e}) => select(graph, condition, t, e)),
  AddN: (graph, inputs) => listOf(inputs).reduce((sum, x) => op2(graph, 'Add', sum, x)),
  Atan2: (graph, {a, b}) => arcTangent2(graph, a, b),
};
