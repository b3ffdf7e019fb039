/** The released code's networks of neural optimal transport, by the names of its state dictionary. */
import type {Params} from '../../src/tensor/tree.js';
import {float32, type NdArray} from '../../src/tensor/ndarray.js';
import {unflatten} from '../../src/tensor/tree.js';
import {numbers, type Case} from './golden.js';

/** Our path of each of its layers. */
const layers = {0: '0.linear', 2: '0.norm', 3: '1.linear', 5: '1.norm', 6: '2.linear'} as const;

/** Every parameter of `T` or `f`: its peer's name and our path; the peer stores weights `[out, in]`. */
export const peerPaths = (network: 'T' | 'f'): {theirs: string; ours: string; transposed: boolean}[] =>
  Object.entries(layers).flatMap(([index, path]) =>
    (['weight', 'bias'] as const).map((leaf) => ({
      theirs: `${network}.net.${index}.${leaf}`,
      ours: `${path}.${path.endsWith('norm') ? {weight: 'scale', bias: 'shift'}[leaf] : leaf}`,
      transposed: leaf === 'weight' && path.endsWith('linear'),
    })),
  );

/** A matrix turned over its diagonal. */
export function transposed({
  shape: [rows, columns],
  data,
}: {
  shape: readonly number[];
  data: ArrayLike<number>;
}): NdArray<'float32'> {
  return float32(
    Array.from({length: rows * columns}, (_, at) => data[(at % rows) * columns + Math.floor(at / rows)]),
    [columns, rows],
  );
}

/** The initial parameters of a case in our form. */
export const peerParams = (c: Case<unknown>, network: 'T' | 'f'): Params =>
  unflatten(
    peerPaths(network).map(({theirs, ours, transposed: turn}) => {
      const {shape} = c.inputs[theirs];
      const data = numbers(c.inputs[theirs]);
      return [ours, turn ? transposed({shape, data}) : float32(data, shape)] as const;
    }),
  );
