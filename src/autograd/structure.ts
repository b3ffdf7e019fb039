/** Derivatives of the kernels that move, reduce, pick or multiply matrices. */
import * as tf from '@tensorflow/tfjs-core';
import {unbroadcast, type Gradient} from './gradient.js';

const one = (dy: tf.Tensor | tf.Tensor[]): tf.Tensor => dy as tf.Tensor;

/** The shape of a reduction's result with the reduced axes kept as 1. */
function kept(x: tf.Tensor, axis: unknown): number[] {
  const axes = tf.util.parseAxisParam(axis as number | number[], x.shape);
  return x.shape.map((d, i) => (axes.includes(i) ? 1 : d));
}

/** Sends the gradient of a maximum or minimum to the elements that reach it, shared among ties. */
const extremum: Gradient = {
  inputsToSave: ['x'],
  outputsToSave: [true],
  gradFunc: (dy, [x, y], attrs) => ({
    x: () => {
      const shape = kept(x!, attrs['axis'] ?? attrs['reductionIndices']);
      const hit = tf.cast(tf.equal(x!, tf.reshape(y!, shape)), 'float32');
      const ties = tf.sum(hit, shape.flatMap((d, i) => (d === 1 && x!.shape[i] !== 1 ? [i] : [])), true);
      return tf.mul(tf.div(tf.reshape(one(dy), shape), ties), hit);
    },
  }),
};

const inverse = (perm: readonly number[]): number[] => perm.map((_, i) => perm.indexOf(i));

export const structure: Readonly<Record<string, Gradient>> = {
  Reshape: {inputsToSave: ['x'], gradFunc: (dy, [x]) => ({x: () => tf.reshape(one(dy), x!.shape)})},
  ExpandDims: {inputsToSave: ['input'], gradFunc: (dy, [input]) => ({input: () => tf.reshape(one(dy), input!.shape)})},
  Transpose: {gradFunc: (dy, _saved, attrs) => ({x: () => tf.transpose(one(dy), inverse(attrs['perm'] as number[]))})},
  Slice: {
    inputsToSave: ['x'],
    gradFunc: (dy, [x], attrs) => ({
      x: () => {
        const begin = attrs['begin'] as number[];
        return tf.pad(one(dy), x!.shape.map((d, i): [number, number] => [begin[i]!, d - begin[i]! - one(dy).shape[i]!]));
      },
    }),
  },
  PadV2: {
    inputsToSave: ['x'],
    gradFunc: (dy, [x], attrs) => ({x: () => tf.slice(one(dy), (attrs['paddings'] as [number, number][]).map((p) => p[0]), x!.shape)}),
  },
  Concat: {
    saveAllInputs: true,
    gradFunc: (dy, saved, attrs) => {
      const axis = tf.util.parseAxisParam(attrs['axis'] as number, saved[0]!.shape)[0]!;
      const parts = tf.split(one(dy), saved.map((t) => t.shape[axis]!), axis);
      return Object.fromEntries(parts.map((part, i) => [i, () => part]));
    },
  },
  SplitV: {gradFunc: (dy, _saved, attrs) => ({x: () => tf.concat(dy as tf.Tensor[], attrs['axis'] as number)})},
  Pack: {
    saveAllInputs: true,
    gradFunc: (dy, _saved, attrs) => Object.fromEntries(tf.unstack(one(dy), attrs['axis'] as number).map((part, i) => [i, () => part])),
  },
  Unpack: {gradFunc: (dy, _saved, attrs) => ({value: () => tf.stack(dy as unknown as tf.Tensor[], attrs['axis'] as number)})},
  Reverse: {gradFunc: (dy, _saved, attrs) => ({x: () => tf.reverse(one(dy), attrs['dims'] as number[])})},
  BroadcastTo: {inputsToSave: ['x'], gradFunc: (dy, [x]) => ({x: () => unbroadcast(one(dy), x!.shape)})},
  Tile: {
    inputsToSave: ['x'],
    gradFunc: (dy, [x], attrs) => ({
      x: () => {
        const reps = attrs['reps'] as number[];
        const split = tf.reshape(one(dy), x!.shape.flatMap((d, i) => [reps[i]!, d]));
        return tf.sum(split, reps.map((_, i) => 2 * i));
      },
    }),
  },
  Sum: {inputsToSave: ['x'], gradFunc: (dy, [x], attrs) => ({x: () => tf.broadcastTo(tf.reshape(one(dy), kept(x!, attrs['axis'])), x!.shape)})},
  Mean: {
    inputsToSave: ['x'],
    gradFunc: (dy, [x], attrs) => ({
      x: () => {
        const shape = kept(x!, attrs['axis']);
        const count = x!.size / shape.reduce((n, d) => n * d, 1);
        return tf.broadcastTo(tf.mul(tf.reshape(one(dy), shape), 1 / count), x!.shape);
      },
    }),
  },
  Max: extremum,
  Min: extremum,
  Prod: {
    inputsToSave: ['x'],
    outputsToSave: [true],
    gradFunc: (dy, [x, y], attrs) => ({x: () => tf.div(tf.reshape(tf.mul(one(dy), y!), kept(x!, attrs['axis'])), x!)}),
  },
  Cumsum: {
    gradFunc: (dy, _saved, attrs) => ({x: () => tf.cumsum(one(dy), attrs['axis'] as number, attrs['exclusive'] as boolean, !(attrs['reverse'] as boolean))}),
  },
  Softmax: {
    outputsToSave: [true],
    gradFunc: (dy, [y], attrs) => ({
      logits: () => {
        const weighted = tf.mul(one(dy), y!);
        return tf.sub(weighted, tf.mul(tf.sum(weighted, (attrs['dim'] as number | undefined) ?? -1, true), y!));
      },
    }),
  },
  LogSoftmax: {
    outputsToSave: [true],
    gradFunc: (dy, [y], attrs) => ({logits: () => tf.sub(one(dy), tf.mul(tf.sum(one(dy), attrs['axis'] as number, true), tf.exp(y!)))}),
  },
  TopK: {
    inputsToSave: ['x'],
    outputsToSave: [false, true],
    gradFunc: (dy, [x, indices]) => ({
      x: () => tf.sum(tf.mul(tf.expandDims((dy as tf.Tensor[])[0]!, -1), tf.oneHot(indices!, x!.shape.at(-1)!)), -2),
    }),
  },
  BatchMatMul: {
    inputsToSave: ['a', 'b'],
    gradFunc: (dy, [a, b], attrs) => {
      const [ta, tb] = [attrs['transposeA'] === true, attrs['transposeB'] === true];
      const d = one(dy);
      return {
        a: () => unbroadcast(ta ? tf.matMul(b!, d, tb, true) : tf.matMul(d, b!, false, !tb), a!.shape),
        b: () => unbroadcast(tb ? tf.matMul(d, a!, true, ta) : tf.matMul(a!, d, !ta, false), b!.shape),
      };
    },
  },
  GatherV2: {
    inputsToSave: ['x', 'indices'],
    gradFunc: (dy, [x, indices], attrs) => ({
      x: () => {
        const axis = tf.util.parseAxisParam(attrs['axis'] as number, x!.shape)[0]!;
        const rank = x!.shape.length;
        // The gathered axes go first, are added up by index, and the axis goes back to its place.
        const picked = indices!.shape.length;
        const order = [...Array.from({length: picked}, (_, i) => axis + i), ...Array.from({length: axis}, (_, i) => i)];
        for (let i = axis + picked; i < rank - 1 + picked; i++) order.push(i);
        const rest = x!.shape.filter((_, i) => i !== axis);
        const rows = tf.reshape(tf.transpose(one(dy), order), [indices!.size, ...rest]);
        const summed = tf.unsortedSegmentSum(rows, tf.reshape(indices!, [indices!.size]) as tf.Tensor1D, x!.shape[axis]!);
        const back = [...Array.from({length: axis}, (_, i) => i + 1), 0, ...Array.from({length: rank - axis - 1}, (_, i) => axis + 1 + i)];
        return tf.transpose(summed, back);
      },
      indices: () => tf.zerosLike(indices!),
    }),
  },
  UnsortedSegmentSum: {
    inputsToSave: ['segmentIds'],
    gradFunc: (dy, [segmentIds]) => ({x: () => tf.gather(one(dy), segmentIds as tf.Tensor1D)}),
  },
  OneHot: {inputsToSave: ['indices'], gradFunc: (_dy, [indices]) => ({indices: () => tf.zeros(indices!.shape, 'float32')})},
};
