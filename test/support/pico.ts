/** Video-text encoders of both architectures, small enough to run eagerly in a blink. */
import {videoTextEncoder, type EncoderModule} from '../../src/plugin.js';
import {float32, int32, ndarray, sizeOf, type NdArray} from '../../src/tensor/ndarray.js';
import {normals, uniforms} from '../../src/tensor/random.js';
import {mapTree, type Params} from '../../src/tensor/tree.js';

/** `[F, H, W, C]` of its clips: a grid of 2×2×3 tokens. */
export const picoShape = [4, 8, 12, 3] as const;
const patch = [2, 4, 4] as const;
const words = ['', 'a', 'red', 'car', 'dog', 'left'];
const length = 4;

const tokenize = (texts: readonly string[]): NdArray<'int32'> =>
  int32(
    texts.flatMap((text) => {
      const ids = text.split(' ').map((word) => words.indexOf(word));
      return [...ids, ...new Array<number>(length - ids.length).fill(0)];
    }),
    [texts.length, length],
  );

const shared = {summary: 'for tests', embeddingWidth: 6, tokenize, weights: undefined};
const text = {words: words.length, length, depth: 1, heads: 2};

/** By name. */
export const picoEncoders: Readonly<Record<'a' | 'b', EncoderModule>> = {
  a: videoTextEncoder({
    ...shared,
    name: 'a',
    video: {
      kind: 'patches',
      config: {latentShape: picoShape, patch, width: 12, depth: 2, heads: 2},
      decoder: {width: 8, heads: 2},
    },
    text: {...text, width: 12, pooling: 'cls'},
    fusion: {layers: 2, heads: 2},
  }),
  b: videoTextEncoder({
    ...shared,
    name: 'b',
    video: {kind: 'convolution', config: {latentShape: picoShape, patch, stem: 4, width: 8, depth: [1, 1]}},
    text: {...text, width: 12, pooling: 'mean'},
    fusion: {layers: 2, heads: 2},
  }),
};

/** Parameters off their initial zeros, so that every part of a network matters. */
export const offZero = (params: Params, scale = 0.2): Params =>
  mapTree(params, (leaf: NdArray, path) => {
    const noise = normals({seed: 3, purpose: path}, new Float32Array(leaf.data.length));
    return float32(
      noise.map((z, i) => leaf.data[i] + scale * z),
      leaf.shape,
    );
  });

/** Clips of noise in [-1, 1]. */
export const noiseClips = (count: number, seed = 1): NdArray<'float32'> => {
  const shape = [count, ...picoShape];
  return ndarray(
    'float32',
    shape,
    uniforms({seed, purpose: 'clips'}, new Float32Array(sizeOf(shape))).map((u) => 2 * u - 1),
  );
};

/** Captions of different lengths. */
export const picoTexts = ['a red car', 'a dog', 'a red dog left', 'a car left'] as const;
