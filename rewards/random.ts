/** A reward that knows nothing: the control that no algorithm can win with. What "improves" under it is noise or a fault. */
import {createHash} from 'node:crypto';
import {normals, sizeOf, type RewardModule} from '../src/plugin.js';

/** The bytes of a clip as an integer below 2^48. */
const fingerprint = (clip: Float32Array): number =>
  createHash('sha256')
    .update(new Uint8Array(clip.buffer, clip.byteOffset, clip.byteLength))
    .digest()
    .readUIntBE(0, 6);

/** A standard normal number for each clip, drawn from the clip's bytes and its prompt, so that a resumed run draws the same. */
export const random: RewardModule = {
  name: 'random',
  unit: '1',
  summary: 'a standard normal number for each clip, the same whenever the clip is: a control that nothing can be learnt from',
  open: async () => ({
    name: 'random',
    unit: '1',
    score: async (videos, prompts) => {
      const size = sizeOf(videos.shape.slice(1));
      const draw = new Float32Array(1);
      return Float32Array.from(prompts, ({id}, i) => {
        const seed = fingerprint(videos.data.subarray(i * size, (i + 1) * size));
        return normals({seed, purpose: 'randomReward', prompt: id}, draw)[0];
      });
    },
  }),
};
