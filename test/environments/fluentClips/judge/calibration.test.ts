import {readFileSync} from 'node:fs';
import {expect} from 'chai';
import {calibrate, treatments} from './calibration.js';

/** The table as it was measured, on the first 12 held-out prompts of `mini`. */
const measured = JSON.parse(
  readFileSync(new URL('../../../fixtures/fluentClips/calibration.json', import.meta.url), 'utf8'),
) as Record<string, Record<string, number>>;

const quality = ['subjectConsistency', 'backgroundConsistency', 'temporalFlickering', 'motionSmoothness', 'dynamicDegree'];
const frames = ['aestheticQuality', 'imagingQuality'];
const objects = ['objectClass', 'multipleObjects', 'motion', 'color', 'spatialRelationship'];

/** Which dimensions each way to spoil a clip must lower below .75 of the truth; it must leave the others within .1. */
const moved: Readonly<Record<string, {falls: readonly string[]; free?: readonly string[]}>> = {
  'noise σ .05': {falls: ['backgroundConsistency', 'temporalFlickering', ...frames], free: ['subjectConsistency']},
  'blur 3×3 twice': {falls: ['imagingQuality'], free: [...quality, 'aestheticQuality', ...objects]},
  'brightness ± 12 %': {
    falls: [],
    free: ['subjectConsistency', 'backgroundConsistency', 'temporalFlickering', 'aestheticQuality'],
  },
  'frames shuffled': {falls: ['motionSmoothness', 'dynamicDegree', 'motion']},
  'frozen first frame': {falls: ['dynamicDegree', 'motion']},
  'reversed in time': {falls: ['motion']},
  'object vanishes at half': {falls: ['subjectConsistency', 'motionSmoothness', 'dynamicDegree', ...objects]},
  'empty scene': {falls: ['subjectConsistency', 'motionSmoothness', 'dynamicDegree', ...objects]},
  'colours changed': {falls: ['color']},
  'nouns changed': {falls: objects},
  'objects swapped': {falls: ['spatialRelationship']},
  "another prompt's clip": {falls: [...objects, 'scene'], free: ['dynamicDegree']},
  'pure noise': {falls: [...quality, ...frames, ...objects, 'scene']},
};

describe('the calibration of the judge', () => {
  let table: ReturnType<typeof calibrate>;
  before(function () {
    this.timeout(60000);
    table = calibrate(12);
  });

  it('is the table that was measured, to .03', () => {
    expect(Object.keys(measured)).to.deep.equal(Object.keys(treatments));
    for (const [name, scores] of Object.entries(measured)) {
      expect(Object.keys(table[name])).to.have.members(Object.keys(scores));
      for (const [dimension, score] of Object.entries(scores)) {
        expect(table[name][dimension], `${name}: ${dimension}`).to.be.closeTo(score, 0.03);
      }
    }
  });

  for (const [name, {falls, free = []}] of Object.entries(moved)) {
    it(`${name} lowers its own dimensions and leaves the others alone`, () => {
      const truth = table['ground truth'];
      const scores = table[name];
      for (const dimension of [...quality, ...frames, ...objects, 'scene']) {
        if (falls.includes(dimension)) expect(scores[dimension], dimension).to.be.below(0.75 * truth[dimension]);
        else if (!free.includes(dimension)) expect(scores[dimension], dimension).to.be.closeTo(truth[dimension], 0.1);
      }
    });
  }
});
