/** What a card tells of a reward. */
import {expect} from 'chai';
import {gaussianToy} from '../../environments/gaussianToy.js';
import {brightness} from '../../rewards/brightness.js';
import {judge} from '../../rewards/judge.js';
import type {Environment} from '../../src/environment.js';
import type {Reward, RewardContext} from '../../src/reward.js';
import {rewardCard, type RewardCard} from '../../src/rewards/card.js';
import {composeReward} from '../../src/rewards/composeReward.js';
import {fixedClips} from '../../src/rewards/fixedClips.js';
import type {Spread} from '../../src/rewards/spread.js';
import {sizeOf} from '../../src/tensor/ndarray.js';
import {rejection} from '../support/files.js';
import {nano} from '../support/nano.js';

const context = (environment: Environment): RewardContext =>
  ({environment, judge: () => environment.openJudge!(0)}) as unknown as RewardContext;
const spreadOf = (card: RewardCard): Spread => card.patterns as Spread;

describe('rewardCard', function () {
  this.timeout(60_000);

  it('gives the range on fixed patterns, by the very scores', async () => {
    const reward = await brightness.open(context(nano));
    const card = await rewardCard(reward, nano);
    const scores = await reward.score(fixedClips(8, nano.videoShape), nano.prompts('train', 8));
    expect(spreadOf(card).low).to.equal(Math.min(...scores));
    expect(spreadOf(card).high).to.equal(Math.max(...scores));
    expect(spreadOf(card).mean).to.be.closeTo(scores.reduce((a, b) => a + b, 0) / 8, 1e-6);
    expect(card).to.include({name: 'brightness', unit: '1', differentiable: true, relative: false, repeatable: true});
    expect(card.clipsPerSecond).to.be.above(1);
    expect(card).not.to.have.any.keys('verification', 'clips');
    expect(card.parts).to.deep.equal([]);
  });

  it('scores the clips of the world with their own captions, and with others', async () => {
    const {clips, differentiable} = await rewardCard(await judge.open(context(nano)), nano, {clips: true});
    expect(differentiable).to.equal(false);
    expect(clips!.own.mean).to.be.above(0.85);
    expect(clips!.swapped.mean).to.be.below(clips!.own.mean - 0.05);
    expect(clips!.preferred).to.be.above(22);
    // Brightness does not read.
    const blind = await rewardCard(await brightness.open(context(nano)), nano, {clips: true});
    expect(blind.clips!.own.high).to.equal(blind.clips!.swapped.high);
    expect(blind.clips!.own.mean).to.be.closeTo(blind.clips!.swapped.mean, 1e-6);
    expect(blind.clips!.preferred).to.equal(0);
  });

  it('leaves clips out where the world makes none', async () => {
    const toy = gaussianToy();
    expect(await rewardCard(await brightness.open(context(toy)), toy, {clips: true})).not.to.have.property('clips');
  });

  it('has a card for each part of a composed reward', async () => {
    const reward = await composeReward('groupNormalise(brightness) + judge', [brightness, judge]).open(context(nano));
    const card = await rewardCard(reward, nano, {clips: true});
    expect(card).to.include({name: 'groupNormalise(brightness) + judge', differentiable: false, relative: true});
    expect(card.clips, 'a relative reward says nothing of single clips').to.equal(undefined);
    expect(card.parts.map(({name}) => name)).to.deep.equal(['brightness', 'judge']);
    expect(card.parts[1].clips!.own.mean).to.be.above(0.85);
    // Two patterns a prompt are normalised to ±1.
    expect(spreadOf(card).high - spreadOf(card).low).to.be.within(1.9, 3.1);
  });

  const fake = (score: Reward['score']): Reward => ({name: 'fake', unit: '1', score});

  it('says what is wrong with scores that are not finite, and goes on', async () => {
    const card = await rewardCard(
      fake(async (_, prompts) => Float32Array.from(prompts, (_p, i) => (i === 2 ? NaN : 1))),
      gaussianToy(),
    );
    expect((card.patterns as {problem: string}).problem).to.match(/^reward "fake" is NaN for prompt "[^"]+"\.$/);
  });

  it('tells a reward that does not repeat itself', async () => {
    let calls = 0;
    const card = await rewardCard(
      fake(async (_, prompts) => new Float32Array(prompts.length).fill(++calls)),
      gaussianToy(),
    );
    expect(card.repeatable).to.equal(false);
    expect(spreadOf(card)).to.deep.equal({low: 1, mean: 1, high: 1});
  });

  it('gives each prompt two patterns of the right shape', async () => {
    const asked: [number[], string[]][] = [];
    const score: Reward['score'] = async (videos, prompts) => {
      asked.push([[...videos.shape], prompts.map((p) => p.id)]);
      expect(videos.data.length).to.equal(8 * sizeOf(nano.videoShape));
      return new Float32Array(prompts.length);
    };
    await rewardCard(fake(score), nano);
    expect(asked).to.have.length(2);
    expect(asked[0]).to.deep.equal(asked[1]);
    const [shape, ids] = asked[0];
    expect(shape).to.deep.equal([8, ...nano.videoShape]);
    for (const id of ids) expect(ids.filter((other) => other === id)).to.have.length(2);
  });

  it('scores the parts of a composed reward along with it, once', async () => {
    let calls = 0;
    const score: Reward['score'] = async (_, prompts) => Float32Array.from(prompts, () => ++calls);
    const counted = {...brightness, open: async () => ({...fake(score), name: 'brightness'})};
    const {parts} = await rewardCard(await composeReward('2*brightness', [counted]).open(context(nano)), nano);
    expect(calls).to.equal(16);
    expect(parts[0].patterns).to.deep.equal({low: 1, mean: 4.5, high: 8});
  });

  it('says of each part what it scores, where their composition is not finite', async () => {
    const reward = await composeReward('log(brightness - 1)', [brightness]).open(context(nano));
    const {patterns, parts} = await rewardCard(reward, nano);
    expect((patterns as {problem: string}).problem).to.match(/^reward "log\(brightness - 1\)" is NaN for prompt "[^"]+"\.$/);
    expect((parts[0].patterns as Spread).high).to.be.within(0.1, 1);
  });

  it('passes on what a reward throws', async () => {
    const failing = fake(() => Promise.reject(new Error('offline')));
    expect((await rejection(rewardCard(failing, gaussianToy()))).message).to.equal('offline');
  });
});
