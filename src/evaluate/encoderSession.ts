/** A video-text encoder on a device, for any number of clips and captions. */
import * as tf from '@tensorflow/tfjs-core';
import type {Device, Jitted} from '../engine/device.js';
import type {VideoTextEncoder} from '../encoder.js';
import {concatRows, rows, take, type NdArray} from '../tensor/ndarray.js';
import {pack, packing, unpack} from '../tensor/pack.js';
import {asVideo, toBytes} from '../tensor/pixels.js';
import type {Branch, Params} from '../tensor/tree.js';

/** An encoder with its parameters on a device. */
export interface EncoderSession {
  readonly encoder: VideoTextEncoder;
  /** `[B, E]`, unit length. */
  embedTexts(texts: readonly string[]): Promise<NdArray<'float32'>>;
  /** `[B, E]`, unit length. */
  embedVideos(videos: Videos): Promise<NdArray<'float32'>>;
  /** Logit of a match less logit of none, `[B]`: positive where the encoder says that they match. */
  matchLogits(texts: readonly string[], videos: Videos): Promise<Float32Array>;
  /** Gives the memory of the parameters back. */
  close(): Promise<void>;
}

/** `[B, F, H, W, C]`: float32 in [-1, 1], or bytes. */
export type Videos = NdArray<'float32'> | NdArray<'uint8'>;

/** Rows of one call; the last one is filled up, so that there is one compiled graph. */
const BATCH = 64;

/** Bytes as they are, numbers in [-1, 1] to the nearest byte: one graph serves both, and generated clips are rounded as files are. */
const bytesOf = (videos: Videos): NdArray<'uint8'> => (videos.dtype === 'uint8' ? videos : toBytes(videos));

/** Puts an encoder on a device. */
export async function openEncoderSession(device: Device, encoder: VideoTextEncoder, params: Params): Promise<EncoderSession> {
  const layout = packing(params);
  const resident = await device.put({params: pack(params, layout)});
  const jit = (name: string, fn: (weights: Branch<tf.Tensor>, inputs: Record<string, tf.Tensor>) => tf.Tensor): Jitted =>
    device.jit(name, (inputs) => ({
      out: fn(unpack(inputs['params'] as tf.Tensor, layout), inputs as Record<string, tf.Tensor>),
    }));
  const texts = jit(`encoder/${encoder.name}/texts`, (weights, {tokens}) => encoder.encodeText(weights, tokens).cls);
  const videos = jit(
    `encoder/${encoder.name}/videos`,
    (weights, given) => encoder.encodeVideo(weights, asVideo(given['videos'])).cls,
  );
  const match = jit(`encoder/${encoder.name}/match`, (weights, given) => {
    const text = encoder.encodeText(weights, given['tokens']);
    const video = encoder.encodeVideo(weights, asVideo(given['videos']));
    const [no, yes] = tf.unstack(encoder.match(weights, text, video), 1);
    return tf.sub(yes, no);
  });

  const inBatches = async (run: Jitted, inputs: Readonly<Record<string, NdArray>>): Promise<NdArray<'float32'>> => {
    const count = Object.values(inputs)[0].shape[0];
    const parts: NdArray<'float32'>[] = [];
    for (let first = 0; first < count; first += BATCH) {
      const here = Math.min(BATCH, count - first);
      const index = Array.from({length: BATCH}, (_, i) => first + Math.min(i, here - 1));
      const batch = Object.fromEntries(Object.entries(inputs).map(([name, array]) => [name, take(array, index)]));
      const {outputs} = await run({...batch, params: resident['params']});
      parts.push(rows(outputs['out'] as NdArray<'float32'>, 0, here));
    }
    return concatRows(parts);
  };

  return {
    encoder,
    embedTexts: (list) => inBatches(texts, {tokens: encoder.tokenize(list)}),
    embedVideos: (list) => inBatches(videos, {videos: bytesOf(list)}),
    matchLogits: async (list, clips) => (await inBatches(match, {tokens: encoder.tokenize(list), videos: bytesOf(clips)})).data,
    close: () => device.free(resident),
  };
}
