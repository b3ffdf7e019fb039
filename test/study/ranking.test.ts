/** Rankings that are known: of the judge by itself, upside down, and of nothing. */
import {expect} from 'chai';
import type {Device} from '../../src/engine/device.js';
import type {Judge} from '../../src/environment.js';
import type {Interval} from '../../src/evaluate/bootstrap.js';
import type {Reward} from '../../src/reward.js';
import {rankAgreement} from '../../src/study/rankSamples.js';
import {rankingStudy} from '../../src/study/ranking.js';
import type {Study} from '../../src/study/study.js';
import {nano, noisyWeights} from '../support/nano.js';
import {openTestDevice} from '../support/toy.js';

describe('the ranking of samples', function () {
  this.timeout(120_000);
  let device: Device;
  let judge: Judge;
  before(async () => {
    device = await openTestDevice();
    judge = nano.openJudge!(1);
  });
  after(async () => {
    await judge.close();
    await device.close();
  });

  /** A function of the judge's scores of a clip. */
  const reward = (name: string, of: (scores: Readonly<Record<string, number>>) => number): Reward => ({
    name,
    unit: '1',
    score: async (videos, prompts) =>
      Float32Array.from((await judge.judge(videos, prompts)).map((one) => of(judge.aggregate([one])))),
  });
  const study = (threshold: number, rewards: readonly Reward[], rivals?: readonly [string, string]): Promise<Study> =>
    rankingStudy({
      environment: nano,
      device,
      samples: {policy: noisyWeights(nano), judge, prompts: 6, samples: 4, steps: 2, seed: 1},
      rewards: new Map(rewards.map((each) => [each.name, each])),
      ...(rivals && {rivals}),
      threshold,
      margin: 0.01,
      seed: 3,
      draws: 100,
      report: () => undefined,
    });
  const rows = [
    reward('total', ({total}) => total),
    reward('less', ({total}) => -total),
    reward('alike', () => 0.5),
    reward('quality', ({quality}) => quality),
  ];

  it('is 1 of the judge itself, -1 upside down, 0 of a reward that finds all alike', async () => {
    const {tables, claims, verdict} = await study(0.15, rows, ['total', 'less']);
    const tau = (row: number, by: string): Interval => tables[0].rows[row][`τ ${by}`] as Interval;
    expect(tables[0].rows.map((row) => row['reward'])).to.deep.equal(['total', 'less', 'alike', 'quality']);
    for (const end of ['mean', 'low', 'high'] as const) {
      expect(tau(0, 'total')[end]).to.be.closeTo(1, 1e-12);
      expect(tau(1, 'total')[end]).to.be.closeTo(-1, 1e-12);
    }
    expect(tau(2, 'total')).to.deep.equal({mean: 0, low: 0, high: 0});
    expect(tau(3, 'quality').mean).to.be.closeTo(1, 1e-12);
    expect(tau(0, 'quality').mean).to.equal(tau(3, 'total').mean);
    expect(claims.map(({name, verdict: answer}) => [name, answer]).filter(([name]) => name !== 'quality')).to.deep.equal([
      ['total', 'confirmed'],
      ['less', 'refuted'],
      ['alike', 'refuted'],
      ['total over less', 'confirmed'],
    ]);
    expect(claims.at(-1)!.measured.mean).to.be.closeTo(2, 1e-12);
    expect(verdict.answer).to.equal('refuted');
  });

  it('confirms where every reward ranks', async () => {
    const {claims, verdict} = await study(0.9, [rows[0]]);
    expect([claims.length, verdict.answer]).to.deep.equal([1, 'confirmed']);
  });

  it('leaves out prompts whose samples the judge finds alike', () => {
    const judged = [1, 2, 3, 7, 7, 7, 3, 2, 1];
    const {whole, draws} = rankAgreement([[1, 2, 3, 4, 5, 6, 1, 2, 3]], judged, 3, 0, 100);
    expect(whole[0]).to.be.closeTo(0, 1e-12);
    expect(new Set(draws.map(([tau]) => Math.round(tau) + 0))).to.deep.equal(new Set([-1, 0, 1]));
  });
});
