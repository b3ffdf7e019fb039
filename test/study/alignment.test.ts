import {expect} from 'chai';
import {alignmentClaims, mapStatistics, type MapStatistics} from '../../src/study/alignment.js';
import type {Verdict} from '../../src/study/verdict.js';
import {mapNames, type MapName} from '../../src/transport/maps/transportMap.js';

/** Statistics of maps whose draws lie within ± `spread` of their levels, all together or each by itself. */
const around = (levels: Partial<Record<MapName, number>>, spread: number): MapStatistics => {
  const values = (draw: number): number[] =>
    mapNames.map((name, i) => (levels[name] ?? 0) + spread * Math.sin(draw * (i + 1) + i));
  return mapStatistics(
    mapNames,
    {whole: mapNames.map((name) => levels[name] ?? 0), draws: Array.from({length: 200}, (_, d) => values(d))},
    0,
    1,
  );
};
const paper = {
  mutualKnn: {identity: 0.2135, l2: 0.2318, kl: 0.2284, neural: 0.2597},
  structure: {identity: 1, l2: 0.4873, kl: 0.472, neural: 0.9018},
};
const verdicts = (knn: MapStatistics, structure: MapStatistics, ranking?: MapStatistics): Verdict[] =>
  alignmentClaims({mutualKnn: knn, structure}, ranking, 0.005).map(({verdict}) => verdict);

describe('study of alignment', () => {
  it('confirms the numbers of the paper', () => {
    const found = verdicts(around(paper.mutualKnn, 0.001), around(paper.structure, 0.001));
    expect(found).to.deep.equal(['confirmed', 'confirmed', 'confirmed']);
  });

  it('refutes maps that are worse than pairs, and leaves open what draws do not agree on', () => {
    const worse = around({...paper.mutualKnn, l2: 0.3}, 0.001);
    expect(verdicts(worse, around(paper.structure, 0.001))).to.deep.equal(['refuted', 'confirmed', 'confirmed']);
    expect(verdicts(around(paper.mutualKnn, 0.2), around({neural: 0.1, l2: 0.5}, 0.01))).to.deep.equal([
      'undecided',
      'undecided',
      'refuted',
    ]);
  });

  it('asks of the ranking that it beats no map too', () => {
    const ranking = around({identity: 0.3, neural: 0.2, l2: 0.1}, 0.001);
    const all = [around(paper.mutualKnn, 0.001), around(paper.structure, 0.001)] as const;
    expect(verdicts(...all, ranking).at(-1)).to.equal('refuted');
    expect(verdicts(...all, around({identity: 0.1, neural: 0.2}, 0.001)).at(-1)).to.equal('confirmed');
  });

  it('finds each measure in its place among the resampled', () => {
    const resampled = {whole: [1, 10, 2, 20], draws: [[1, 10, 2, 20]]};
    const names = ['identity', 'neural'] as const;
    expect(mapStatistics(names, resampled, 1, 2).of('neural').mean).to.equal(20);
    expect(mapStatistics(names, resampled, 0, 2).of('neural').mean).to.equal(2);
  });
});
