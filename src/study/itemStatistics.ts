/**
 * How well true captions are told from wrong ones, as functions of a list of items: what a bootstrap over items needs, thousands
 * of times. What can be done once (sorting) is done once.
 */
import {rightness} from '../evaluate/encoderDiagnostics.js';

/** Scores of items: of the true caption and of the wrong one, positive where the encoder says that caption and clip match. */
export interface ItemScores {
  /** `[n]`. */
  readonly yes: Float32Array;
  /** `[n]`. */
  readonly no: Float32Array;
}

/** A statistic of some of the items, by their indices; an item may stand there several times. */
export type ItemStatistic = (indices: ArrayLike<number>) => number;

/** The mean of what each item has. */
export const meanOver =
  (values: ArrayLike<number>): ItemStatistic =>
  (indices) => {
    let sum = 0;
    for (let i = 0; i < indices.length; i++) sum += values[indices[i]];
    return sum / indices.length;
  };

/** Share of right verdicts at logit 0, on true and wrong captions in equal number; in [0, 1]. */
export const itemAccuracy = ({yes, no}: ItemScores): ItemStatistic =>
  meanOver(Float64Array.from(yes, (score, i) => (rightness(score) + rightness(-no[i])) / 2));

/** Share of items whose true caption scores higher than its wrong one; ties count half. */
export const itemRanking = ({yes, no}: ItemScores): ItemStatistic =>
  meanOver(Float64Array.from(yes, (score, i) => rightness(score - no[i])));

/**
 * P(score of a true caption > score of a wrong one), over all pairs of them, ties counted half: `areaUnderCurve` in a time that
 * grows with the number of items alone.
 */
export function itemAuc({yes, no}: ItemScores): ItemStatistic {
  const n = yes.length;
  const scoreOf = (k: number): number => (k < n ? yes[k] : no[k - n]);
  const order = Int32Array.from({length: 2 * n}, (_, k) => k).sort((a, b) => scoreOf(a) - scoreOf(b));
  const counts = new Int32Array(n);
  return (indices) => {
    counts.fill(0);
    for (let i = 0; i < indices.length; i++) counts[indices[i]]++;
    let [below, area] = [0, 0];
    for (let from = 0; from < 2 * n;) {
      let [high, low, to] = [0, 0, from];
      const score = scoreOf(order[from]);
      for (; to < 2 * n && scoreOf(order[to]) === score; to++) {
        const k = order[to];
        if (k < n) high += counts[k];
        else low += counts[k - n];
      }
      area += high * (below + low / 2);
      below += low;
      from = to;
    }
    return area / indices.length ** 2;
  };
}
