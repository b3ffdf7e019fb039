/** The scores of a differentiable reward, computed on a device in batches of one size. */
import type {Tensor} from '@tensorflow/tfjs-core';
import type {Device} from '../engine/device.js';
import type {DifferentiableReward, Reward} from '../reward.js';
import {take, type NdArray} from '../tensor/ndarray.js';
import type {Branch} from '../tensor/tree.js';

/** Videos that are scored at once: more gain nothing on a CPU. */
const BATCH = 16;

/**
 * A reward's `score` and `close` made of its differentiable form. Parameters are put on the device once. The last batch is filled
 * up with its own last video, so that one graph serves any number of videos.
 *
 * @param name stands in messages and profiles.
 */
export async function scoreOnDevice(
  device: Device,
  name: string,
  reward: DifferentiableReward,
): Promise<Required<Pick<Reward, 'score' | 'close'>>> {
  const params = await device.put(reward.params);
  const run = device.jit(`reward/${name}`, (inputs) => ({
    scores: reward.score(inputs['params'] as Branch<Tensor>, inputs['video'] as Tensor, inputs['prompts'] as Branch<Tensor>),
  }));
  return {
    async score(videos, prompts) {
      const scores = new Float32Array(prompts.length);
      for (let first = 0; first < prompts.length; first += BATCH) {
        const count = Math.min(BATCH, prompts.length - first);
        const rows = Array.from({length: BATCH}, (_, i) => first + Math.min(i, count - 1));
        const inputs = {params, video: take(videos, rows), prompts: reward.encode(rows.map((row) => prompts[row]))};
        const {outputs} = await run(inputs);
        scores.set((outputs['scores'] as NdArray<'float32'>).data.subarray(0, count), first);
      }
      return scores;
    },
    close: () => device.free(params),
  };
}
