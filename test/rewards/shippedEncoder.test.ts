/** The encoder and the map that ship: they open, belong to each other, and tell captions apart. */
import {expect} from 'chai';
import {fluentClips} from '../../environments/fluentClips/fluentClips.js';
import {quality} from '../../rewards/quality.js';
import {semantic} from '../../rewards/semantic.js';
import type {Device} from '../../src/engine/device.js';
import {measureDiscrimination} from '../../src/evaluate/encoderDiagnostics.js';
import {openEncoderSession} from '../../src/evaluate/encoderSession.js';
import {rewardCard} from '../../src/rewards/card.js';
import {composeReward} from '../../src/rewards/composeReward.js';
import {openFrozenEncoder, openTransportMap} from '../../src/run/frozenEncoder.js';
import {bareContext} from '../support/bareContext.js';
import {openTestDevice} from '../support/toy.js';

describe('the encoder that ships', function () {
  this.timeout(120_000);
  const mini = fluentClips('mini');
  let device: Device;
  before(async () => {
    device = await openTestDevice();
  });
  after(() => device.close());

  it('opens with its map, and quality and semantic read clips through it', async () => {
    const frozen = await openFrozenEncoder(mini, 'shipped');
    expect(frozen.module.name).to.equal('a');
    const map = await openTransportMap(frozen, 'shipped');
    const context = {...bareContext(mini, device), encoder: async () => frozen, transportMap: async () => map};
    const reward = await composeReward('quality + semantic', [quality, semantic]).open(context);
    try {
      const {parts} = await rewardCard(reward, mini);
      expect(parts.map(({name}) => name)).to.deep.equal(['quality', 'semantic']);
      for (const {name, clips} of parts) expect(clips!.preferred, name).to.be.at.least(28);
    } finally {
      await reward.close?.();
    }
  });

  it('tells nouns, colours, motions, relations and numbers apart as docs/encoders.md says', async () => {
    const {encoder, params} = await openFrozenEncoder(mini, 'shipped');
    const session = await openEncoderSession(device, encoder, params);
    const found = await measureDiscrimination(session, mini.encoderProbes!, 250);
    await session.close();
    const bounds = {noun: 0.85, color: 0.95, motion: 0.85, relation: 0.7, count: 0.95};
    for (const [kind, bound] of Object.entries(bounds)) expect(found[kind].auc.matching, kind).to.be.above(bound);
  });
});
