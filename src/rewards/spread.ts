/** Where scores lie. */
export interface Spread {
  readonly low: number;
  readonly mean: number;
  readonly high: number;
}

/** The spread of some scores. */
export const spreadOf = (scores: ArrayLike<number>): Spread => {
  const all = Array.from(scores);
  return {low: Math.min(...all), mean: all.reduce((sum, x) => sum + x, 0) / all.length, high: Math.max(...all)};
};
