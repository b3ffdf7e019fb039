/** The scores of differentiable rewards, computed on a device in batches of one size. */
import type {Tensor} from '@tensorflow/tfjs-core';
import type {Device, ResidentTree} from '../engine/device.js';
import type {Prompt} from '../environment.js';
import type {JointForm} from '../rewards/jointForm.js';
import {take, type NdArray} from '../tensor/ndarray.js';
import type {Branch} from '../tensor/tree.js';

/** Videos that are scored at once: more gain nothing on a CPU. */
const BATCH = 16;

/** Rewards on a device. */
export interface DeviceScorer {
  /** `[B]` of each reward, by its name. */
  scores(videos: NdArray<'float32'>, prompts: readonly Prompt[]): Promise<Record<string, Float32Array>>;
  /** Gives the memory of the parameters back. */
  close(): Promise<void>;
}

/**
 * Scores by a compiled form. Parameters are put on the device once, by the first call. The last batch is filled up with its own
 * last video, so that one graph serves any number of videos.
 *
 * @param name stands in messages and profiles.
 */
export function scoreOnDevice(device: Device, name: string, form: JointForm): DeviceScorer {
  let placed: Promise<ResidentTree> | undefined;
  const run = device.jit(`reward/${name}`, (inputs) => ({
    scores: form.scores(inputs['params'] as Branch<Tensor>, inputs['video'] as Tensor, inputs['prompts'] as Branch<Tensor>),
  }));
  return {
    async scores(videos, prompts) {
      const params = await (placed ??= device.put(form.params));
      const found: Record<string, Float32Array> = {};
      for (let first = 0; first < prompts.length; first += BATCH) {
        const count = Math.min(BATCH, prompts.length - first);
        const rows = Array.from({length: BATCH}, (_, i) => first + Math.min(i, count - 1));
        const inputs = {params, video: take(videos, rows), prompts: form.encode(rows.map((row) => prompts[row]))};
        const {outputs} = await run(inputs);
        for (const [reward, {data}] of Object.entries(outputs['scores'] as Record<string, NdArray<'float32'>>)) {
          (found[reward] ??= new Float32Array(prompts.length)).set(data.subarray(0, count), first);
        }
      }
      return found;
    },
    close: async () => placed && device.free(await placed),
  };
}
