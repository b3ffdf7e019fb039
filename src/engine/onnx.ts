/** Graph → the bytes of an ONNX model. Knows the format and no runtime. */
import {create, toBinary} from '@bufbuild/protobuf';
import {
  AttributeProto_AttributeType as AttributeType,
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  OperatorSetIdProtoSchema,
  TensorProto_DataType as DataType,
  TensorProtoSchema,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  ValueInfoProtoSchema,
  type AttributeProto,
  type NodeProto,
  type TensorProto,
  type ValueInfoProto,
} from 'onnx-buf';
import {sizeOf} from '../tensor/ndarray.js';
import type {Attribute, Graph, GraphDType, Value} from './graph.js';

/** ONNX operator set that the lowerings are written for, and the file format version that goes with it. */
const OPSET = 21;
const IR_VERSION = 10;
/** Constants of one repeated number above this size are repeated by the runtime instead of stored. */
const INLINE_SIZE = 4096;

const dataTypes: Readonly<Record<GraphDType, DataType>> = {
  float32: DataType.FLOAT,
  int32: DataType.INT32,
  int64: DataType.INT64,
  float64: DataType.DOUBLE,
  uint8: DataType.UINT8,
  bool: DataType.BOOL,
};

/** The number by which ONNX names an element type, as operators like `Cast` want it. */
export const onnxDataType = (dtype: GraphDType): number => dataTypes[dtype];

const nameOf = (value: Value): string => `v${value.id}`;

function bytesOf(value: Value): Uint8Array<ArrayBuffer> {
  const size = sizeOf(value.shape);
  const at = (i: number): number => value.uniform ?? value.data![i];
  const typed =
    value.dtype === 'float32'
      ? Float32Array.from({length: size}, (_, i) => at(i))
      : value.dtype === 'int32'
        ? Int32Array.from({length: size}, (_, i) => at(i))
        : value.dtype === 'float64'
          ? Float64Array.from({length: size}, (_, i) => at(i))
          : value.dtype === 'int64'
            ? BigInt64Array.from({length: size}, (_, i) => BigInt(at(i)))
            : Uint8Array.from({length: size}, (_, i) => at(i));
  return new Uint8Array(typed.buffer);
}

const tensor = (name: string, value: Value): TensorProto =>
  create(TensorProtoSchema, {name, dims: value.shape.map(BigInt), dataType: dataTypes[value.dtype], rawData: bytesOf(value)});

function attribute(name: string, value: Attribute): AttributeProto {
  if (typeof value === 'string')
    return create(AttributeProtoSchema, {name, type: AttributeType.STRING, s: new Uint8Array(new TextEncoder().encode(value))});
  if (typeof value === 'number') return create(AttributeProtoSchema, {name, type: AttributeType.INT, i: BigInt(value)});
  if ('float' in value) return create(AttributeProtoSchema, {name, type: AttributeType.FLOAT, f: value.float});
  return create(AttributeProtoSchema, {name, type: AttributeType.INTS, ints: value.map(BigInt)});
}

const valueInfo = (name: string, dtype: GraphDType, shape: readonly number[]): ValueInfoProto =>
  create(ValueInfoProtoSchema, {
    name,
    type: create(TypeProtoSchema, {
      value: {
        case: 'tensorType',
        value: create(TypeProto_TensorSchema, {
          elemType: dataTypes[dtype],
          shape: create(TensorShapeProtoSchema, {
            dim: shape.map((d) => create(TensorShapeProto_DimensionSchema, {value: {case: 'dimValue', value: BigInt(d)}})),
          }),
        }),
      },
    }),
  });

/**
 * Encodes a pruned graph. Inputs are named `x0, x1, …` and outputs `y0, y1, …` in their order.
 *
 * A node writes its output in place. Only an output that is itself an input or a constant, or that is asked for twice, is copied
 * by an `Identity`.
 */
export function encodeOnnx(graph: Graph, outputs: readonly Value[]): Uint8Array {
  const names = new Map<Value, string>(graph.inputs.map((v, i) => [v, `x${i}`]));
  outputs.forEach((v, i) => {
    if (v.node && !names.has(v)) names.set(v, `y${i}`);
  });
  const nodes: NodeProto[] = [];
  const initializers: TensorProto[] = [];
  const use = (value: Value): string => {
    const known = names.get(value);
    if (known !== undefined) return known;
    const name = nameOf(value);
    names.set(value, name);
    if (value.node) return name;
    if (value.uniform !== undefined && sizeOf(value.shape) > INLINE_SIZE) {
      const scalar: Value = {id: -1, dtype: value.dtype, shape: [], uniform: value.uniform};
      const shape: Value = {id: -1, dtype: 'int64', shape: [value.shape.length], data: value.shape};
      initializers.push(tensor(`${name}s`, scalar), tensor(`${name}d`, shape));
      nodes.push(create(NodeProtoSchema, {opType: 'Expand', input: [`${name}s`, `${name}d`], output: [name]}));
    } else {
      initializers.push(tensor(name, value));
    }
    return name;
  };
  for (const [i, node] of graph.nodes.entries()) {
    const input = node.inputs.map((v) => (v ? use(v) : ''));
    nodes.push(
      create(NodeProtoSchema, {
        // The runtime names the node in its errors and profiles.
        name: `${node.op}/${i} [${node.outputs[0].shape.join()}]`,
        opType: node.op,
        domain: node.domain,
        input,
        output: node.outputs.map(use),
        attribute: Object.entries(node.attributes).map(([name, value]) => attribute(name, value)),
      }),
    );
  }
  outputs.forEach((value, i) => {
    const name = use(value);
    if (name !== `y${i}`) nodes.push(create(NodeProtoSchema, {opType: 'Identity', input: [name], output: [`y${i}`]}));
  });
  const model = create(ModelProtoSchema, {
    irVersion: BigInt(IR_VERSION),
    producerName: 'rlft',
    opsetImport: [
      create(OperatorSetIdProtoSchema, {domain: '', version: BigInt(OPSET)}),
      create(OperatorSetIdProtoSchema, {domain: 'com.microsoft', version: 1n}),
      create(OperatorSetIdProtoSchema, {domain: 'com.microsoft.nchwc', version: 1n}),
    ],
    graph: create(GraphProtoSchema, {
      name: 'rlft',
      node: nodes,
      initializer: initializers,
      input: graph.inputs.map((v, i) => valueInfo(`x${i}`, v.dtype, v.shape)),
      output: outputs.map((v, i) => valueInfo(`y${i}`, v.dtype, v.shape)),
    }),
  });
  return toBinary(ModelProtoSchema, model);
}
