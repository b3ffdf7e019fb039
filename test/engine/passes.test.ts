import * as ort from 'onnxruntime-node';
import {expect} from 'chai';
import {Graph, type Value} from '../../src/engine/graph.js';
import {encodeOnnx} from '../../src/engine/onnx.js';
import {hoistReshapes} from '../../src/engine/passes/hoistReshapes.js';
import type {Program} from '../../src/engine/passes/rewrite.js';
import {scaledSums} from '../../src/engine/passes/scaledSums.js';
import {transposeOnce} from '../../src/engine/passes/transposeOnce.js';
import {sizeOf} from '../../src/tensor/ndarray.js';
import {normals} from '../../src/tensor/random.js';

const f32 = (...shape: number[]): {dtype: 'float32'; shape: number[]} => ({dtype: 'float32', shape});
const reshape = (g: Graph, v: Value, ...shape: number[]): Value => g.op('Reshape', [v, g.ints(shape)], f32(...shape));

/** The outputs on random inputs, by the runtime without optimisations of its own. */
async function run({graph, outputs}: Program): Promise<Float32Array[]> {
  const session = await ort.InferenceSession.create(encodeOnnx(graph, outputs), {
    graphOptimizationLevel: 'disabled',
    intraOpNumThreads: 1,
  });
  const feeds = Object.fromEntries(
    graph.inputs.map((v, i) => [
      `x${i}`,
      new ort.Tensor('float32', normals({seed: 1, purpose: 'passes', sample: i}, new Float32Array(sizeOf(v.shape))), v.shape),
    ]),
  );
  const found = await session.run(feeds);
  return outputs.map((_, i) => found[`y${i}`].data as Float32Array);
}

async function sameNumbers(before: Program, after: Program): Promise<void> {
  const [a, b] = [await run(before), await run(after)];
  a.forEach((x, i) => {
    expect(after.outputs[i].shape).to.deep.equal(before.outputs[i].shape);
    const largest = x.reduce((m, y) => Math.max(m, Math.abs(y)), 0);
    expect(Math.max(...x.map((y, j) => Math.abs(y - b[i][j])))).to.be.below(1e-6 * largest);
  });
}

const count = ({graph}: Program, op: string): number => graph.nodes.filter((n) => n.op === op).length;

describe('hoistReshapes', () => {
  /** reshape → erf → +1 → × → reshape back, as a layer on tokens leaves it. */
  const program = (): Program => {
    const graph = new Graph();
    const s = reshape(graph, graph.op('Neg', [graph.input(f32(6, 4))], f32(6, 4)), 2, 3, 4);
    const e = graph.op('Add', [graph.op('Erf', [s], f32(2, 3, 4)), graph.scalar(1)], f32(2, 3, 4));
    const rows = reshape(graph, graph.op('Mul', [s, e], f32(2, 3, 4)), 6, 4);
    return {graph, outputs: [graph.op('Exp', [rows], f32(6, 4)), e]};
  };

  it('cancels the reshapes around element-wise operators', async () => {
    const before = program();
    const after = hoistReshapes(before);
    expect(count(before, 'Reshape')).to.equal(2);
    // Only the second output is still wanted in the other shape.
    expect(count(after, 'Reshape')).to.equal(1);
    expect(after.graph.nodes.length).to.be.below(before.graph.nodes.length);
    await sameNumbers(before, after);
  });

  it('leaves numbers alone, which have the shape of none', async () => {
    const graph = new Graph();
    const [x, y] = [graph.input(f32(1, 1)), graph.input(f32(1))];
    const before = {graph, outputs: [graph.op('Mul', [reshape(graph, x, 1), y], f32(1))]};
    const after = hoistReshapes(before);
    expect(after.graph.nodes.map((n) => n.op)).to.deep.equal(['Reshape', 'Mul']);
    await sameNumbers(before, after);
  });

  it('leaves operators alone whose operands broadcast', async () => {
    const graph = new Graph();
    const x = reshape(graph, graph.input(f32(6, 4)), 2, 3, 4);
    const before = {
      graph,
      outputs: [
        graph.op('Mul', [x, graph.input(f32(2, 1, 4))], f32(2, 3, 4)),
        graph.op('Add', [x, graph.input(f32(4))], f32(2, 3, 4)),
      ],
    };
    const after = hoistReshapes(before);
    expect(after.graph.nodes.map((n) => n.op)).to.deep.equal(before.graph.nodes.map((n) => n.op));
    await sameNumbers(before, after);
  });
});

describe('scaledSums', () => {
  const big = f32(300, 301);
  const build = (make: (g: Graph, x: Value, z: Value, a: Value) => Value[], shape = big): Program => {
    const graph = new Graph();
    const [x, z, a] = [graph.input(shape), graph.input(shape), graph.input(f32())];
    return {graph, outputs: make(graph, x, z, a)};
  };
  const op = (g: Graph, name: string, ...values: Value[]): Value =>
    g.op(name, values, f32(...values.reduce((widest, v) => (sizeOf(v.shape) > sizeOf(widest.shape) ? v : widest)).shape));

  const fused: [string, number, (g: Graph, x: Value, z: Value, a: Value) => Value[]][] = [
    ['a·x + z', 1, (g, x, z, a) => [op(g, 'Add', op(g, 'Mul', a, x), z)]],
    ['z + x·a', 1, (g, x, z, a) => [op(g, 'Add', z, op(g, 'Mul', x, a))]],
    ['z − a·x', 1, (g, x, z, a) => [op(g, 'Sub', z, op(g, 'Mul', a, x))]],
    ['a number that is known', 1, (g, x, z) => [op(g, 'Add', op(g, 'Mul', g.scalar(0.9), x), z)]],
    // z is written over where nobody else wants it, and here somebody does.
    [
      'z wanted elsewhere',
      1,
      (g, x, z, a) => {
        const e = op(g, 'Exp', z);
        return [op(g, 'Add', op(g, 'Mul', a, x), e), op(g, 'Neg', e)];
      },
    ],
    [
      'one after the other',
      2,
      (g, x, z, a) => [op(g, 'Sub', op(g, 'Add', op(g, 'Mul', a, x), op(g, 'Sin', z)), op(g, 'Mul', a, z))],
    ],
  ];
  for (const [name, convolutions, make] of fused) {
    it(`makes one operator of each: ${name}`, async () => {
      const before = build(make);
      const after = scaledSums(before);
      expect(count(after, 'FusedConv')).to.equal(convolutions);
      expect(count(after, 'Mul') + count(after, 'Add')).to.equal(0);
      await sameNumbers(before, after);
    });
  }

  const left: [string, Program][] = [
    [
      'a product that is wanted elsewhere',
      build((g, x, z, a) => [op(g, 'Add', op(g, 'Mul', a, x), z), op(g, 'Exp', op(g, 'Mul', a, x))]),
    ],
    ['a·x − z', build((g, x, z, a) => [op(g, 'Sub', op(g, 'Mul', a, x), z)])],
    ['a product of two arrays', build((g, x, z) => [op(g, 'Add', op(g, 'Mul', z, x), z)])],
    ['what is small', build((g, x, z, a) => [op(g, 'Add', op(g, 'Mul', a, x), z)], f32(6, 4))],
    ['a z that is spread', build((g, x, _z, a) => [op(g, 'Add', op(g, 'Mul', a, x), g.input(f32(301)))])],
  ];
  for (const [name, before] of left) {
    it(`leaves ${name}`, () => {
      expect(scaledSums(before).graph.toString()).to.equal(before.graph.toString());
    });
  }
});

describe('transposeOnce', () => {
  const gemm = (g: Graph, a: Value, b: Value): Value => g.op('Gemm', [a, b], f32(a.shape[1], b.shape[1]), {transA: 1, transB: 0});

  it('transposes the smaller operand, once for all products that share it', async () => {
    const graph = new Graph();
    const [x, y, z] = [graph.input(f32(512, 40)), graph.input(f32(512, 64)), graph.input(f32(512, 96))];
    const before = {graph, outputs: [gemm(graph, x, y), gemm(graph, x, z), gemm(graph, z, x)]};
    const after = transposeOnce(before);
    expect(count(after, 'Gemm')).to.equal(0);
    // xᵀ serves all three; the third result, zᵀx = (xᵀz)ᵀ, is the second one turned.
    expect(count(after, 'Transpose')).to.equal(2);
    expect(count(after, 'MatMul')).to.equal(2);
    await sameNumbers(before, after);
  });

  it('multiplies in the other order where the right operand is the smaller one', async () => {
    const graph = new Graph();
    const before = {graph, outputs: [gemm(graph, graph.input(f32(512, 96)), graph.input(f32(512, 40)))]};
    const after = transposeOnce(before);
    expect(count(after, 'MatMul')).to.equal(1);
    await sameNumbers(before, after);
  });

  it('works on stacks of matrices', async () => {
    const graph = new Graph();
    const [a, b] = [graph.input(f32(2, 3, 160, 32)), graph.input(f32(2, 3, 160, 48))];
    const before = {
      graph,
      outputs: [graph.op('FusedMatMul', [a, b], f32(2, 3, 32, 48), {transA: 1, transB: 0}, 'com.microsoft')],
    };
    const after = transposeOnce(before);
    expect(count(after, 'FusedMatMul')).to.equal(0);
    await sameNumbers(before, after);
  });

  it('leaves small products, and those with other factors, alone', () => {
    const graph = new Graph();
    const [a, b, large] = [graph.input(f32(8, 4)), graph.input(f32(8, 4)), graph.input(f32(512, 64))];
    const scaled = graph.op('Gemm', [large, large], f32(64, 64), {transA: 1, transB: 0, alpha: {float: 2}});
    const before = {graph, outputs: [gemm(graph, a, b), scaled]};
    expect(count(transposeOnce(before), 'Gemm')).to.equal(2);
  });
});
