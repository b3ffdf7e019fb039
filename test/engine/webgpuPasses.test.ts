import * as ort from 'onnxruntime-node';
import {expect} from 'chai';
import {Graph} from '../../src/engine/graph.js';
import {encodeOnnx} from '../../src/engine/onnx.js';
import type {Program} from '../../src/engine/passes/rewrite.js';
import {fewBuffers} from '../../src/engine/passes/fewBuffers.js';
import {spreadConvolutions} from '../../src/engine/passes/spreadConvolutions.js';
import {sizeOf} from '../../src/tensor/ndarray.js';
import {normals} from '../../src/tensor/random.js';
import {expectNear} from '../support/near.js';

interface Shapes {
  readonly x: number[];
  readonly filter: number[];
  readonly output: number[];
  readonly strides: number[];
  readonly pads: number[];
  readonly extra: number[];
  readonly group: number;
}

function transposed({x, filter, output, strides, pads, extra, group}: Shapes): Program {
  const graph = new Graph();
  const inputs = [graph.input({dtype: 'float32', shape: x}), graph.input({dtype: 'float32', shape: filter})];
  const attributes = {
    kernel_shape: filter.slice(2),
    strides,
    dilations: strides.map(() => 1),
    pads,
    group,
    output_padding: extra,
  };
  return {graph, outputs: [graph.op('ConvTranspose', inputs, {dtype: 'float32', shape: output}, attributes)]};
}

async function run({graph, outputs}: Program): Promise<Float32Array> {
  const session = await ort.InferenceSession.create(encodeOnnx(graph, outputs), {intraOpNumThreads: 1});
  const feeds = graph.inputs.map((v, i) => {
    const data = normals({seed: 2, purpose: 'spread', sample: i}, new Float32Array(sizeOf(v.shape)));
    return [`x${i}`, new ort.Tensor('float32', data, v.shape)] as const;
  });
  return (await session.run(Object.fromEntries(feeds)))['y0'].data as Float32Array;
}

const cases: Record<string, Shapes> = {
  'one dimension': {x: [2, 3, 4], filter: [3, 2, 3], output: [2, 2, 9], strides: [2], pads: [0, 0], extra: [0], group: 1},
  'two, padded, with a rest': {
    x: [1, 2, 3, 4],
    filter: [2, 3, 3, 3],
    output: [1, 3, 6, 12],
    strides: [2, 3],
    pads: [1, 0, 0, 0],
    extra: [0, 0],
    group: 1,
  },
  'two, with output padding': {
    x: [1, 2, 3, 3],
    filter: [2, 2, 3, 3],
    output: [1, 2, 6, 6],
    strides: [2, 2],
    pads: [1, 1, 1, 1],
    extra: [1, 1],
    group: 1,
  },
  'groups with two outputs each': {
    x: [2, 4, 3, 2],
    filter: [4, 2, 2, 3],
    output: [2, 4, 6, 5],
    strides: [2, 2],
    pads: [0, 0, 0, 0],
    extra: [0, 0],
    group: 2,
  },
  'three dimensions': {
    x: [1, 2, 2, 3, 2],
    filter: [2, 1, 2, 3, 3],
    output: [1, 1, 4, 7, 4],
    strides: [2, 2, 2],
    pads: [0, 0, 1, 0, 0, 0],
    extra: [0, 0, 0],
    group: 1,
  },
};

describe('spreadConvolutions', () => {
  for (const [name, shapes] of Object.entries(cases)) {
    it(`makes a plain convolution of a transposed one: ${name}`, async () => {
      const before = transposed(shapes);
      const after = spreadConvolutions(before);
      const ops = after.graph.nodes.map((n) => n.op);
      expect(ops).to.include('Conv').and.not.to.include('ConvTranspose');
      expectNear(await run(after), await run(before), {rtol: 1e-5, atol: 1e-5}, 'y');
    });
  }

  it('leaves one whose padding exceeds its filter as it is', () => {
    const wide = {...cases['one dimension'], output: [2, 2, 3], pads: [3, 3]};
    expect(spreadConvolutions(transposed(wide)).graph.nodes.map((n) => n.op)).to.deep.equal(['ConvTranspose']);
  });
});

describe('fewBuffers', () => {
  const pieces = (count: number): Program => {
    const graph = new Graph();
    const x = graph.input({dtype: 'float32', shape: [2, 3 * count]});
    const specs = Array.from({length: count}, () => ({dtype: 'float32' as const, shape: [2, 3]}));
    const parts = graph.ops('Split', [x, graph.ints(specs.map(() => 3))], specs, {axis: 1});
    const turned = [...parts].reverse().map((p) => graph.op('Neg', [p], specs[0]));
    return {graph, outputs: [graph.op('Concat', turned, {dtype: 'float32', shape: [2, 3 * count]}, {axis: 1})]};
  };

  it('splits by slices and joins in groups when there are more than seven parts', async () => {
    const before = pieces(51);
    const after = fewBuffers(before);
    expect(after.graph.nodes.some((n) => n.op === 'Split')).to.equal(false);
    expect(Math.max(...after.graph.nodes.map((n) => n.inputs.length))).to.be.at.most(7);
    expect(await run(after)).to.deep.equal(await run(before));
  });

  it('leaves seven parts as they are', () => {
    const ops = ({graph}: Program): string[] => graph.nodes.map((n) => n.op);
    expect(ops(fewBuffers(pieces(7)))).to.deep.equal(ops(pieces(7)));
  });
});
