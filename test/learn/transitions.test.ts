import {expect} from 'chai';
import type {Scored} from '../../src/algorithm.js';
import {chunks, gatherLatents, gatherTransitions, lastTransitions, stochasticTransitions} from '../../src/learn/transitions.js';
import {float32, type NdArray} from '../../src/tensor/ndarray.js';

/** Trajectories of two samples whose numbers tell where they come from: latent of batch b, row r, step k is 100b + 10r + k. */
function scoredBatch(b: number, stds: readonly number[]): Scored {
  const rows = [0, 1];
  const table = stds.map((std, k) => ({time: 1 - k / 10, nextTime: 0.9 - k / 10, scale: 1 + k, a: k, b: k + 0.5, std}));
  return {
    trajectories: {
      prompts: rows.map((r) => ({id: `${b}${r}`, text: ''})),
      latents: [0, 1, 2, 3].map((k) =>
        float32(
          rows.flatMap((r) => [100 * b + 10 * r + k, -1]),
          [2, 2],
        ),
      ),
      logProbs: stds.map((_, k) => Float32Array.from(rows, (r) => -(100 * b + 10 * r + k))),
      text: float32([7, 8, 9, 10], [2, 1, 2]),
      textRow: [1, 0],
      table,
      videos: float32([0, 0], [2, 1, 1, 1, 1]),
    },
    rewards: Float32Array.from([1, 2]),
  };
}
const scored = [scoredBatch(0, [0.5, 0, 0]), scoredBatch(1, [0, 0.25, 0])];

describe('transitions', () => {
  it('lists every noisy step of every trajectory, with the table of its own batch', () => {
    expect(stochasticTransitions(scored)).to.deep.equal([
      {batch: 0, row: 0, step: 0},
      {batch: 0, row: 1, step: 0},
      {batch: 1, row: 0, step: 1},
      {batch: 1, row: 1, step: 1},
    ]);
    expect(lastTransitions(scored).map((r) => r.step)).to.deep.equal([2, 2, 2, 2]);
  });

  it('gathers a latent and its text, at the end too', () => {
    const batch = gatherLatents(scored, [
      {batch: 1, row: 0, step: 3},
      {batch: 0, row: 1, step: 1},
    ]) as Record<string, NdArray>;
    expect([...batch['latent'].data]).to.deep.equal([103, -1, 11, -1]);
    expect([...batch['text'].data]).to.deep.equal([9, 10, 7, 8]);
    expect(Object.keys(batch)).to.deep.equal(['latent', 'text']);
  });

  it('gathers what belongs to a step, in any order and from several batches', () => {
    const refs = [stochasticTransitions(scored)[3], stochasticTransitions(scored)[0]];
    const batch = gatherTransitions(
      scored,
      refs,
      [
        [5, 6],
        [7, 8],
      ],
      ({batch: b}) => 2 + b,
    ) as Record<string, NdArray>;
    const plain = Object.fromEntries(Object.entries(batch).map(([key, a]) => [key, [...a.data]]));
    expect(batch['latent'].shape).to.deep.equal([2, 2]);
    expect(batch['text'].shape).to.deep.equal([2, 1, 2]);
    expect(plain).to.deep.equal({
      latent: [111, -1, 0, -1],
      next: [112, -1, 1, -1],
      text: [7, 8, 9, 10],
      time: [Math.fround(0.9), 1],
      scale: [2, 1],
      a: [1, 0],
      b: [1.5, 0.5],
      std: [0.25, 0.5],
      oldLogProb: [-111, -0],
      advantage: [8, 5],
      weight: [3, 2],
    });
  });

  it('weighs all transitions alike unless it is told otherwise', () => {
    const {weight} = gatherTransitions(scored, stochasticTransitions(scored), [
      [0, 0],
      [0, 0],
    ]) as Record<string, NdArray>;
    expect([...weight.data]).to.deep.equal([1, 1, 1, 1]);
  });

  it('splits a list into parts of a size, the last one shorter', () => {
    expect(chunks([1, 2, 3, 4, 5], 2)).to.deep.equal([[1, 2], [3, 4], [5]]);
    expect(chunks([], 2)).to.deep.equal([]);
  });
});
