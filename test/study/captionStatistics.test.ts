import {expect} from 'chai';
import {spearman, pearson, ranks} from '../../src/numeric/rankCorrelation.js';
import {captionStatistics, structureOf} from '../../src/study/captionStatistics.js';
import {float32, type NdArray} from '../../src/tensor/ndarray.js';
import {normals} from '../../src/tensor/random.js';
import {pairDistances} from '../../src/transport/metrics/distances.js';
import {frechetDistance} from '../../src/transport/metrics/frechetDistance.js';
import {mutualKnn} from '../../src/transport/metrics/mutualKnn.js';
import {retrievalAtOne} from '../../src/transport/metrics/retrieval.js';
import {structurePreservation} from '../../src/transport/metrics/structurePreservation.js';

const [count, width] = [20, 5];
const draw = (purpose: string): NdArray<'float32'> =>
  float32(normals({seed: 6, purpose}, new Float32Array(count * width)), [count, width]);
const text = draw('text');
const mapped = float32(
  draw('change').data.map((z, i) => text.data[i] + 0.5 * z),
  [count, width],
);
const video = float32(
  draw('video').data.map((z, i) => mapped.data[i] + 0.7 * z),
  [count, width],
);
const captions = Array.from({length: count}, (_, i) => `caption ${i % 15}`);
const all = Array.from({length: count}, (_, i) => i);

describe('statistics of captions', () => {
  it('of all captions are the measures of a map', () => {
    const own = captionStatistics({text, video, captions}, mapped, 4);
    expect(own.mutualKnn(all)).to.be.closeTo(mutualKnn(mapped, video, 4), 1e-12);
    expect(own.structure(all)).to.be.closeTo(structurePreservation(text, mapped), 1e-12);
    expect(own.frechet(all)).to.be.closeTo(frechetDistance(mapped, video), 1e-12);
    expect(own.retrieval(all)).to.be.closeTo(retrievalAtOne(mapped, video, captions), 1e-12);
    expect(own.cosine(all)).to.be.within(0.3, 1);
  });

  it('keep the ranks of all pairs, and pair no point with its copy', () => {
    const list = [3, 3, 8, 1, 12, 12, 12, 5];
    const [a, b] = [text, mapped].map((rows) => ranks(pairDistances(rows)));
    const pairs = list.flatMap((i, m) => list.slice(0, m).flatMap((j) => (i === j ? [] : [[Math.max(i, j), Math.min(i, j)]])));
    const at = pairs.map(([i, j]) => (i * (i - 1)) / 2 + j);
    const wanted = pearson(
      at.map((k) => a[k]),
      at.map((k) => b[k]),
    );
    expect(structureOf(text, mapped)(list)).to.be.closeTo(wanted, 1e-12);
    // Not far from what new ranks would give.
    const again = spearman(
      at.map((k) => a[k]),
      at.map((k) => b[k]),
    );
    expect(Math.abs(wanted - again)).to.be.below(0.2);
  });
});
