/** Encoders with one fault each are found out, and told by name. */
import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import {checkEncoder} from '../../src/conformance.js';
import type {Device} from '../../src/engine/device.js';
import type {EncoderModule, VideoTextEncoder} from '../../src/encoder.js';
import {ContractError} from '../../src/errors.js';
import {int32} from '../../src/tensor/ndarray.js';
import {rejection} from '../support/files.js';
import {picoEncoders, picoTexts} from '../support/pico.js';
import {openTestDevice} from '../support/toy.js';

const good = picoEncoders.a;
const {encoder} = good;
const withNetworks = (change: Partial<VideoTextEncoder>): EncoderModule => ({...good, encoder: {...encoder, ...change}});
let seeds = 0;

const faulty: Readonly<Record<string, [EncoderModule, RegExp]>> = {
  'a name with a hyphen': [{...good, name: 'my-encoder'}, /name: wanted an identifier/],
  'a summary of two lines': [{...good, summary: 'a\nb'}, /summary: wanted one line/],
  'parameters that change': [{...good, initialise: () => good.initialise(seeds++)}, /initialise: wanted the same parameters/],
  'tokens that depend on the batch': [
    withNetworks({
      tokenize: (texts) => ({
        ...encoder.tokenize(texts),
        data: encoder.tokenize(texts).data.map((x) => x && x + (texts.length > 1 ? 1 : 0)),
      }),
    }),
    /tokenize: wanted "a red car" to be read by itself/,
  ],
  'tokens of another length': [
    withNetworks({tokenize: (texts) => int32(new Int32Array(texts.length * 2).fill(1), [texts.length, 2])}),
    /tokenize: wanted int32 \[4, 5\]; got int32 \[4, 2\]/,
  ],
  'embeddings of length 2': [
    withNetworks({encodeVideo: (...x) => ({...encoder.encodeVideo(...x), cls: tf.mul(encoder.encodeVideo(...x).cls, 2)})}),
    /video: wanted embeddings of length 1; got 2.000/,
  ],
  'padding that counts as a word': [
    withNetworks({encodeText: (...x) => ({...encoder.encodeText(...x), lexical: tf.onesLike(encoder.encodeText(...x).valid)})}),
    /lexical: wanted 1 at words/,
  ],
  'padding that counts as a token': [
    withNetworks({encodeText: (...x) => ({...encoder.encodeText(...x), valid: tf.onesLike(encoder.encodeText(...x).valid)})}),
    /valid: wanted 1 at tokens/,
  ],
  'rows that see each other': [
    withNetworks({
      encodeVideo(params, videos) {
        const others = tf.sub(videos, tf.mean(videos, 0, true));
        return encoder.encodeVideo(params, others);
      },
    }),
    /video: wanted a row to be the same alone and in a batch/,
  ],
  'a place outside the picture': [
    withNetworks({geometry: {...encoder.geometry, rows: encoder.geometry.rows.map((r) => 2 * r)}}),
    /geometry: wanted frames from 0.*; 7 tokens are neither/,
  ],
  'a token too few in the geometry': [
    withNetworks({geometry: {...encoder.geometry, frames: encoder.geometry.frames.slice(1)}}),
    /geometry: wanted lists of one length; got 12, 13 and 13/,
  ],
  'a scale below 0': [withNetworks({similarityScale: () => tf.scalar(-1)}), /similarityScale: wanted a positive number; got -1/],
  'a hook that is never called': [
    withNetworks({match: (params, text, video) => encoder.match(params, text, video)}),
    /match: wanted the hook once a layer, in order, 0, 1; got $/m,
  ],
  'weights that do not sum to 1': [
    withNetworks({
      match: (params, text, video, refine) =>
        encoder.match(params, text, video, refine && ((a) => refine({...a, weights: tf.mul(a.weights, 2)}))),
    }),
    /match: wanted weights of layer 0 that sum to 1; they are off by 1/,
  ],
  'a hook that is not obeyed': [
    withNetworks({
      match: (params, text, video, refine) => encoder.match(params, text, video, refine && ((a) => (refine(a), a.weights))),
    }),
    /match: wanted the weights of a hook to be used/,
  ],
  'no gradient into the videos': [
    withNetworks({
      encodeVideo: (params, videos) => encoder.encodeVideo(params, tf.mul(tf.sign(videos), 0.5)),
    }),
    /match: wanted a gradient with respect to the videos/,
  ],
};

describe('conformance of encoders', function () {
  this.timeout(60_000);
  let device: Device;
  before(async () => {
    device = await openTestDevice();
  });
  after(() => device.close());

  for (const [name, module] of Object.entries(picoEncoders)) {
    it(`${name} keeps the contract`, () => checkEncoder(module, picoTexts, {device}));
  }

  for (const [fault, [module, says]] of Object.entries(faulty)) {
    it(`finds ${fault}`, async () => {
      const error = await rejection(checkEncoder(module, picoTexts, {device}));
      expect(error).to.be.instanceOf(ContractError);
      expect(error.message).to.match(says);
    });
  }
});
