/** Gradients of rewards whose angle is known. */
import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import {gaussianToy} from '../../environments/gaussianToy.js';
import type {Device} from '../../src/engine/device.js';
import {brightness} from '../../rewards/brightness.js';
import type {DifferentiableReward, RewardContext} from '../../src/reward.js';
import {gradientsStudy, type ComparedReward} from '../../src/study/gradients.js';
import type {Study} from '../../src/study/study.js';
import {rejection} from '../support/files.js';
import {nano, noisyWeights} from '../support/nano.js';
import {openTestDevice} from '../support/toy.js';

describe('gradients of rewards', function () {
  this.timeout(120_000);
  let device: Device;
  let bright: DifferentiableReward;
  before(async () => {
    device = await openTestDevice();
    bright = (await brightness.open({} as RewardContext)).differentiable!;
  });
  after(() => device.close());

  const times = (factor: number): DifferentiableReward => ({
    ...bright,
    score: (params, video, prompts) => tf.mul(bright.score(params, video, prompts), factor),
  });
  /** Brightness of the left half of a clip alone: neither along nor against that of all of it. */
  const left: () => DifferentiableReward = () => ({
    ...bright,
    score: (params, video, prompts) => {
      const [count, frames, height, width, channels] = video.shape as [number, number, number, number, number];
      const half = tf.slice(video, [0, 0, 0, 0, 0], [count, frames, height, width / 2, channels]);
      return bright.score(params, half, prompts);
    },
  });
  const study = (rewards: Readonly<Record<ComparedReward, DifferentiableReward>>, environment = nano): Promise<Study> =>
    gradientsStudy({
      environment,
      device,
      policy: environment === nano ? noisyWeights(nano) : environment.initialise(0),
      rewards,
      batches: 10,
      clips: 2,
      margin: 0.02,
      seed: 3,
      draws: 100,
      report: () => undefined,
    });
  const cosine = ({tables}: Study, pair: string): {mean: number; low: number; high: number} =>
    tables[0].rows.find((row) => row['gradients'] === pair)!['cosine'] as {mean: number; low: number; high: number};

  it('are at -1 where one reward is the other turned round, and at 1 where it is a multiple', async () => {
    const found = await study({quality: bright, semantic: times(-3), similarity: bright, matching: times(0.1)});
    expect(cosine(found, 'quality, semantic').high).to.be.closeTo(-1, 1e-5);
    expect(cosine(found, 'similarity, matching').low).to.be.closeTo(1, 1e-5);
    const own = cosine(found, 'quality, good clips').mean;
    expect(cosine(found, 'semantic, good clips').mean).to.be.closeTo(-own, 1e-5);
    expect(Math.abs(own)).to.be.within(1e-4, 0.999);
    expect(found.verdict.answer).to.equal('refuted');
    expect(found.claims.map(({verdict}) => verdict).slice(0, 2)).to.deep.equal(['refuted', 'refuted']);
    expect(found.tables[0].rows[0]['share below 0']).to.deep.equal({mean: 1, low: 1, high: 1});
  });

  it('lie between where rewards are neither', async () => {
    const found = await study({quality: bright, semantic: left(), similarity: bright, matching: times(-1)});
    const {low, high} = cosine(found, 'quality, semantic');
    expect(low).to.be.greaterThan(0.2);
    expect(high).to.be.lessThan(0.999);
    expect(found.verdict.answer).to.equal('confirmed');
    expect(found.claims[1].verdict).to.equal('confirmed');
  });

  it('want a world that makes clips', async () => {
    const all = {quality: bright, semantic: bright, similarity: bright, matching: bright};
    expect((await rejection(study(all, gaussianToy()))).message).to.match(
      /^study: wanted a world that makes clips .*gaussianToy/,
    );
  });
});
