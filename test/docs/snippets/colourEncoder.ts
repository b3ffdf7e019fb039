/** A video-text encoder of captions that are colours: one token a frame, one word a caption. */
import * as tf from '@tensorflow/tfjs-core';
import {float32, type Branch, type EncoderModule, type Environment, type VideoTextEncoder} from '../../../src/plugin.js';

const WIDTH = 3;
const at = (params: Branch<tf.Tensor>, name: string): tf.Tensor => params[name] as tf.Tensor;
const unit = (x: tf.Tensor): tf.Tensor => tf.div(x, tf.add(tf.norm(x, 2, -1, true), 1e-6));

/** The encoder for the captions and videos of a world of colours. */
export function colourEncoder({policy, videoShape}: Environment): EncoderModule {
  const [frames] = videoShape;
  const encoder: VideoTextEncoder = {
    name: 'colour',
    videoShape,
    textLength: 1,
    embeddingWidth: WIDTH,
    fusionLayers: 1,
    // No token for the whole video, so none is at −1: a frame's token is at its middle.
    geometry: {
      frames: Array.from({length: frames}, (_, i) => i),
      rows: new Array<number>(frames).fill(0.5),
      columns: new Array<number>(frames).fill(0.5),
    },
    tokenize: policy.tokenize,
    encodeText(params, tokens) {
      const states = tf.gather(at(params, 'words'), tokens); // [B, 1, D]
      const valid = tf.cast(tf.notEqual(tokens, tf.scalar(0, 'int32')), 'float32');
      return {cls: unit(tf.mean(states, 1)), states, valid, lexical: valid};
    },
    encodeVideo(params, videos) {
      const colours = tf.mean(videos, [2, 3]); // [B, F, 3]
      const states = tf.add(colours, at(params, 'shift'));
      return {cls: unit(tf.mean(states, 1)), states};
    },
    similarityScale: () => tf.scalar(10),
    match(params, text, video, refine) {
      const queries = text.states;
      const keys = tf.mul(video.states, at(params, 'gain'));
      // One head: [B, 1, N, M].
      const weights = tf.softmax(tf.matMul(tf.expandDims(queries, 1), tf.expandDims(keys, 1), false, true));
      const attention = {layer: 0, weights, queries, keys, text};
      const seen = tf.matMul(refine ? refine(attention) : weights, tf.expandDims(video.states, 1)); // [B, 1, N, D]
      const apart = tf.sum(tf.square(tf.sub(tf.squeeze(seen, [1]), queries)), [1, 2]);
      return tf.stack([apart, tf.neg(apart)], 1);
    },
  };
  return {
    name: encoder.name,
    summary: 'colours of frames beside the colour of a word',
    encoder,
    initialise: () => ({
      // Rows of the words; the first is padding.
      words: float32([0, 0, 0, -1, -1, -1, 1, -1, -1, -1, 1, -1, 1, 1, 1], [5, WIDTH]),
      shift: float32(new Float32Array(WIDTH)),
      gain: float32(new Float32Array(WIDTH).fill(1)),
    }),
    weights: undefined,
  };
}
