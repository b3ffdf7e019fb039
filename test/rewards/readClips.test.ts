/** Rewards that look through an encoder: opened with trained weights, refused with others. */
import {expect} from 'chai';
import {matching} from '../../rewards/matching.js';
import {quality} from '../../rewards/quality.js';
import {semantic} from '../../rewards/semantic.js';
import {similarity} from '../../rewards/similarity.js';
import type {FrozenEncoder} from '../../src/encoder.js';
import type {Device} from '../../src/engine/device.js';
import {CorruptFileError} from '../../src/errors.js';
import {openEncoderTrainer} from '../../src/pretrain/trainEncoder.js';
import type {RewardModule} from '../../src/reward.js';
import {rewardCard, type RewardCard} from '../../src/rewards/card.js';
import {composeReward} from '../../src/rewards/composeReward.js';
import type {Params} from '../../src/tensor/tree.js';
import {transportMap, type TransportMap} from '../../src/transport/maps/transportMap.js';
import {rejection} from '../support/files.js';
import {noisyContext, noisyEncoder, noisyMap, noisyWorld} from '../support/noisyEncoder.js';
import {openTestDevice} from '../support/toy.js';

const {module, encoder} = noisyEncoder;
/** Half a minute of contrast teaches towers to tell captions apart. */
const plan = {
  pairs: 4480,
  batch: 32,
  queue: 256,
  muonRate: 0.02,
  adamRate: 1.5e-3,
  averageDecay: 0.9,
  maskedWeight: 0,
  maskedWordsWeight: 0,
};

describe('the weights of a reward that looks through an encoder', function () {
  this.timeout(900_000);
  let device: Device;
  let trained: Params;
  before(async () => {
    device = await openTestDevice();
    const trainer = await openEncoderTrainer(noisyWorld, module, device, plan, {seed: 1}, 0);
    while ((await trainer.update()).fraction < 1);
    trained = await trainer.averaged();
    await trainer.close();
  });
  after(() => device.close());

  const identity = transportMap('identity', {}, encoder.embeddingWidth, 'map.safetensors');
  async function cardOf(reward: RewardModule, params: Params, map: TransportMap = identity): Promise<RewardCard> {
    const frozen: FrozenEncoder = {module, encoder, params, file: 'encoder.safetensors'};
    const opened = await reward.open({...noisyContext(device), encoder: async () => frozen, transportMap: async () => map});
    try {
      return await rewardCard(opened, noisyWorld);
    } finally {
      await opened.close?.();
    }
  }
  async function refusal(reward: RewardModule, params: Params, map?: TransportMap): Promise<string> {
    const error = await rejection(cardOf(reward, params, map));
    expect(error).to.be.instanceOf(CorruptFileError);
    return error.message;
  }

  it('are accepted once they were trained, however shortly', async () => {
    const {clips} = await cardOf(similarity, trained);
    expect(clips).to.include({clips: 32, captions: 4});
    expect(clips!.preferred).to.be.at.least(22);
    expect(clips!.own.mean).to.be.above(clips!.swapped.mean + 0.1);
    expect((await cardOf(quality, trained)).clips!.preferred).to.equal(clips!.preferred);
  });

  it('are refused as they are initialised, in each of the rewards', async () => {
    for (const reward of [similarity, quality, matching, semantic]) {
      expect(await refusal(reward, module.initialise(7)), reward.name).to.match(
        /; got 0, and chance gives 8; the weights are random/,
      );
    }
  });

  it('are refused as noise, with the names of the files and what to do', async () => {
    expect(await refusal(similarity, noisyEncoder.params)).to.match(
      /^encoder\.safetensors: wanted the reward "similarity" to prefer a clip's own caption to 3 others for at least 22 of 32 clips; got \d+, and chance gives 8; the weights are random, loaded in part or hardly trained\. Give an encoder of rlft pretrain encoder that was trained to the end\.$/,
    );
  });

  it('are refused where only the towers were trained and the reward looks at more', async () => {
    const towers = {...trained, fusion: module.initialise(7)['fusion']};
    expect(await refusal(matching, towers)).to.include('the reward "matching"');
    const both = composeReward('similarity + matching', [similarity, matching]);
    expect(await refusal(both, towers)).to.include('the reward "matching"');
  });

  it('are refused with a map that is none of theirs', async () => {
    expect(await refusal(quality, trained, noisyMap)).to.match(
      /^encoder\.safetensors, test: wanted the reward "quality" .* and what was fitted to it\.$/,
    );
  });

  it('are told apart in each part of a composed reward, relative or not', async () => {
    const reward = composeReward('groupNormalise(similarity) + quality', [similarity, quality]);
    const {clips, parts} = await cardOf(reward, trained);
    expect(clips).to.equal(undefined);
    expect(parts.map(({name, clips: of}) => [name, of!.preferred >= 22])).to.deep.equal([
      ['similarity', true],
      ['quality', true],
    ]);
  });

  it('are not asked to read where a world has no clips', async () => {
    const opened = await similarity.open(noisyContext(device));
    const mute = {...noisyWorld};
    delete mute.openClips;
    expect((await rewardCard(opened, mute)).clips).to.equal(undefined);
    await opened.close?.();
  });
});
