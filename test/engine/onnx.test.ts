import {fromBinary} from '@bufbuild/protobuf';
import {expect} from 'chai';
import {ModelProtoSchema} from 'onnx-buf';
import {Graph} from '../../src/engine/graph.js';
import {encodeOnnx} from '../../src/engine/onnx.js';

describe('encodeOnnx', () => {
  it('has nodes write outputs in place, and copies only inputs and what is asked for twice', () => {
    const graph = new Graph();
    const spec = {dtype: 'float32', shape: [2]} as const;
    const x = graph.input(spec);
    const exponential = graph.op('Exp', [x], spec);
    // Read by another node, and an output all the same.
    const sum = graph.op('Add', [exponential, x], spec);
    const {graph: encoded} = fromBinary(ModelProtoSchema, encodeOnnx(graph, [exponential, sum, x, sum]));
    expect(encoded!.node.map(({opType, input, output}) => `${output[0]} = ${opType}(${input.join()})`)).to.deep.equal([
      'y0 = Exp(x0)',
      'y1 = Add(y0,x0)',
      'y2 = Identity(x0)',
      'y3 = Identity(y1)',
    ]);
  });
});
