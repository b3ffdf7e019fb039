/** What plug-ins are tried on. */
import {ndarray, sizeOf, type NdArray} from '../tensor/ndarray.js';
import {normals} from '../tensor/random.js';

/** Normals of deviation `scale`, the same in every check. */
export function testNoise(purpose: string, shape: readonly number[], scale = 1): NdArray<'float32'> {
  const data = normals({seed: 1, purpose: `conformance/${purpose}`}, new Float32Array(sizeOf(shape)));
  return ndarray(
    'float32',
    shape,
    data.map((x) => x * scale),
  );
}
