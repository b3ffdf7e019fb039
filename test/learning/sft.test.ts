/** Does SFT learn? In a toy whose clips lie elsewhere than its policy, it must arrive at the clips' own mean, whatever the reward says. */
import {expect} from 'chai';
import {sft} from '../../algorithms/sft.js';
import {gaussianToy, gaussianToyDeviation, gaussianToyMeans} from '../../environments/gaussianToy.js';
import type {Device} from '../../src/engine/device.js';
import type {Environment} from '../../src/environment.js';
import {float32, ndarray} from '../../src/tensor/ndarray.js';
import {toBytes} from '../../src/tensor/pixels.js';
import {normals} from '../../src/tensor/random.js';
import {baseMeans, greyReward, openTestDevice, trainToyWith} from '../support/toy.js';

const SHIFT = 0.25;
const words = Object.keys(gaussianToyMeans);

/** The toy with clips of its own, whose levels are normal about each word's mean plus SHIFT. */
const toyWithClips: Environment = {
  ...gaussianToy(),
  encode: ({data}) =>
    float32(
      data.filter((_, i) => i % 3 === 0),
      [data.length / 3, 1, 1, 1, 1],
    ),
  openClips: () => ({
    clips: async (indices) => {
      const levels = indices.map((i) => {
        const [z] = normals({seed: 6, purpose: 'clips', sample: i}, new Float32Array(1));
        return baseMeans[i % words.length] + SHIFT + gaussianToyDeviation * z;
      });
      const pixels = Float32Array.from(levels.flatMap((x) => [x, x, x]));
      return {videos: toBytes(ndarray('float32', [indices.length, 1, 1, 1, 3], pixels)), texts: indices.map((i) => words[i % 4])};
    },
    close: () => Promise.resolve(),
  }),
};

describe('sft on gaussianToy', function () {
  this.timeout(120_000);
  let device: Device;
  before(async () => {
    device = await openTestDevice();
  });
  after(() => device.close());

  it("every prompt's mean arrives at that of its clips, and no reward is asked", async () => {
    const reward = {...greyReward('none', () => 0), score: () => Promise.reject(new Error('nothing is to be scored'))};
    const options = sft.options.parse({learningRate: 0.02, emaDecay: 0.95, clipsPerIteration: 256});
    const run = {device, environment: toyWithClips, sampler: 'flowSde', noiseLevel: 0.7, steps: 8, iterations: 60} as const;
    const {means, metrics} = await trainToyWith(sft.configure(options), {...run, reward});
    means.forEach((mu, c) => expect(mu, words[c]).to.be.closeTo(baseMeans[c] + SHIFT, 0.03));
    expect(Object.keys(metrics).filter((name) => name.startsWith('reward/'))).to.deep.equal([]);
    expect(metrics['policy/cleanError']).to.be.within(0.02, 0.06);
  });
});
