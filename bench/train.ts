/** One pre-training step of the peer's network: batch 32, flow matching, caption drop, clipping, AdamW, average of the weights. */
import * as tf from '@tensorflow/tfjs-core';
import '../src/autograd/index.js';
import {openOrtDevice} from '../src/engine/ortDevice.js';
import type {Resident} from '../src/engine/device.js';
import {adamCorrections, adamw} from '../src/numeric/optim/adamw.js';
import {clipByGlobalNorm} from '../src/numeric/optim/clip.js';
import {ema} from '../src/numeric/optim/ema.js';
import {float32, int32, ndarray, rows, take, zeros, type NdArray} from '../src/tensor/ndarray.js';
import {pack, packing, unpack} from '../src/tensor/pack.js';
import {integers, normals, uniforms} from '../src/tensor/random.js';
import type {Params} from '../src/tensor/tree.js';
import {emit, microOr, repeat, THREADS} from './measure.js';
import {forwardOperations, initialisePeer, PATCH_SIZE, peerLoss, presets, tokensOf, VOCABULARY} from './peerNetwork.js';

const BATCH = 32;
const POOL = 256;
const ADAM = {beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0.01};
const scalar = (x: number): NdArray<'float32'> => float32([x], []);

/** Captions of random length, like the peer's `fake_ids`. */
export function randomCaptions(n: number, length: number): NdArray<'int32'> {
  const words = integers({seed: 0, purpose: 'words'}, n * length, VOCABULARY - 1);
  const shortest = Math.max(2, Math.floor(length / 2));
  const lengths = integers({seed: 0, purpose: 'lengths'}, n, length - shortest + 1);
  return int32(
    words.map((word, i) => (i % length < shortest + lengths[Math.floor(i / length)] ? word + 1 : 0)),
    [n, length],
  );
}

/** Measures one preset; the gradient is accumulated over the passes of a batch. */
export async function benchTrain(preset: string): Promise<void> {
  const config = presets[preset];
  const micro = microOr(config.micro);
  const device = await openOrtDevice('cpu', {provider: 'cpu', threads: THREADS}, {});
  const params = initialisePeer(config, 0);
  const layout = packing(params);
  const packed = pack(params, layout);
  const empty = (): NdArray<'float32'> => zeros('float32', [layout.size]);
  const state = await device.put({
    params: packed,
    average: {...packed, data: packed.data.slice()},
    first: empty(),
    second: empty(),
  });
  const {gradient} = (await device.put({gradient: empty()})) as {gradient: Resident};

  const accumulate = device.jit('bench/accumulate', (inputs) => {
    const {
      params: vector,
      gradient: before,
      batch,
    } = inputs as {params: tf.Tensor; gradient: tf.Tensor; batch: Record<string, tf.Tensor>};
    const {value, grad} = tf.valueAndGrad((p: tf.Tensor) => tf.mul(peerLoss(config, unpack(p, layout), batch), micro / BATCH))(
      vector,
    );
    return {gradient: tf.add(before, grad), loss: value};
  });
  const apply = device.jit('bench/apply', (inputs) => {
    const {params: vector, average, first, second} = inputs['state'] as Record<string, tf.Tensor>;
    const {correction1, correction2} = inputs as Record<string, tf.Tensor>;
    const {gradients, norm} = clipByGlobalNorm([inputs['gradient'] as tf.Tensor], tf.scalar(1));
    const next = adamw(
      vector,
      gradients[0],
      {first: first, second: second},
      {learningRate: tf.scalar(1e-3), correction1: correction1, correction2: correction2},
      ADAM,
    );
    const state = {
      params: next.params,
      average: ema(average, next.params, tf.scalar(0.998)),
      first: next.state.first,
      second: next.state.second,
    };
    return {state, gradient: tf.zeros([layout.size]), norm};
  });

  const shape = [tokensOf(config), PATCH_SIZE];
  const clipSize = shape[0] * PATCH_SIZE;
  const pool = ndarray('float32', [POOL, ...shape], normals({seed: 0, purpose: 'pool'}, new Float32Array(POOL * clipSize)));
  const captions = randomCaptions(POOL, config.text);
  let step = 0;
  const update = async (): Promise<void> => {
    const key = (purpose: string): {seed: number; purpose: string; iteration: number} => ({seed: 0, purpose, iteration: step});
    const picks = integers(key('picks'), BATCH, POOL);
    const whole = {
      clean: take(pool, picks),
      noise: ndarray('float32', [BATCH, ...shape], normals(key('noise'), new Float32Array(BATCH * clipSize))),
      time: float32(normals(key('time'), new Float32Array(BATCH)).map((z) => 1 / (1 + Math.exp(-(z + 0.6))))),
      tokens: take(captions, picks),
      drop: float32(uniforms(key('drop'), new Float32Array(BATCH)).map((u) => (u < 0.1 ? 1 : 0))),
    };
    for (let first = 0; first < BATCH; first += micro) {
      const batch = Object.fromEntries(
        Object.entries(whole).map(([name, array]) => [name, rows<'float32' | 'int32'>(array, first, first + micro)]),
      ) as Params;
      await accumulate({params: state['params'], gradient, batch}, {into: {gradient}});
    }
    const {correction1, correction2} = adamCorrections(++step, ADAM);
    await apply(
      {state, gradient, correction1: scalar(correction1), correction2: scalar(correction2)},
      {into: {state, gradient}, guard: ['norm']},
    );
  };
  const times = await repeat(preset === 'base' ? 3 : 10, 2, update);
  emit(`train/${preset}`, times, {clips: BATCH, operations: 3 * forwardOperations(config, true) * BATCH, micro});
  await device.close();
}
