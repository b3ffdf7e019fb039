/** An encoder and a transport map of the nano world, with weights under which everything matters. */
import {fluentClips} from '../../environments/fluentClips/fluentClips.js';
import type {FrozenEncoder} from '../../src/encoder.js';
import type {Device} from '../../src/engine/device.js';
import type {RewardContext} from '../../src/reward.js';
import {float32, ndarray, sizeOf, type NdArray} from '../../src/tensor/ndarray.js';
import {normals} from '../../src/tensor/random.js';
import {mapTree} from '../../src/tensor/tree.js';
import {transportMap, type TransportMap} from '../../src/transport/maps/transportMap.js';
import {bareContext} from './bareContext.js';

/** The world. */
export const noisyWorld = fluentClips('nano');
const [module] = noisyWorld.encoders!;

/** A fresh matching head says the same of everything; a little noise on all weights makes it look. */
export const noisyEncoder: FrozenEncoder = {
  file: 'noisy.safetensors',
  module,
  encoder: module.encoder,
  params: mapTree(module.initialise(3), (leaf: NdArray, prompt) => {
    const noise = normals({seed: 4, purpose: 'test', prompt}, new Float32Array(sizeOf(leaf.shape)));
    return float32(
      noise.map((z, i) => leaf.data[i] + 0.1 * z),
      leaf.shape,
    );
  }),
};

const width = module.encoder.embeddingWidth;

/** A matrix of noise, and a shift. */
export const noisyMap: TransportMap = transportMap(
  'procrustes',
  {
    matrix: ndarray('float32', [width, width], normals({seed: 5, purpose: 'test'}, new Float32Array(width * width))),
    shift: float32(new Float32Array(width).fill(0.1)),
  },
  width,
  'test',
);

/** The context of a reward that looks through them. */
export const noisyContext = (device: Device): RewardContext => ({
  ...bareContext(noisyWorld, device),
  encoder: async () => noisyEncoder,
  transportMap: async () => noisyMap,
});

/** Videos of noise, in [-1, 1] and beyond. */
export const noiseVideos = (count: number): NdArray<'float32'> => {
  const shape = [count, ...noisyWorld.videoShape];
  return ndarray('float32', shape, normals({seed: 9, purpose: 'test'}, new Float32Array(sizeOf(shape))));
};
