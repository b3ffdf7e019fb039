import {expect} from 'chai';
import {corrupt, flaws, misreport, type Flaw} from '../../../environments/fluentClips/corrupt.js';
import {drawsFor, type Draw} from '../../../environments/fluentClips/draws.js';
import {promise} from '../../../environments/fluentClips/caption.js';
import {clipOf, specOf} from '../../../environments/fluentClips/streams.js';
import {render} from '../../../environments/fluentClips/render.js';
import {presets, type ClipSpec} from '../../../environments/fluentClips/spec.js';

const preset = presets.mini;
const {side, frames} = preset;
const frameSize = side * side * 3;
const draw: Draw = drawsFor('test', 1);

const spoil = (flaw: Flaw, index = 3): {spec: ClipSpec; before: Uint8Array; after: Uint8Array} => {
  const {spec} = specOf(preset, 'curated', index);
  const before = render(preset, spec);
  const after = before.slice();
  corrupt(preset, spec, after, flaw, draw);
  return {spec, before, after};
};
const frame = (clip: Uint8Array, t: number): Uint8Array => clip.subarray(t * frameSize, (t + 1) * frameSize);
const sum = (values: ArrayLike<number>): number => Array.from(values).reduce((a, b) => a + b, 0);

describe('corrupt', () => {
  it('frozen repeats the first frame', () => {
    const {before, after} = spoil('frozen');
    for (let t = 0; t < frames; t++) expect(frame(after, t)).to.deep.equal(frame(before, 0));
  });

  it('vanishing keeps the clip up to a frame and shows the empty scene from there on', () => {
    const {spec, before, after} = spoil('vanishing');
    const empty = render(preset, {...spec, objects: []});
    const gone = Array.from({length: frames}, (_, t) => Buffer.compare(frame(after, t), frame(empty, t)) === 0);
    const from = gone.indexOf(true);
    expect(from).to.be.within(2, 6);
    for (let t = 0; t < frames; t++) {
      expect(frame(after, t)).to.deep.equal(frame(t < from ? before : empty, t));
    }
  });

  it('jitter shifts each frame by at most a pixel', () => {
    const {before, after} = spoil('jitter');
    let moved = 0;
    for (let t = 0; t < frames; t++) {
      const [a, b] = [frame(before, t), frame(after, t)];
      const shifts = [-1, 0, 1].flatMap((dy) => [-1, 0, 1].map((dx) => [dx, dy] as const));
      const fits = shifts.filter(([dx, dy]) => {
        for (let y = 1; y < side - 1; y++) {
          for (let x = 3; x < 3 * (side - 1); x++) {
            if (b[y * side * 3 + x] !== a[(y + dy) * side * 3 + x + 3 * dx]) return false;
          }
        }
        return true;
      });
      expect(fits).to.have.length(1);
      moved += Math.abs(fits[0][0]) + Math.abs(fits[0][1]);
    }
    expect(moved).to.be.above(2);
  });

  it('noise has mean 0 and a deviation of 3 to 10 %', () => {
    const {before, after} = spoil('noise');
    const differences = Array.from(after, (v, i) => v - before[i]).filter((_, i) => before[i] > 80 && before[i] < 175);
    const deviation = Math.sqrt(sum(differences.map((d) => d * d)) / differences.length) / 255;
    expect(deviation).to.be.closeTo(0.03 + 0.07 * draw('noise'), 0.003);
    expect(sum(differences) / differences.length).to.be.closeTo(0, 1);
  });

  it('flicker and cast multiply whole frames, and whole channels', () => {
    const flicker = spoil('flicker');
    const gains = Array.from({length: frames}, (_, t) => sum(frame(flicker.after, t)) / sum(frame(flicker.before, t)));
    expect(Math.max(...gains) - Math.min(...gains)).to.be.above(0.04);
    const cast = spoil('cast');
    for (let c = 0; c < 3; c++) {
      const gain = 0.7 + 0.6 * draw('cast', c);
      for (let i = c; i < cast.before.length; i += 3) {
        expect(Math.abs(cast.after[i] - Math.min(255, gain * cast.before[i]))).to.be.at.most(0.501);
      }
    }
  });

  it('blur keeps the mean and takes away the edges', () => {
    const {before, after} = spoil('blur');
    expect(sum(after) / sum(before)).to.be.closeTo(1, 0.01);
    const edges = (clip: Uint8Array): number => sum(Array.from(clip.subarray(3), (v, i) => Math.abs(v - clip[i])));
    expect(edges(after)).to.be.below(0.8 * edges(before));
  });

  it('spoils a quarter of the pre-training clips, each way about as often, and none of the clean streams', () => {
    const counts = new Map<string, number>();
    const n = 600;
    for (let i = 0; i < n; i++) {
      const {spec, draw: own} = specOf(preset, 'train', i);
      const clip = clipOf(preset, 'train', i, false).pixels;
      if (Buffer.compare(clip, render(preset, spec)) === 0) continue;
      const flaw = flaws[Math.floor(own('flaw') * flaws.length)];
      counts.set(flaw, (counts.get(flaw) ?? 0) + 1);
    }
    // A frozen still clip and a jitter of zero change nothing, so a few go uncounted.
    expect(sum([...counts.values()]) / n).to.be.within(0.18, 0.3);
    for (const flaw of flaws) expect(counts.get(flaw)! / n, flaw).to.be.within(0.01, 0.065);
    for (let i = 0; i < 100; i++) {
      for (const stream of ['validation', 'curated'] as const) {
        const clip = clipOf(preset, stream, i, false).pixels;
        expect(Buffer.compare(clip, render(preset, specOf(preset, stream, i).spec)), `${stream} ${i}`).to.equal(0);
      }
    }
  });
});

describe('misreport', () => {
  it('leaves out 5 % of the colours, and changes 1.5 % of the colours and of the motions, one object at a time', () => {
    const counts = {omitted: 0, color: 0, motion: 0, same: 0};
    const n = 8000;
    for (let i = 0; i < n; i++) {
      const {spec, draw: own} = specOf({...preset, pairShare: 0}, 'train', i);
      const facts = promise(spec, own);
      const reported = misreport(preset, facts, own);
      const [a, b] = [facts.objects[0], reported.objects[0]];
      expect([b.noun, reported.scene, reported.relation]).to.deep.equal([a.noun, facts.scene, facts.relation]);
      if (a.color !== b.color && b.color === null) counts.omitted++;
      else if (a.color !== b.color) counts.color++;
      else if (a.motion !== b.motion) counts.motion++;
      else counts.same++;
    }
    // A fifth of the objects has no colour word to leave out.
    expect(counts.omitted / n).to.be.closeTo(0.04, 0.008);
    expect(counts.color / n).to.be.closeTo(0.015, 0.005);
    expect(counts.motion / n).to.be.closeTo(0.015, 0.005);
    expect(counts.same / n).to.be.closeTo(0.93, 0.012);
  });
});
