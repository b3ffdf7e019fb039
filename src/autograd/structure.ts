/** Derivatives of the kernels that move and repeat elements, and of matrix products. */
import * as tf from '@tensorflow/tfjs-core';
import {one, several, unbroadcast, type Gradients} from './gradient.js';

type Pairs = readonly (readonly [number, number])[];

const inverse = (perm: readonly number[]): number[] => perm.map((_, i) => perm.indexOf(i));

/** Each element followed by `step − 1` zeros along an axis, cut to `length`: what a strided slice has left out. */
function spread(x: tf.Tensor, axis: number, step: number, length: number): tf.Tensor {
  if (step === 1) return x;
  const {shape} = x;
  const opened = tf.reshape(x, [...shape.slice(0, axis + 1), 1, ...shape.slice(axis + 1)]);
  const zeros = opened.shape.map((_, i): [number, number] => (i === axis + 1 ? [0, step - 1] : [0, 0]));
  const long = tf.reshape(tf.pad(opened, zeros), [...shape.slice(0, axis), shape[axis] * step, ...shape.slice(axis + 1)]);
  return tf.slice(
    long,
    shape.map(() => 0),
    shape.map((d, i) => (i === axis ? length : d)),
  );
}

/** The gradient of a strided slice, put back among zeros; a negative step ran backwards, so it is turned round first. */
function unslice(dy: tf.Tensor, shape: readonly number[], begin: readonly number[], strides: readonly number[]): tf.Tensor {
  let y = dy;
  const before: number[] = [];
  shape.forEach((_, axis) => {
    const [n, step] = [dy.shape[axis], Math.abs(strides[axis])];
    if (strides[axis] < 0) y = tf.reverse(y, axis);
    before[axis] = strides[axis] < 0 ? begin[axis] - (n - 1) * step : begin[axis];
    y = spread(y, axis, step, n === 0 ? 0 : (n - 1) * step + 1);
  });
  return tf.pad(
    y,
    shape.map((d, i): [number, number] => [before[i], d - before[i] - y.shape[i]]),
  );
}

/** Folds the mirrored margins of a gradient back onto the elements that they mirror, axis by axis. */
function unmirror(dy: tf.Tensor, shape: readonly number[], paddings: Pairs, edge: number): tf.Tensor {
  return paddings.reduce((y, [before, after], axis) => {
    const part = (from: number, count: number): tf.Tensor =>
      tf.slice(
        y,
        y.shape.map((_, i) => (i === axis ? from : 0)),
        y.shape.map((d, i) => (i === axis ? count : d)),
      );
    const n = shape[axis];
    const back = (margin: tf.Tensor, start: number): tf.Tensor => {
      const zeros = y.shape.map((_, i): [number, number] => (i === axis ? [start, n - start - margin.shape[axis]] : [0, 0]));
      return tf.pad(tf.reverse(margin, axis), zeros);
    };
    let sum = part(before, n);
    if (before > 0) sum = tf.add(sum, back(part(0, before), 1 - edge));
    if (after > 0) sum = tf.add(sum, back(part(before + n, after), n - after - 1 + edge));
    return sum;
  }, dy);
}

/**
 * The gradient of one operand of an Einstein sum: the other operand and dy, summed over what this one lacks. Letters that
 * stand in this operand alone were summed away; their gradient is the same at each position.
 */
function einsumGradient(dy: tf.Tensor, operands: readonly tf.Tensor[], equation: string, mine: number): tf.Tensor {
  const [from, to] = equation.replace(/\s/g, '').split('->') as [string, string];
  const letters = from.split(',');
  const own = letters[mine];
  const others = letters.filter((_, i) => i !== mine);
  const known = [...own].filter((letter) => to.includes(letter) || others.some((o) => o.includes(letter)));
  const theirs = operands.filter((_, i) => i !== mine);
  const summed = tf.einsum(`${[to, ...others].join()}->${known.join('')}`, dy, ...theirs);
  const {shape} = operands[mine];
  const opened = tf.reshape(
    summed,
    [...own].map((letter, i) => (known.includes(letter) ? shape[i] : 1)),
  );
  return tf.broadcastTo(opened, shape);
}

/** Their gradients. */
export const structure: Gradients = {
  Reshape: {inputsToSave: ['x'], gradFunc: (dy, [x]) => ({x: () => tf.reshape(one(dy), x.shape)})},
  ExpandDims: {inputsToSave: ['input'], gradFunc: (dy, [input]) => ({input: () => tf.reshape(one(dy), input.shape)})},
  Transpose: {gradFunc: (dy, _saved, attrs) => ({x: () => tf.transpose(one(dy), inverse(attrs['perm'] as number[]))})},
  Slice: {
    inputsToSave: ['x'],
    gradFunc: (dy, [x], attrs) => ({
      x: () => {
        const begin = attrs['begin'] as number[];
        return tf.pad(
          one(dy),
          x.shape.map((d, i): [number, number] => [begin[i], d - begin[i] - one(dy).shape[i]]),
        );
      },
    }),
  },
  StridedSlice: {
    inputsToSave: ['x'],
    gradFunc: (dy, [x], attrs) => ({
      x: () => {
        const at = attrs as Record<string, never>;
        const info = tf.slice_util.sliceInfo(
          x.shape,
          at['begin'],
          at['end'],
          at['strides'],
          at['beginMask'],
          at['endMask'],
          at['ellipsisMask'],
          at['newAxisMask'],
          at['shrinkAxisMask'],
        );
        const sizes = tf.slice_util.computeOutShape(info.begin, info.end, info.strides);
        return unslice(tf.reshape(one(dy), sizes), x.shape, info.begin, info.strides);
      },
    }),
  },
  PadV2: {
    inputsToSave: ['x'],
    gradFunc: (dy, [x], attrs) => ({
      x: () =>
        tf.slice(
          one(dy),
          (attrs['paddings'] as [number, number][]).map((p) => p[0]),
          x.shape,
        ),
    }),
  },
  MirrorPad: {
    inputsToSave: ['x'],
    gradFunc: (dy, [x], attrs) => ({
      x: () => unmirror(one(dy), x.shape, attrs['paddings'] as unknown as Pairs, attrs['mode'] === 'symmetric' ? 1 : 0),
    }),
  },
  Concat: {
    saveAllInputs: true,
    gradFunc: (dy, saved, attrs) => {
      const axis = tf.util.parseAxisParam(attrs['axis'] as number, saved[0].shape)[0];
      const parts = tf.split(
        one(dy),
        saved.map((t) => t.shape[axis]),
        axis,
      );
      return Object.fromEntries(parts.map((part, i) => [i, () => part]));
    },
  },
  SplitV: {gradFunc: (dy, _saved, attrs) => ({x: () => tf.concat(several(dy), attrs['axis'] as number)})},
  Pack: {
    saveAllInputs: true,
    gradFunc: (dy, _saved, attrs) =>
      Object.fromEntries(tf.unstack(one(dy), attrs['axis'] as number).map((part, i) => [i, () => part])),
  },
  Unpack: {gradFunc: (dy, _saved, attrs) => ({value: () => tf.stack(several(dy), attrs['axis'] as number)})},
  Reverse: {gradFunc: (dy, _saved, attrs) => ({x: () => tf.reverse(one(dy), attrs['dims'] as number[])})},
  Tile: {
    inputsToSave: ['x'],
    gradFunc: (dy, [x], attrs) => ({
      x: () => {
        const reps = attrs['reps'] as number[];
        const split = tf.reshape(
          one(dy),
          x.shape.flatMap((d, i) => [reps[i], d]),
        );
        return tf.sum(
          split,
          reps.map((_, i) => 2 * i),
        );
      },
    }),
  },
  SpaceToBatchND: {
    gradFunc: (dy, _saved, attrs) => ({
      x: () => tf.batchToSpaceND(one(dy), attrs['blockShape'] as number[], attrs['paddings'] as number[][]),
    }),
  },
  BatchToSpaceND: {
    gradFunc: (dy, _saved, attrs) => ({
      x: () => tf.spaceToBatchND(one(dy), attrs['blockShape'] as number[], attrs['crops'] as number[][]),
    }),
  },
  DepthToSpace: {
    inputsToSave: ['x'],
    gradFunc: (dy, [x], attrs) => ({
      x: () => {
        const [n, h, w, c] = x.shape as [number, number, number, number];
        const k = attrs['blockSize'] as number;
        return tf.reshape(tf.transpose(tf.reshape(one(dy), [n, h, k, w, k, c / (k * k)]), [0, 1, 3, 2, 4, 5]), x.shape);
      },
    }),
  },
  Diag: {
    inputsToSave: ['x'],
    gradFunc: (dy, [x]) => ({
      x: () => tf.reshape(tf.sum(tf.mul(tf.reshape(one(dy), [x.size, x.size]), tf.eye(x.size)), 1), x.shape),
    }),
  },
  BatchMatMul: {
    inputsToSave: ['a', 'b'],
    gradFunc: (dy, [a, b], attrs) => {
      const [ta, tb] = [attrs['transposeA'] === true, attrs['transposeB'] === true];
      const d = one(dy);
      return {
        a: () => unbroadcast(ta ? tf.matMul(b, d, tb, true) : tf.matMul(d, b, false, !tb), a.shape),
        b: () => unbroadcast(tb ? tf.matMul(d, a, true, ta) : tf.matMul(a, d, !ta, false), b.shape),
      };
    },
  },
  Einsum: {
    saveAllInputs: true,
    gradFunc: (dy, saved, attrs) =>
      Object.fromEntries(saved.map((_, i) => [i, () => einsumGradient(one(dy), saved, attrs['equation'] as string, i)])),
  },
};
