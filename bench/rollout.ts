/** Sampling 32 clips × 10 flow-SDE steps of the peer's network, with log-probabilities and the trajectory kept. */
import type * as tf from '@tensorflow/tfjs-core';
import type {Resident} from '../src/engine/device.js';
import {openOrtDevice} from '../src/engine/ortDevice.js';
import {step} from '../src/numeric/transition.js';
import {float32, ndarray, take, type NdArray} from '../src/tensor/ndarray.js';
import {pack, packing, unpack} from '../src/tensor/pack.js';
import {normals} from '../src/tensor/random.js';
import {emit, microOr, repeat, THREADS} from './measure.js';
import {
  denoisePeer,
  encodePeer,
  forwardOperations,
  initialisePeer,
  isText,
  PATCH_SIZE,
  presets,
  tokensOf,
} from './peerNetwork.js';
import {randomCaptions} from './train.js';

const CLIPS = 32;
const PROMPTS = 4;
const STEPS = 10;

/** The peer's schedule: next = a·latent + b·x̂0 + std·noise at `time`. */
export function flowSchedule(noiseLevel = 0.7, shift = 3): {a: number; b: number; std: number; time: number}[] {
  const s = Array.from({length: STEPS + 1}, (_, i) => (shift * (1 - i / STEPS)) / (1 + (shift - 1) * (1 - i / STEPS)));
  return s.slice(0, -1).map((time, i) => {
    const d = s[i + 1] - time;
    const variance = (noiseLevel ** 2 * time) / (1 - (time === 1 ? s[1] : time));
    const velocity = (1 + (variance * (1 - time)) / (2 * time)) * d;
    return {a: 1 + (variance * d) / (2 * time) + velocity / time, b: -velocity / time, std: Math.sqrt(variance * -d), time};
  });
}

const column = (n: number, value: number): NdArray<'float32'> => float32(new Float32Array(n).fill(value));

/** Measures one preset. */
export async function benchRollout(preset: string): Promise<void> {
  const config = presets[preset];
  const micro = microOr(config.micro);
  const device = await openOrtDevice('cpu', {provider: 'cpu', threads: THREADS}, {});
  const params = initialisePeer(config, 0);
  const [trained, frozen] = [packing(params, (path) => !isText(path)), packing(params, isText)];
  const policy = (await device.put({trained: pack(params, trained), frozen: pack(params, frozen)})) as {
    trained: Resident;
    frozen: Resident;
  };

  const encode = device.jit('bench/encode', (inputs) => {
    const {frozen: vector, tokens} = inputs as Record<string, tf.Tensor>;
    return {...encodePeer(config, unpack(vector, frozen), tokens)};
  });
  const act = device.jit('bench/act', (inputs) => {
    const {trained: vector, latent, time, a, b, std, noise, states, keyBias} = inputs as Record<string, tf.Tensor>;
    const x0 = denoisePeer(config, unpack(vector, trained), latent, time, {states: states, keyBias: keyBias});
    return {...step({latent: latent, x0, a: a, b: b, std: std, noise: noise})};
  });

  const tokens = randomCaptions(PROMPTS, config.text);
  const shape = [tokensOf(config), PATCH_SIZE];
  const size = shape[0] * PATCH_SIZE;
  const table = flowSchedule();
  const prompt = Array.from({length: CLIPS}, (_, i) => Math.floor((i * PROMPTS) / CLIPS));
  let iteration = 0;
  const rollout = async (): Promise<void> => {
    iteration++;
    const draw = (first: number, index: number): NdArray<'float32'> =>
      ndarray(
        'float32',
        [micro, ...shape],
        normals({seed: 0, purpose: 'rollout', iteration, sample: first, step: index}, new Float32Array(micro * size)),
      );
    const text = (await encode({frozen: policy.frozen, tokens})).outputs as {
      states: NdArray<'float32'>;
      keyBias: NdArray<'float32'>;
    };
    const trajectory: NdArray<'float32'>[][] = [];
    const logProbs: Float32Array[][] = [];
    for (let first = 0; first < CLIPS; first += micro) {
      const mine = prompt.slice(first, first + micro);
      const shown = {states: take(text.states, mine), keyBias: take(text.keyBias, mine)};
      const latents = [draw(first, 0)];
      const scores: Float32Array[] = [];
      for (const [k, row] of table.entries()) {
        const coefficients = Object.fromEntries(Object.entries(row).map(([name, value]) => [name, column(micro, value)]));
        const {outputs} = await act({
          trained: policy.trained,
          latent: latents[k],
          noise: draw(first, k + 1),
          ...shown,
          ...coefficients,
        });
        const {next, logProb} = outputs as {next: NdArray<'float32'>; logProb: NdArray<'float32'>};
        latents.push(next);
        scores.push(logProb.data);
      }
      trajectory.push(latents);
      logProbs.push(scores);
    }
    if (!logProbs.flat(2).every((part) => part.every(Number.isFinite)))
      throw new Error('bench: a log-probability is not finite.');
  };
  const times = await repeat(preset === 'base' ? 2 : 6, 1, rollout);
  emit(`rollout/${preset}`, times, {clips: CLIPS, operations: forwardOperations(config, false) * CLIPS * STEPS, micro});
  await device.close();
}
