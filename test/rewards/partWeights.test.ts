import {expect} from 'chai';
import {parseExpression} from '../../src/expression.js';
import {partWeights} from '../../src/rewards/partWeights.js';

const known = ['quality', 'semantic', 'judge'];
const weightsOf = (text: string): ReturnType<typeof partWeights> => partWeights(parseExpression(text, known));

describe('partWeights', () => {
  it('finds the weight of each part of a weighted sum, however it is written', () => {
    expect(weightsOf('quality')).to.deep.equal({quality: 1});
    expect(weightsOf('0.7*quality + semantic*0.25')).to.deep.equal({quality: 0.7, semantic: 0.25});
    expect(weightsOf('-(quality - 2*semantic)/4 + 3')).to.deep.equal({quality: -0.25, semantic: 0.5});
    expect(weightsOf('judge + 2*(judge + quality) - quality')).to.deep.equal({judge: 3, quality: 1});
    expect(Object.keys(weightsOf('semantic + quality')!)).to.deep.equal(['semantic', 'quality']);
  });

  it('finds none in anything else', () => {
    for (const text of [
      'quality*semantic',
      '1/quality',
      'exp(quality)',
      'max(quality, semantic)',
      'groupNormalise(quality) + judge',
    ])
      expect(weightsOf(text), text).to.equal(undefined);
  });
});
