import type * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import {initialisePositions, positions} from '../../src/models/positions.js';
import type {NdArray} from '../../src/tensor/ndarray.js';
import type {Branch} from '../../src/tensor/tree.js';
import {runEagerly} from '../support/eager.js';

describe('positions of a token grid', () => {
  const grid = [3, 4, 5] as const;
  const width = 24;
  const params = initialisePositions(grid, width);
  const rowsOf = ({data}: NdArray): number[][] =>
    Array.from({length: data.length / width}, (_, i) => Array.from(data.subarray(i * width, (i + 1) * width)));

  it('lie as far apart as waves of frequencies 1 to 1/30 do', () => {
    const space = rowsOf(params['space'] as NdArray);
    // |wave(p) − wave(q)|² = Σ over frequencies of 2·A²·(1 − cos f·(p − q)), with A = 1/2.
    const apart = (steps: number, frequencies: number): number =>
      Array.from({length: frequencies}, (_, i) => 0.5 * (1 - Math.cos(steps * 30 ** (-i / (frequencies - 1))))).reduce(
        (a, b) => a + b,
      );
    for (const [i, a] of space.entries()) {
      for (const [j, b] of space.entries()) {
        const [rows, columns] = [Math.floor(i / 5) - Math.floor(j / 5), (i % 5) - (j % 5)];
        const squared = a.reduce((sum, v, k) => sum + (v - b[k]) ** 2, 0);
        expect(squared).to.be.closeTo(apart(rows, 6) + apart(columns, 6), 1e-5, `${i}, ${j}`);
      }
    }
  });

  it('are as large in every token: a root mean square of .5, space and time together', () => {
    const meanSquare = (name: string): number[] =>
      rowsOf(params[name] as NdArray).map((row) => row.reduce((sum, v) => sum + v * v, 0) / width);
    for (const v of [...meanSquare('space'), ...meanSquare('time')]) expect(v).to.be.closeTo(0.125, 1e-6);
  });

  it('of a token are that of its place and that of its time', () => {
    const {all} = runEagerly((x) => ({all: positions(x['params'] as Branch<tf.Tensor>)}), {params}) as {
      all: NdArray;
    };
    const [space, time] = [rowsOf(params['space'] as NdArray), rowsOf(params['time'] as NdArray)];
    expect(all.shape).to.deep.equal([60, width]);
    rowsOf(all).forEach((row, token) => {
      const [t, place] = [Math.floor(token / 20), token % 20];
      row.forEach((v, k) => expect(v).to.be.closeTo(space[place][k] + time[t][k], 1e-6));
    });
  });
});
