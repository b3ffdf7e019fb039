/**
 * From dimensions to totals.
 *
 * @source VBench: quality = weighted mean with dynamic degree at half weight, total = (4·quality + semantic)/5.
 */
import type {Judgement} from '../../../src/plugin.js';
import {qualityDimensions, semanticDimensions, type ClipScores} from './metrics.js';

const mean = (values: readonly number[]): number | null =>
  values.length === 0 ? null : values.reduce((a, b) => a + b, 0) / values.length;

/** Names of the scores of a judgement, in reading order. */
export const dimensions: readonly string[] = [
  ...qualityDimensions,
  'quality',
  ...semanticDimensions,
  'semantic',
  'strict',
  'total',
];

/** Quality, semantic and total of scores by dimension; what is null or missing does not count. */
function totals(scores: Judgement): {quality: number; semantic: number; total: number} {
  let sum = 0;
  let weights = 0;
  for (const dimension of qualityDimensions) {
    const score = scores[dimension] ?? null;
    if (score === null) continue;
    const weight = dimension === 'dynamicDegree' ? 0.5 : 1;
    sum += weight * score;
    weights += weight;
  }
  const quality = weights === 0 ? 0 : sum / weights;
  const semantic = mean(semanticDimensions.flatMap((d) => scores[d] ?? [])) ?? 0;
  return {quality, semantic, total: (4 * quality + semantic) / 5};
}

/** The judgement of one clip: its scores with their totals. */
export const judgementOf = (scores: ClipScores): Judgement => ({...scores, ...totals(scores)});

/** Means by dimension over the clips that a dimension applies to, and the totals of those means. */
export function aggregate(judgements: readonly Judgement[]): Readonly<Record<string, number>> {
  const means: Record<string, number> = {};
  for (const dimension of dimensions) {
    const score = mean(judgements.flatMap((j) => j[dimension] ?? []));
    if (score !== null) means[dimension] = score;
  }
  return {...means, ...totals(means)};
}
