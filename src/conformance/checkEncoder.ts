/** Whether a video-text encoder keeps its contract. */
import * as tf from '@tensorflow/tfjs-core';
import '../autograd/index.js';
import type {Device} from '../engine/device.js';
import type {EncodedText, EncodedVideo, EncoderModule, TokenGeometry} from '../encoder.js';
import {rows, type NdArray} from '../tensor/ndarray.js';
import {mapTree, type Branch, type Params} from '../tensor/tree.js';
import {allFinite, findingsOf, isIdentifier, largestGap, sameData, sameTree, shapeText, type Findings} from './findings.js';
import {onDevice} from './onDevice.js';
import {testNoise} from './testNoise.js';

/** Numbers of a row alone and in a batch, and with and without a hook, may differ by float32 rounding. */
const SLACK = 1e-4;

/**
 * Runs every check of an encoder.
 *
 * @param texts captions that it can read, at least two, of different lengths if there are such.
 * @param options.device where its networks run; default: a device of its own.
 * @throws ContractError that lists all faults.
 */
export async function checkEncoder(
  module: EncoderModule,
  texts: readonly string[],
  options: {readonly device?: Device} = {},
): Promise<void> {
  const found = findingsOf(`encoder "${module.name}"`);
  found.check(isIdentifier(module.name), `name: wanted an identifier such as a; got "${module.name}"`);
  found.check(/^\S[^\n]*$/.test(module.summary), 'summary: wanted one line; got none, or several');
  found.check(texts.length > 1, `texts: wanted at least two to try it on; got ${texts.length}`);
  const params = await found.part('initialise', () => {
    const fresh = module.initialise(1);
    found.check(sameTree(fresh, module.initialise(1)), 'initialise: wanted the same parameters for the same seed; they changed');
    // Off their initial values, since branches that start at zero would hide half of it.
    return mapTree(fresh, (leaf: NdArray, path) => {
      const noise = testNoise(path, leaf.shape, 0.1).data;
      return {...leaf, data: Float32Array.from(leaf.data, (x, i) => x + noise[i])};
    });
  });
  const tokens = await found.part('tokenize', () => checkTokens(found, module, texts));
  if (params && tokens) {
    await onDevice(options.device, async (device) => {
      await found.part('networks', () => checkNetworks(found, module, params, tokens, device));
      await found.part('match', () => checkMatch(found, module, params, tokens, device));
    });
  }
  found.finish();
}

function checkTokens(found: Findings, {encoder}: EncoderModule, texts: readonly string[]): NdArray<'int32'> {
  const tokens = encoder.tokenize(texts);
  const wanted = [texts.length, encoder.textLength];
  found.check(
    tokens.dtype === 'int32' && shapeText(tokens.shape) === shapeText(wanted),
    `tokenize: wanted int32 ${shapeText(wanted)}; got ${tokens.dtype} ${shapeText(tokens.shape)}`,
  );
  texts.forEach((text, i) => {
    const alone = encoder.tokenize([text]).data;
    found.check(
      sameData(alone, rows(tokens, i, i + 1).data),
      `tokenize: wanted "${text}" to be read by itself; its batch changed it`,
    );
    found.check(
      alone.some((id) => id !== 0),
      `tokenize: wanted tokens of "${text}"; all are padding`,
    );
  });
  return tokens;
}

const clipsOf = ({encoder}: EncoderModule, count: number): NdArray<'float32'> => {
  const clips = testNoise('clips', [count, ...encoder.videoShape], 0.4);
  return {...clips, data: clips.data.map((x) => Math.max(-1, Math.min(1, x)))};
};

const weightsIn = (inputs: Branch<tf.Tensor>): Branch<tf.Tensor> => inputs['params'] as Branch<tf.Tensor>;

function encoded({encoder}: EncoderModule, inputs: Branch<tf.Tensor>): {text: EncodedText; video: EncodedVideo} {
  const weights = weightsIn(inputs);
  return {
    text: encoder.encodeText(weights, inputs['tokens'] as tf.Tensor),
    video: encoder.encodeVideo(weights, inputs['videos'] as tf.Tensor),
  };
}

async function checkNetworks(
  found: Findings,
  module: EncoderModule,
  params: Params,
  tokens: NdArray<'int32'>,
  device: Device,
): Promise<void> {
  const {encoder} = module;
  const {embeddingWidth: width, textLength, geometry} = encoder;
  const run = device.jit('conformance/encoder', (inputs) => {
    const {text, video} = encoded(module, inputs);
    return {
      text: text.cls,
      textStates: text.states,
      valid: text.valid,
      lexical: text.lexical,
      video: video.cls,
      videoStates: video.states,
      logits: encoder.match(weightsIn(inputs), text, video),
      scale: encoder.similarityScale(weightsIn(inputs)),
    };
  });
  const count = tokens.shape[0];
  const videos = clipsOf(module, count);
  const out = (await run({params, tokens, videos})).outputs as Record<string, NdArray>;
  const shapes: Record<string, readonly number[]> = {
    text: [count, width],
    video: [count, width],
    valid: [count, textLength],
    lexical: [count, textLength],
    textStates: [count, textLength, out['textStates'].shape[2] ?? 0],
    videoStates: [count, geometry.frames.length, out['videoStates'].shape[2] ?? 0],
    logits: [count, 2],
    scale: [],
  };
  for (const [name, shape] of Object.entries(shapes)) {
    found.check(
      shapeText(out[name].shape) === shapeText(shape),
      `${name}: wanted ${shapeText(shape)}; got ${shapeText(out[name].shape)}`,
    );
    found.check(allFinite(out[name].data), `${name}: wanted finite numbers; some are not`);
  }
  for (const name of ['text', 'video']) {
    const lengths = Array.from({length: count}, (_, i) => Math.hypot(...rows(out[name], i, i + 1).data));
    found.check(
      lengths.every((l) => Math.abs(l - 1) < SLACK),
      `${name}: wanted embeddings of length 1; got ${lengths.map((l) => l.toFixed(3)).join(', ')}`,
    );
  }
  const [valid, lexical] = [Array.from(out['valid'].data), Array.from(out['lexical'].data)];
  found.check(
    sameData(
      valid,
      Array.from(tokens.data, (id) => (id === 0 ? 0 : 1)),
    ),
    'valid: wanted 1 at tokens and 0 at padding',
  );
  found.check(
    lexical.every((x, i) => x === 0 || (x === 1 && valid[i] === 1)),
    'lexical: wanted 1 at words and 0 elsewhere; padding is no word',
  );
  found.check(out['scale'].data[0] > 0, `similarityScale: wanted a positive number; got ${out['scale'].data[0]}`);
  checkGeometry(found, geometry);

  const last = count - 1;
  const alone = (await run({params, tokens: rows(tokens, last, count), videos: rows(videos, last, count)})).outputs as typeof out;
  for (const name of ['text', 'video', 'logits']) {
    const gap = largestGap(alone[name].data, rows(out[name], last, count).data);
    found.check(gap < SLACK, `${name}: wanted a row to be the same alone and in a batch; it differs by ${gap.toPrecision(2)}`);
  }
}

function checkGeometry(found: Findings, {frames, rows: down, columns}: TokenGeometry): void {
  found.check(
    frames.length === down.length && frames.length === columns.length,
    `geometry: wanted lists of one length; got ${frames.length}, ${down.length} and ${columns.length}`,
  );
  const faults = frames.filter((frame, i) => {
    const nowhere = frame === -1 && down[i] === -1 && columns[i] === -1;
    const inside = (x: number): boolean => x >= 0 && x <= 1;
    return !nowhere && !(Number.isInteger(frame) && frame >= 0 && inside(down[i]) && inside(columns[i]));
  });
  found.check(
    faults.length === 0,
    `geometry: wanted frames from 0, rows and columns in [0, 1], or −1 in all three; ${faults.length} tokens are neither`,
  );
}

async function checkMatch(
  found: Findings,
  module: EncoderModule,
  params: Params,
  tokens: NdArray<'int32'>,
  device: Device,
): Promise<void> {
  const {encoder} = module;
  const layers: number[] = [];
  const run = device.jit('conformance/match', (inputs) => {
    const {text, video} = encoded(module, inputs);
    const weights = weightsIn(inputs);
    const sums: Record<string, tf.Tensor> = {};
    layers.splice(0);
    const same = encoder.match(weights, text, video, (attention) => {
      layers.push(attention.layer);
      const [batch, , queries, keys] = attention.weights.shape as [number, number, number, number];
      const fits = attention.queries.shape[1] === queries && attention.keys.shape[1] === keys && batch === tokens.shape[0];
      found.check(fits, 'match: wanted weights [B, heads, N, M], queries [B, N, D] and keys [B, M, D] that go together');
      sums[attention.layer] = tf.sum(attention.weights, -1);
      return attention.weights;
    });
    const level = encoder.match(weights, text, video, ({weights: w}) => tf.fill(w.shape, 1 / w.shape[3]!));
    const slope = tf.grad((clips: tf.Tensor) =>
      tf.sum(tf.slice(encoder.match(weights, text, encoder.encodeVideo(weights, clips)), [0, 1], [clips.shape[0], 1])),
    )(inputs['videos'] as tf.Tensor);
    return {plain: encoder.match(weights, text, video), same, level, sums, slope};
  });
  const outputs = (await run({params, tokens, videos: clipsOf(module, tokens.shape[0])})).outputs;
  const {plain, same, level, slope} = outputs as unknown as Record<string, NdArray>;
  const wanted = Array.from({length: encoder.fusionLayers}, (_, i) => i);
  found.check(
    sameData(layers, wanted),
    `match: wanted the hook once a layer, in order, ${wanted.join(', ')}; got ${layers.join(', ')}`,
  );
  for (const [layer, sum] of Object.entries(outputs['sums'] as Record<string, NdArray>)) {
    const off = largestGap(sum.data, new Float32Array(sum.data.length).fill(1));
    found.check(off < SLACK, `match: wanted weights of layer ${layer} that sum to 1; they are off by ${off.toPrecision(2)}`);
  }
  found.check(largestGap(plain.data, same.data) < SLACK, 'match: wanted a hook that changes nothing to change nothing');
  found.check(
    largestGap(plain.data, level.data) > 1e-7,
    'match: wanted the weights of a hook to be used; other ones made no difference',
  );
  found.check(
    allFinite(slope.data) && slope.data.some((x) => x !== 0),
    'match: wanted a gradient with respect to the videos; it is 0 or not finite',
  );
}
