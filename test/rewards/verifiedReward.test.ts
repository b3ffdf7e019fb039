/** Rewards with weights: the right ones open, random and partly loaded ones do not. */
import {expect} from 'chai';
import {join} from 'node:path';
import {ContractError, CorruptFileError} from '../../src/errors.js';
import type {Reward} from '../../src/reward.js';
import {fixedClips} from '../../src/rewards/fixedClips.js';
import {expectedScores, openRewardWeights, verifiedReward, type RewardWeights} from '../../src/rewards/verifiedReward.js';
import {writeWeights} from '../../src/run/weights.js';
import {float32, rows, sizeOf, type NdArray} from '../../src/tensor/ndarray.js';
import {normals} from '../../src/tensor/random.js';
import {leaves, mapTree, type Params} from '../../src/tensor/tree.js';
import {rejection, temporaryFolder} from '../support/files.js';

const shape = [3, 4, 4, 3];
const texts = ['a', 'bb', 'ccc', 'dddd', 'eeeee'];

/** A head of two layers on the mean of each frame's colours, and one number for the length of the caption. */
const initialise = (seed: number): Params => {
  const draw = (name: string, dims: number[]): NdArray<'float32'> =>
    float32(normals({seed, purpose: name}, new Float32Array(sizeOf(dims))), dims);
  return {
    hidden: {weight: draw('w', [9, 6]), bias: draw('b', [6])},
    out: {weight: draw('o', [6, 1]), caption: draw('c', [1])},
  };
};

function headOf(params: Params, change: Partial<Reward> = {}): Reward {
  const leaf = new Map(leaves<NdArray>(params).map(([path, {data}]) => [path, data]));
  const of = (path: string): ArrayLike<number> => leaf.get(path)!;
  return {
    name: 'head',
    unit: '1',
    score: async (videos, prompts) =>
      Float32Array.from(prompts, ({text}, i) => {
        const {data} = rows(videos, i, i + 1);
        const colours = Array.from({length: 9}, (_, k) => {
          const frame = data.subarray(Math.floor(k / 3) * 48, (Math.floor(k / 3) + 1) * 48);
          return frame.reduce((sum, x, j) => sum + (j % 3 === k % 3 ? x : 0), 0) / 16;
        });
        let score = of('out.caption')[0] * 0.1 * text.length;
        for (let h = 0; h < 6; h++) {
          const inner = colours.reduce((sum, x, k) => sum + x * of('hidden.weight')[k * 6 + h], of('hidden.bias')[h]);
          score += Math.tanh(inner) * of('out.weight')[h];
        }
        return score;
      }),
    ...change,
  };
}

describe('fixedClips', () => {
  it('are moving patterns in [-1, 1], each its own', () => {
    const clips = fixedClips(4, [3, 8, 8, 3]);
    expect(clips.shape).to.deep.equal([4, 3, 8, 8, 3]);
    expect(clips.data.every((x) => x >= -1 && x <= 1)).to.equal(true);
    const deviation = Math.sqrt(clips.data.reduce((sum, x) => sum + x * x, 0) / clips.data.length);
    // .6 of the mean of three waves of variance ½, .4 of a uniform of variance ⅓: √(.36·½/3 + .16/3) = .34.
    expect(deviation).to.be.closeTo(0.34, 0.05);
    const frame = (clip: number, f: number): Float32Array => clips.data.subarray((clip * 3 + f) * 192, (clip * 3 + f + 1) * 192);
    const gap = (a: Float32Array, b: Float32Array): number => a.reduce((sum, x, i) => sum + Math.abs(x - b[i]), 0) / 192;
    for (const clip of [0, 1, 2, 3]) expect(gap(frame(clip, 0), frame(clip, 1))).to.be.above(0.05);
    for (const clip of [1, 2, 3]) expect(gap(frame(0, 0), frame(clip, 0))).to.be.above(0.2);
  });

  it('never change: the numbers that the files of shipped rewards rest on', () => {
    const {data} = fixedClips(2, [2, 2, 2, 3]);
    const wanted = [...fixedClips(9, [2, 2, 2, 3]).data.subarray(0, 48)];
    expect([...data]).to.deep.equal(wanted);
    expect([data[0], data[5], data[24], data[47]].map((x) => Number(x.toFixed(5)))).to.deep.equal([
      0.20212, 0.10266, -0.45294, -0.19375,
    ]);
  });
});

describe('openRewardWeights and verifiedReward', () => {
  const folder = temporaryFolder();
  const params = initialise(3);
  const file = (name = 'head.safetensors'): string => join(folder(), name);
  const write = async (tree: Params = params, metadata?: Record<string, string>): Promise<RewardWeights> => {
    await writeWeights(file(), tree, {metadata: metadata ?? (await expectedScores(headOf(params), texts, shape))});
    return openRewardWeights(file(), initialise(0));
  };
  const refusal = (reward: Reward, weights: RewardWeights): Promise<Error> => rejection(verifiedReward(reward, [weights], shape));

  it('open the weights that were written, and say what was verified', async () => {
    const weights = await write({...params, old: {bias: float32([1])}});
    expect({...weights, params: 0, metadata: 0}).to.deep.equal({
      file: 'head.safetensors',
      params: 0,
      metadata: 0,
      tensors: 4,
      unused: ['old.bias'],
    });
    const {verification} = await verifiedReward(headOf(weights.params), [weights], shape);
    expect(verification)
      .to.include({tensors: 4, clips: 5, largestGap: 0})
      .and.deep.include({unused: ['old.bias']});
    expect(verification!.tolerance).to.be.above(0);
  });

  it('refuse a head that is random', async () => {
    const weights = await write();
    const error = await refusal(headOf(initialise(4)), weights);
    expect(error).to.be.instanceOf(CorruptFileError);
    expect(error.message).to.match(
      /^head\.safetensors: wanted the reward "head" to give the scores of fixed clips .* got .* for clip \d/,
    );
    for (const seed of [5, 6, 7, 8, 9])
      expect(await refusal(headOf(initialise(seed)), weights)).to.be.instanceOf(CorruptFileError);
  });

  it('refuse a head of which any one tensor was not loaded', async () => {
    const weights = await write();
    for (const [missed] of leaves<NdArray>(params)) {
      const random = new Map(leaves<NdArray>(initialise(11)));
      for (const instead of [(a: NdArray) => ({...a, data: new Float32Array(a.data.length)}), () => random.get(missed)!]) {
        const partly = mapTree(params, (a: NdArray, path) => (path === missed ? instead(a) : a));
        expect((await refusal(headOf(partly), weights)).message, missed).to.include('random, partly loaded');
      }
    }
  });

  it('refuse scores that are not finite', async () => {
    const broken = headOf(params, {score: async (_, prompts) => new Float32Array(prompts.length).fill(NaN)});
    expect((await refusal(broken, await write())).message).to.include('got NaN for clip 0');
  });

  it('let float32 rounding pass', async () => {
    const weights = await write();
    const head = headOf(params);
    const rounded = headOf(params, {score: async (v, p) => (await head.score(v, p)).map((x) => x * (1 + 1e-5))});
    expect((await verifiedReward(rounded, [weights], shape)).verification!.largestGap).to.be.within(1e-9, 1e-3);
  });

  it('close the reward that is refused', async () => {
    let closed = 0;
    await refusal(headOf(initialise(4), {close: async () => void closed++}), await write());
    expect(closed).to.equal(1);
  });

  it('name tensors that are missing or of another shape', async () => {
    const {hidden, out} = params as Record<string, Params>;
    await writeWeights(file(), {hidden: {...hidden, weight: float32([1, 2], [2])}, out: {weight: out['weight']}});
    const error = await rejection(openRewardWeights(file(), initialise(0)));
    expect(error).to.be.instanceOf(CorruptFileError);
    expect(error.message).to.equal(
      'head.safetensors: wanted the 4 tensors of a reward; hidden.weight is float32 [2] instead of float32 [9, 6], out.caption is missing. A reward with a partly random head is not opened.',
    );
  });

  it('refuse a file without scores, with those of another reward, or with nonsense in their place', async () => {
    expect((await refusal(headOf(params), await write(params, {}))).message).to.include('there are none');
    const other = await expectedScores(headOf(params, {name: 'other'}), texts, shape);
    expect((await refusal(headOf(params), await write(params, other))).message).to.include('for the reward "head"');
    for (const nonsense of ['', '{', '[]', '{"version":2}', '{"version":1,"texts":["a","b"],"scores":[1,2,3],"tolerance":1}']) {
      const weights = await write(params, {'expectedScores.head': nonsense});
      expect((await refusal(headOf(params), weights)).message, nonsense).to.include('are not the scores of fixed clips');
    }
  });

  it('find the scores in whichever of several files holds them', async () => {
    const weights = await write();
    const encoder = {...weights, file: 'encoder.safetensors', metadata: {}, tensors: 10, unused: []};
    expect((await verifiedReward(headOf(params), [encoder, weights], shape)).verification).to.include({tensors: 14, clips: 5});
  });

  it('are not written for a reward that scores all clips alike', async () => {
    const flat = headOf(params, {score: async (_, prompts) => Float32Array.from(prompts, (_p, i) => 5 + i * 1e-4)});
    const error = await rejection(expectedScores(flat, texts, shape));
    expect(error).to.be.instanceOf(ContractError);
    expect(error.message).to.include('wanted fixed clips to score differently');
    const zero = headOf(params, {score: async (_, prompts) => new Float32Array(prompts.length)});
    expect(await rejection(expectedScores(zero, texts, shape))).to.be.instanceOf(ContractError);
  });
});
