import {expect} from 'chai';
import sharp from 'sharp';
import {attentionSheet} from '../../src/report/attentionSheet.js';
import {heatColour, heatMap} from '../../src/report/heatMap.js';
import {lineChart, seriesColours} from '../../src/report/lineChart.js';
import type {Picture} from '../../src/report/pictures.js';
import {scatterPlot} from '../../src/report/scatterPlot.js';
import {ndarray} from '../../src/tensor/ndarray.js';

type Colour = readonly number[];

/** The points of a picture that have exactly this colour: columns and rows. */
async function pointsOf({bytes, width, height}: Picture, colour: Colour): Promise<{x: number; y: number}[]> {
  const {data, info} = await sharp(bytes).raw().toBuffer({resolveWithObject: true});
  expect([info.width, info.height, info.channels]).to.deep.equal([width, height, 3]);
  return Array.from({length: width * height}, (_, i) => i)
    .filter((i) => colour.every((value, c) => data[3 * i + c] === value))
    .map((i) => ({x: i % width, y: Math.floor(i / width)}));
}
const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

describe('charts', () => {
  it('line: a curve that rises goes up, and an interval stands on end', async () => {
    const rising = await lineChart({
      title: 't',
      xLabel: 'x',
      yLabel: 'y',
      lines: [{name: '', points: [1, 2, 3].map((x) => ({x, y: x}))}],
    });
    const points = await pointsOf(rising, seriesColours[0]);
    const [left, right] = [points.filter(({x}) => x < 300), points.filter(({x}) => x > 500)];
    expect(mean(left.map(({y}) => y))).to.be.above(mean(right.map(({y}) => y)) + 100);
    const flat = await lineChart({
      title: 't',
      xLabel: 'x',
      yLabel: 'y',
      lines: [{name: '', points: [{x: 1, y: {mean: 0.5, low: 0, high: 1}}]}],
    });
    const interval = await pointsOf(flat, seriesColours[0]);
    const rows = interval.map(({y}) => y);
    expect(Math.max(...rows) - Math.min(...rows)).to.be.above(250);
    expect(Math.max(...interval.map(({x}) => x)) - Math.min(...interval.map(({x}) => x))).to.be.below(12);
  });

  it('heat map: the smallest number is dark, the largest light', async () => {
    const picture = await heatMap({
      title: '',
      columnLabel: '',
      rowLabel: '',
      columns: ['a', 'b'],
      rows: ['c'],
      values: [[1, 2]],
      digits: 1,
    });
    const [dark, light] = [await pointsOf(picture, heatColour(0)), await pointsOf(picture, heatColour(1))];
    expect(dark.length).to.be.above(3000);
    expect(Math.max(...dark.map(({x}) => x))).to.be.below(Math.min(...light.map(({x}) => x)));
    const brightness = [0, 0.25, 0.5, 0.75, 1].map((share) => mean(heatColour(share)));
    expect([...brightness].sort((a, b) => a - b)).to.deep.equal(brightness);
  });

  it('scatter plot: all panels have the same axes', async () => {
    const picture = await scatterPlot('', [
      {title: '', sets: [{name: '', points: Float64Array.of(0, 0)}]},
      {title: '', sets: [{name: '', points: Float64Array.of(10, 10)}]},
    ]);
    const points = await pointsOf(picture, seriesColours[0]);
    const middle = picture.width / 2;
    const [first, second] = [points.filter(({x}) => x < middle), points.filter(({x}) => x > middle)];
    // At the lower left of one panel and at the upper right of the other.
    expect([first.length, second.length]).to.deep.equal([9, 9]);
    expect(mean(first.map(({x}) => x))).to.be.below(60);
    expect(mean(second.map(({x}) => x))).to.be.above(picture.width - 60);
    expect(mean(first.map(({y}) => y))).to.be.above(mean(second.map(({y}) => y)) + 300);
  });

  it('attention: where a word looks is light', async () => {
    const clip = ndarray('uint8', [2, 4, 4, 3], new Uint8Array(96).fill(9));
    const cells = [
      [
        [0, 0],
        [0, 0],
      ],
      [
        [0, 0],
        [0, 3],
      ],
    ];
    const picture = await attentionSheet({caption: 'a', clip, panels: [{title: '', words: [{word: '', cells}]}]});
    const light = await pointsOf(picture, heatColour(1));
    expect(light.length).to.equal(30 * 30);
    const dark = await pointsOf(picture, heatColour(0));
    expect(dark.length).to.equal(2 * 60 * 60 - 30 * 30);
    expect(Math.min(...light.map(({x}) => x))).to.be.above(mean(dark.map(({x}) => x)));
    // The clip's two frames stand above.
    expect((await pointsOf(picture, [9, 9, 9])).length).to.equal(2 * 60 * 60);
  });
});
