/** The video-text encoders of the world: A for rewards, and B, of another architecture, which no reward may use. */
import {videoTextEncoder, type EncoderModule} from '../../src/plugin.js';
import {miniAsset} from './assets.js';
import {encoderVocabularyOf, tokenizerOf} from './caption.js';
import type {Preset} from './spec.js';

/** Sizes of both at one size of the world. */
interface Sizes {
  readonly a: {
    readonly width: number;
    readonly depth: number;
    readonly heads: number;
    readonly fusionHeads: number;
    readonly decoder: number;
  };
  readonly b: {readonly stem: number; readonly width: number; readonly depth: readonly [number, number]; readonly text: number};
  readonly embedding: number;
}

const sizes: Readonly<Record<string, Sizes>> = {
  nano: {
    a: {width: 32, depth: 2, heads: 2, fusionHeads: 2, decoder: 16},
    b: {stem: 8, width: 32, depth: [1, 1], text: 24},
    embedding: 16,
  },
  mini: {
    a: {width: 96, depth: 4, heads: 3, fusionHeads: 4, decoder: 48},
    b: {stem: 32, width: 96, depth: [1, 2], text: 64},
    embedding: 64,
  },
};

const patch = [2, 4, 4] as const;

/** The encoders of a preset, the default one first. */
export function encodersOf(preset: Preset): readonly EncoderModule[] {
  const {side, frames, textLength} = preset;
  const {a, b, embedding} = sizes[preset.name];
  const latentShape = [frames, side, side, 3] as const;
  const vocabulary = encoderVocabularyOf(preset);
  const text = {words: vocabulary.length, length: textLength, depth: 2};
  const shared = {embeddingWidth: embedding, tokenize: tokenizerOf(preset, vocabulary)};
  return [
    videoTextEncoder({
      ...shared,
      name: 'a',
      summary: 'patches and attention; captions by CLS. What rewards use',
      video: {
        kind: 'patches',
        config: {latentShape, patch, width: a.width, depth: a.depth, heads: a.heads},
        decoder: {width: a.decoder, heads: 2},
      },
      text: {...text, width: a.width, heads: a.heads, pooling: 'cls'},
      fusion: {layers: 2, heads: a.fusionHeads},
      weights: preset.name === 'mini' ? miniAsset('encoder-a') : undefined,
      ...(preset.name === 'mini' && {map: miniAsset('map-a')}),
    }),
    videoTextEncoder({
      ...shared,
      name: 'b',
      summary: 'convolutions in space and in time; captions by their mean. Measures what rewards do; never one itself',
      independent: true,
      video: {kind: 'convolution', config: {latentShape, patch, stem: b.stem, width: b.width, depth: b.depth}},
      text: {...text, width: b.text, heads: 2, pooling: 'mean'},
      fusion: {layers: 2, heads: 2},
      weights: preset.name === 'mini' ? miniAsset('encoder-b') : undefined,
    }),
  ];
}
