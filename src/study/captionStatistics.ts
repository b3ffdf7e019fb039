/** What a map does to held-out captions, as functions of a list of captions: what a bootstrap over captions needs. */
import {ranks} from '../numeric/rankCorrelation.js';
import {take, type NdArray} from '../tensor/ndarray.js';
import {pairDistances, unitRows} from '../transport/metrics/distances.js';
import {frechetDistance} from '../transport/metrics/frechetDistance.js';
import {sharedNeighbours} from '../transport/metrics/mutualKnn.js';
import {retrievalHits} from '../transport/metrics/retrieval.js';
import type {CaptionedPairs} from '../fit/embedPairs.js';
import type {Rows} from '../numeric/moments.js';
import {meanOver, type ItemStatistic} from './itemStatistics.js';

/** Measures of a map, in the order of its statistics. */
export const captionMeasures = ['mutualKnn', 'structure', 'frechet', 'retrieval', 'cosine'] as const;
/** One of them; see `MapMeasurement`. */
export type CaptionMeasure = (typeof captionMeasures)[number];

/**
 * Spearman's ρ of the distances between points before a map and after it, of some of the points. Distances keep the ranks that
 * they have among all points, so that a draw costs no sorting; of all points it is `structurePreservation`. A point that is drawn
 * twice is no pair with itself.
 */
export function structureOf(before: Rows, after: Rows): ItemStatistic {
  const count = before.shape[0];
  const centred = [before, after].map((rows) => {
    const all = ranks(pairDistances(rows));
    return all.map((rank) => rank - (all.length + 1) / 2);
  });
  const counts = new Float64Array(count);
  return (indices) => {
    counts.fill(0);
    for (let i = 0; i < indices.length; i++) counts[indices[i]]++;
    let [w, x, y, xx, yy, xy] = [0, 0, 0, 0, 0, 0];
    for (let i = 0, at = 0; i < count; at += i++) {
      if (counts[i] === 0) continue;
      for (let j = 0; j < i; j++) {
        const weight = counts[i] * counts[j];
        const [a, b] = [centred[0][at + j], centred[1][at + j]];
        w += weight;
        x += weight * a;
        y += weight * b;
        xx += weight * a * a;
        yy += weight * b * b;
        xy += weight * a * b;
      }
    }
    const variance = (squares: number, sum: number): number => squares - (sum * sum) / w;
    return (xy - (x * y) / w) / Math.sqrt(variance(xx, x) * variance(yy, y));
  };
}

/**
 * The statistics of one map.
 *
 * @param mapped `[n, E]`, the captions after the map. @param neighbours k of the mutual kNN.
 */
export function captionStatistics(
  {text, video, captions}: CaptionedPairs,
  mapped: NdArray<'float32'>,
  neighbours: number,
): Readonly<Record<CaptionMeasure, ItemStatistic>> {
  const [images, videos] = [unitRows(mapped).data, unitRows(video).data];
  const width = video.shape[1];
  const cosines = Float64Array.from(captions, (_, i) => {
    let sum = 0;
    for (let at = i * width; at < (i + 1) * width; at++) sum += images[at] * videos[at];
    return sum;
  });
  return {
    mutualKnn: meanOver(sharedNeighbours(mapped, video, neighbours)),
    structure: structureOf(text, mapped),
    frechet: (indices) => frechetDistance(take(mapped, indices), take(video, indices)),
    retrieval: meanOver(retrievalHits(mapped, video, captions)),
    cosine: meanOver(cosines),
  };
}
