import {expect} from 'chai';
import {openJudge} from '../../../../environments/fluentClips/judge/judge.js';
import {promptsOf, promptSpec} from '../../../../environments/fluentClips/streams.js';
import {render} from '../../../../environments/fluentClips/render.js';
import {presets, type Preset} from '../../../../environments/fluentClips/spec.js';
import {ConfigError, ShapeError} from '../../../../src/errors.js';
import {ndarray, type NdArray} from '../../../../src/tensor/ndarray.js';
import type {Judgement} from '../../../../src/environment.js';

/** The clips that the prompts were written for, as a policy would give them. */
function truths(preset: Preset, split: 'heldOut' | 'heldOutCompositional', count: number): NdArray<'float32'> {
  const clips = Array.from({length: count}, (_, i) => render(preset, promptSpec(preset, split, i).spec));
  const data = Float32Array.from(
    clips.flatMap((c) => [...c]),
    (v) => v / 127.5 - 1,
  );
  return ndarray('float32', [count, preset.frames, preset.side, preset.side, 3], data);
}

describe('openJudge', function () {
  // Threads load the whole plug-in surface first.
  this.timeout(60000);

  it('gives clips of the renderer at least .97 in every dimension, in both presets and splits', async () => {
    for (const [preset, count] of [
      [presets.mini, 60],
      [presets.nano, 50],
    ] as const) {
      for (const split of ['heldOut', 'heldOutCompositional'] as const) {
        const judge = openJudge(preset, 0);
        const scores = judge.aggregate(await judge.judge(truths(preset, split, count), promptsOf(preset, split, count)));
        for (const [dimension, score] of Object.entries(scores))
          expect(score, `${preset.name} ${dimension}`).to.be.within(0.97, 1);
        expect(Object.keys(scores)).to.include.members(['quality', 'semantic', 'total', 'strict']);
      }
    }
  });

  it('scores the same on threads, and clip by clip', async () => {
    const prompts = promptsOf(presets.nano, 'heldOut', 20);
    const videos = truths(presets.nano, 'heldOut', 20);
    const here = await openJudge(presets.nano, 0).judge(videos, prompts);
    const threaded = openJudge(presets.nano, 2);
    try {
      expect(await threaded.judge(videos, prompts)).to.deep.equal(here);
      // The caller keeps its array.
      expect(videos.data.length).to.be.above(0);
    } finally {
      await threaded.close();
    }
  });

  it('leaves out what the prompt does not ask for', async () => {
    const judge = openJudge(presets.mini, 0);
    const videos = truths(presets.mini, 'heldOut', 3);
    const texts = ['a cat', 'a red car standing still at night', 'a cat above a fish in the ocean'];
    const judged = await judge.judge(
      videos,
      texts.map((text, i) => ({id: `${i}`, text})),
    );
    const absent = (j: Judgement): string[] => Object.keys(j).filter((k) => j[k] === null);
    const [one, still, two] = judged.map(absent);
    expect(one).to.have.members(['dynamicDegree', 'multipleObjects', 'motion', 'color', 'spatialRelationship', 'scene']);
    expect(still).to.have.members(['dynamicDegree', 'multipleObjects', 'spatialRelationship']);
    expect(two).to.have.members(['dynamicDegree', 'motion', 'color']);
    for (const j of judged) expect(Object.keys(j)).to.have.members([...judge.dimensions]);
  });

  it('refuses videos of another shape and prompts out of the grammar', async () => {
    const judge = openJudge(presets.nano, 0);
    const videos = ndarray('float32', [1, 4, 8, 8, 3], new Float32Array(768));
    const failure = (p: Promise<unknown>): Promise<unknown> =>
      p.then(
        () => undefined,
        (e: unknown) => e,
      );
    expect(await failure(judge.judge(videos, [{id: 'a', text: 'a cat'}]))).to.be.instanceOf(ShapeError);
    const truth = truths(presets.nano, 'heldOut', 1);
    expect(await failure(judge.judge(truth, [{id: 'a', text: 'a zebra'}]))).to.be.instanceOf(ConfigError);
    expect(await failure(judge.judge(truth, []))).to.be.instanceOf(ShapeError);
  });

  it('survives values that are not finite or out of range', async () => {
    const judge = openJudge(presets.nano, 0);
    const videos = truths(presets.nano, 'heldOut', 2);
    videos.data.fill(NaN, 0, 1000);
    videos.data.fill(1e9, videos.data.length - 1000);
    for (const j of await judge.judge(videos, promptsOf(presets.nano, 'heldOut', 2))) {
      for (const score of Object.values(j)) if (score !== null) expect(score).to.be.within(0, 1);
    }
  });
});

describe('aggregate', () => {
  it('averages each dimension over the clips it applies to, then weighs them as VBench does', () => {
    const judge = openJudge(presets.nano, 0);
    const quality = {
      subjectConsistency: 0.5,
      backgroundConsistency: 1,
      temporalFlickering: 1,
      motionSmoothness: 1,
      aestheticQuality: 1,
      imagingQuality: 1,
    };
    const scores = judge.aggregate([
      {...quality, dynamicDegree: 0, objectClass: 1, motion: 0, scene: null, strict: 0},
      {...quality, dynamicDegree: null, objectClass: 0, motion: null, scene: null, strict: 1},
    ]);
    expect(scores['quality']).to.be.closeTo((0.5 + 5 + 0.5 * 0) / 6.5, 1e-12);
    // Object class .5 and motion 0; the scene applies to no clip.
    expect(scores['semantic']).to.be.closeTo(0.25, 1e-12);
    expect(scores['total']).to.be.closeTo((4 * scores['quality'] + 0.25) / 5, 1e-12);
    expect(scores['strict']).to.equal(0.5);
    expect(scores).not.to.have.property('scene');
  });
});
