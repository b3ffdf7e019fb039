/** The Bradley-Terry network: its loss and its optimum in closed form, and that it finds what is behind labels with mistakes. */
import {expect} from 'chai';
import type {Device} from '../../src/engine/device.js';
import {mislabelled, pairAccuracy} from '../../src/fit/preferencePairs.js';
import {comparedPairs, type PreferencePair} from '../../src/numeric/comparedPairs.js';
import {preferenceScores, trainPreference, type PreferencePlan} from '../../src/fit/trainPreference.js';
import type {EmbeddedPairs} from '../../src/fit/trainMap.js';
import {preferenceParams} from '../../src/models/preferenceNetwork.js';
import {ndarray, type NdArray} from '../../src/tensor/ndarray.js';
import {normals} from '../../src/tensor/random.js';
import type {Params} from '../../src/tensor/tree.js';
import {openTestDevice} from '../support/toy.js';

const WIDTH = 6;
const draw = (purpose: string, n: number): NdArray<'float32'> =>
  ndarray('float32', [n, WIDTH], normals({seed: 1, purpose}, new Float32Array(n * WIDTH)));
const clipsOf = (purpose: string, n: number): EmbeddedPairs => ({text: draw(`${purpose}/text`, n), video: draw(purpose, n)});
const plan: PreferencePlan = {steps: 1, batch: 8, hidden: 16, learningRate: 1e-2, weightDecay: 0};

describe('trainPreference', function () {
  this.timeout(300_000);
  let device: Device;
  before(async () => {
    device = await openTestDevice();
  });
  after(() => device.close());

  async function train(
    clips: EmbeddedPairs,
    pairs: readonly PreferencePair[],
    change: Partial<PreferencePlan> = {},
    signal = new AbortController().signal,
  ): Promise<{params: Params | undefined; losses: number[]}> {
    const losses: number[] = [];
    const note = (_: number, loss: number): void => void losses.push(loss);
    return {params: await trainPreference(device, clips, pairs, {...plan, ...change}, 3, signal, note), losses};
  }

  it('minimises −ln σ of the difference', async () => {
    const clips = clipsOf('two', 2);
    const scores = await preferenceScores(device, preferenceParams(WIDTH, plan.hidden, 3), clips);
    const {losses} = await train(clips, [{better: 1, worse: 0}]);
    expect(losses[0]).to.be.closeTo(-Math.log(1 / (1 + Math.exp(-(scores[1] - scores[0])))), 1e-5);
    expect(Math.abs(scores[1] - scores[0])).to.be.above(0.01);
  });

  it('ends at the logarithm of the odds with which one is preferred', async () => {
    const [right, wrong] = [
      {better: 0, worse: 1},
      {better: 1, worse: 0},
    ];
    const labels = [...Array.from({length: 8}, () => right), wrong, wrong];
    const clips = clipsOf('two', 2);
    const {params} = await train(clips, labels, {steps: 300, batch: 256, learningRate: 3e-3});
    const scores = await preferenceScores(device, params!, clips);
    // Odds of 8 to 2; the batches of the last steps differ from them by a few hundredths.
    expect(scores[0] - scores[1]).to.be.closeTo(Math.log(4), 0.1);
  });

  it('ranks clips that it never saw, by captions too, from labels of which a tenth is wrong', async () => {
    const group = 8;
    // What is preferred depends on the caption: along it or against it.
    const judged = (purpose: string): {clips: EmbeddedPairs; pairs: PreferencePair[]} => {
      const clips = clipsOf(purpose, 1024);
      for (let i = 0; i < 1024; i++) {
        const first = (i - (i % group)) * WIDTH;
        clips.text.data.copyWithin(i * WIDTH, first, first + WIDTH);
      }
      const total = (i: number): number => clips.video.data[i * WIDTH] * Math.sign(clips.text.data[i * WIDTH]);
      const totals = Array.from({length: 1024}, (_, i) => total(i));
      const captions = totals.map((_, i) => `${Math.floor(i / group)}`);
      return {clips, pairs: comparedPairs(totals, captions, 'all').pairs};
    };
    const [seen, unseen] = [judged('seen'), judged('unseen')];
    const {params} = await train(seen.clips, mislabelled(seen.pairs, 0.1, 5), {steps: 400, batch: 64, hidden: 32});
    expect(pairAccuracy(await preferenceScores(device, params!, unseen.clips), unseen.pairs)).to.be.above(0.85);
    const fresh = await preferenceScores(device, preferenceParams(WIDTH, 32, 3), unseen.clips);
    expect(pairAccuracy(fresh, unseen.pairs)).to.be.below(0.65);
  });

  it('stops when it is told to', async () => {
    const stop = new AbortController();
    stop.abort();
    expect((await train(clipsOf('two', 2), [{better: 1, worse: 0}], {}, stop.signal)).params).to.equal(undefined);
  });
});
