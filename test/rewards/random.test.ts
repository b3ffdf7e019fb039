/** The control reward: a number of its clip and prompt alone, normal, and unrelated to what the clip shows. */
import {expect} from 'chai';
import {random} from '../../rewards/random.js';
import type {Prompt} from '../../src/environment.js';
import type {Reward, RewardContext} from '../../src/reward.js';
import {float32, type NdArray} from '../../src/tensor/ndarray.js';
import {normals} from '../../src/tensor/random.js';

const COUNT = 2000;
const SIZE = 2 * 3 * 3 * 1;
const prompts: readonly Prompt[] = Array.from({length: COUNT}, (_, i) => ({id: `p${i % 5}`, text: 'a dog', truth: null}));
const values = normals({seed: 1, purpose: 'clips'}, new Float32Array(COUNT * SIZE));
const clips = (from: number, count: number): NdArray<'float32'> =>
  float32(values.slice(from * SIZE, (from + count) * SIZE), [count, 2, 3, 3, 1]);

describe('random reward', () => {
  let reward: Reward;
  before(async () => {
    // It asks its context for nothing.
    reward = await random.open({} as RewardContext);
  });

  it('is a number of the clip and its prompt, whatever the batch', async () => {
    const all = await reward.score(clips(0, COUNT), prompts);
    expect(await reward.score(clips(3, 4), prompts.slice(3, 7))).to.deep.equal(all.slice(3, 7));
    expect((await reward.score(clips(3, 1), [prompts[4]]))[0]).not.to.equal(all[3]);
    expect(new Set(all).size).to.be.greaterThan(COUNT - 3);
  });

  it('is standard normal, and says nothing of the clip', async () => {
    const all = await reward.score(clips(0, COUNT), prompts);
    const brightness = Array.from({length: COUNT}, (_, i) =>
      values.subarray(i * SIZE, (i + 1) * SIZE).reduce((sum, x) => sum + x / SIZE, 0),
    );
    const mean = all.reduce((sum, x) => sum + x / COUNT, 0);
    const variance = all.reduce((sum, x) => sum + (x - mean) ** 2 / COUNT, 0);
    const product = all.reduce((sum, x, i) => sum + (x * brightness[i] * Math.sqrt(SIZE)) / COUNT, 0);
    // Deviations over 2000 clips: .022 of the mean, .032 of the variance, .022 of the correlation.
    expect(Math.abs(mean)).to.be.below(0.08);
    expect(Math.abs(variance - 1)).to.be.below(0.12);
    expect(Math.abs(product)).to.be.below(0.08);
  });
});
