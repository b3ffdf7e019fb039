/**
 * The only tensor that crosses a stream, a thread, a file or a session: plain data with a shape.
 * A `tf.Tensor` lives inside one synchronous breath; this does not know that it exists.
 */
import {ShapeError} from '../errors.js';

/** The element types that arrays have in memory. Files may hold float16 too: reading widens it. */
export type DType = 'float32' | 'int32' | 'uint8' | 'bool';

/** The typed array that holds each element type; `bool` is 0 or 1 in a byte. */
export interface DataOf {
  readonly float32: Float32Array;
  readonly int32: Int32Array;
  readonly uint8: Uint8Array;
  readonly bool: Uint8Array;
}

/** A dense, row-major array. */
export interface NdArray<D extends DType = DType> {
  readonly dtype: D;
  readonly shape: readonly number[];
  readonly data: DataOf[D];
}

/** Number of elements of a shape; 1 for a scalar's `[]`. */
export const sizeOf = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);

const constructors = {float32: Float32Array, int32: Int32Array, uint8: Uint8Array, bool: Uint8Array};

/**
 * Wraps data in a shape without copying it.
 *
 * @throws ShapeError if the data's length is not the shape's size.
 */
export function ndarray<D extends DType>(dtype: D, shape: readonly number[], data: DataOf[D]): NdArray<D> {
  if (data.length !== sizeOf(shape)) {
    throw new ShapeError(`ndarray: shape [${shape.join(', ')}] holds ${sizeOf(shape)} elements; got ${data.length}.`);
  }
  return {dtype, shape, data};
}

/** An array of zeros. */
export const zeros = <D extends DType>(dtype: D, shape: readonly number[]): NdArray<D> => ({
  dtype,
  shape,
  data: new constructors[dtype](sizeOf(shape)) as DataOf[D],
});

/** A float32 array from numbers; the shape defaults to the length. */
export const float32 = (values: ArrayLike<number>, shape: readonly number[] = [values.length]): NdArray<'float32'> =>
  ndarray('float32', shape, Float32Array.from(values));

/** A float32 array of rank 0. */
export const scalar = (value: number): NdArray<'float32'> => float32([value], []);

/** An int32 array from numbers; the shape defaults to the length. */
export const int32 = (values: ArrayLike<number>, shape: readonly number[] = [values.length]): NdArray<'int32'> =>
  ndarray('int32', shape, Int32Array.from(values));

/** Bytes of one element. */
export const bytesPerElement = (dtype: DType): number => constructors[dtype].BYTES_PER_ELEMENT;

/** Whether a value is an `NdArray` (and not, say, a branch of a tree). */
export const isNdArray = (value: unknown): value is NdArray =>
  typeof value === 'object' && value !== null && 'dtype' in value && 'shape' in value && 'data' in value;

/**
 * Rows `[start, end)` of the first axis, as a view on the same memory.
 *
 * @throws ShapeError if the array is a scalar or the range leaves it.
 */
export function rows<D extends DType>(a: NdArray<D>, start: number, end: number): NdArray<D> {
  const [n, ...rest] = a.shape;
  if (n === undefined || start < 0 || end > n || start > end) {
    throw new ShapeError(`rows: [${start}, ${end}) is not inside the first axis of [${a.shape.join(', ')}].`);
  }
  const stride = sizeOf(rest);
  return {dtype: a.dtype, shape: [end - start, ...rest], data: a.data.subarray(start * stride, end * stride) as DataOf[D]};
}

/**
 * Rows of the first axis picked by index, copied.
 *
 * @throws ShapeError if an index is outside the first axis.
 */
export function take<D extends DType>(a: NdArray<D>, indices: ArrayLike<number>): NdArray<D> {
  const [n = 0, ...rest] = a.shape;
  const stride = sizeOf(rest);
  const out = zeros(a.dtype, [indices.length, ...rest]);
  for (let i = 0; i < indices.length; i++) {
    const from = indices[i];
    if (from < 0 || from >= n) throw new ShapeError(`take: index ${from} is not in [0, ${n}).`);
    out.data.set(a.data.subarray(from * stride, (from + 1) * stride), i * stride);
  }
  return out;
}

/**
 * Joins arrays along the first axis.
 *
 * @throws ShapeError if there are none, or if they differ in dtype or in the other axes.
 */
export function concatRows<D extends DType>(parts: readonly NdArray<D>[]): NdArray<D> {
  const first = parts[0];
  if (first === undefined) throw new ShapeError('concatRows: needs at least one array.');
  const rest = first.shape.slice(1);
  let n = 0;
  for (const p of parts) {
    if (p.dtype !== first.dtype || p.shape.slice(1).join() !== rest.join()) {
      throw new ShapeError(
        `concatRows: ${p.dtype} [${p.shape.join(', ')}] does not go below ${first.dtype} [${first.shape.join(', ')}].`,
      );
    }
    n += p.shape[0] ?? 0;
  }
  const out = zeros(first.dtype, [n, ...rest]);
  let at = 0;
  for (const p of parts) {
    out.data.set(p.data, at);
    at += p.data.length;
  }
  return out;
}

/** The same data under another shape. */
export const reshaped = <D extends DType>(a: NdArray<D>, shape: readonly number[]): NdArray<D> => ndarray(a.dtype, shape, a.data);
