/** A fingerprint of parameters, whatever file they came from: what was fitted to a network must not be used with another. */
import {createHash} from 'node:crypto';
import type {NdArray} from '../tensor/ndarray.js';
import {leaves, type Params} from '../tensor/tree.js';

/**
 * sha256, in hexadecimal, of names, types, shapes and bytes of all arrays, in the order of their names.
 *
 * Parameters that were written in half precision and read back have another fingerprint than before.
 */
export function hashParams(params: Params): string {
  const hash = createHash('sha256');
  const ordered = leaves<NdArray>(params).sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [path, {dtype, shape, data}] of ordered) {
    hash.update(`${path}:${dtype}[${shape.join()}]`);
    hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return hash.digest('hex');
}
