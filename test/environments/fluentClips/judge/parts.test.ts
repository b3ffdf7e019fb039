import {expect} from 'chai';
import {backdropFitter} from '../../../../environments/fluentClips/judge/backdrop.js';
import {Detector, type Detection} from '../../../../environments/fluentClips/judge/detect.js';
import {fitTemplate, newFit, Picture} from '../../../../environments/fluentClips/judge/fit.js';
import {colorDistance, oklab} from '../../../../environments/fluentClips/judge/oklab.js';
import {selectSmallest} from '../../../../environments/fluentClips/judge/select.js';
import {TemplateMaker} from '../../../../environments/fluentClips/judge/template.js';
import {motionOf} from '../../../../environments/fluentClips/judge/track.js';
import {backdropPlane} from '../../../../environments/fluentClips/backdrop.js';
import {drawsFor} from '../../../../environments/fluentClips/draws.js';
import {placeAt} from '../../../../environments/fluentClips/sample.js';
import {render} from '../../../../environments/fluentClips/render.js';
import {promptSpec} from '../../../../environments/fluentClips/streams.js';
import {colorValues, presets, type Preset} from '../../../../environments/fluentClips/spec.js';

const preset = presets.mini;
const {side} = preset;

describe('oklab', () => {
  it('gives the published values of white, red, green and blue', () => {
    const published = [
      [
        [1, 1, 1],
        [1, 0, 0],
      ],
      [
        [1, 0, 0],
        [0.6279, 0.2249, 0.1258],
      ],
      [
        [0, 1, 0],
        [0.8664, -0.2339, 0.1795],
      ],
      [
        [0, 0, 1],
        [0.452, -0.0325, -0.3115],
      ],
    ] as const;
    for (const [rgb, lab] of published) oklab(rgb).forEach((v, i) => expect(v).to.be.closeTo(lab[i], 1e-3));
    expect(colorDistance(oklab([1, 1, 1]), oklab([0, 0, 0]))).to.be.closeTo(1, 1e-3);
  });
});

describe('selectSmallest', () => {
  it('agrees with sorting', () => {
    const draw = drawsFor('select', 0);
    for (let round = 0; round < 200; round++) {
      const n = 1 + Math.floor(40 * draw('n', round));
      const k = Math.floor(n * draw('k', round));
      // Few distinct values, so that there are ties.
      const values = Float32Array.from({length: n + 3}, (_, i) => (i < n ? Math.floor(8 * draw('v', 100 * round + i)) : -1));
      const sorted = values.slice(0, n).sort();
      expect(selectSmallest(values, n, k)).to.equal(sorted[k]);
      expect(values.slice(0, k).sort()).to.deep.equal(sorted.slice(0, k));
      expect([...values.slice(n)]).to.deep.equal([-1, -1, -1]);
    }
  });
});

describe('the backdrop fit', () => {
  it('finds the scene, look, shift and brightness under the objects of a clip', () => {
    for (const size of [presets.mini, presets.nano] as readonly Preset[]) {
      const fit = backdropFitter(size);
      for (let i = 0; i < 30; i++) {
        const {spec} = promptSpec(size, 'train', i);
        const frame = Float32Array.from(render(size, spec).subarray(0, size.side ** 2 * 3), (v) => v / 255);
        const found = fit(frame);
        expect(found.scene).to.equal(spec.scene);
        // Where an object hides the only difference between two shifts, either will do.
        const plane = backdropPlane(spec.scene, spec.variant, spec.offset, size.side);
        const difference = plane.reduce((sum, v, k) => sum + Math.abs(v - found.plane[k]), 0) / plane.length;
        expect(difference).to.be.below(0.01);
        expect(found.gain).to.be.closeTo(spec.brightness, 0.01);
        expect(found.error).to.be.below(0.01);
        expect(found.margin).to.be.above(0.02);
      }
    }
  });

  it('fits grey mush badly', () => {
    const found = backdropFitter(preset)(new Float32Array(side * side * 3).fill(0.5));
    expect(found.error).to.be.above(0.1);
  });
});

describe('fitTemplate', () => {
  /** A picture of a backdrop with a cat of some colour drawn by the formula p = fixed + tint·c + (1 − alpha)·backdrop. */
  const paint = (color: readonly number[], x: number, y: number): {picture: Picture; maker: TemplateMaker} => {
    const maker = new TemplateMaker(side);
    const picture = new Picture(side);
    picture.explained.set(backdropPlane('ocean', 0, 3, side));
    picture.seen.set(picture.explained);
    const {count, xs, ys, values} = maker.make('cat', x, y, 11);
    for (let j = 0; j < count; j++) {
      if (xs[j] < 0 || ys[j] < 0 || xs[j] >= side || ys[j] >= side) continue;
      const i = (ys[j] * side + xs[j]) * 3;
      for (let c = 0; c < 3; c++) {
        const v = values.subarray(5 * j, 5 * j + 5);
        picture.seen[i + c] = v[c] + v[3] * color[c] + (1 - v[4]) * picture.explained[i + c];
      }
    }
    picture.compare();
    return {picture, maker};
  };

  it('solves for the colour exactly, inside of the frame and across its edge', () => {
    for (const [x, y] of [
      [12.3, 11.8],
      [2.2, 12],
      [21.7, 20.9],
    ] as const) {
      const {picture, maker} = paint([0.2, 0.7, 0.4], x, y);
      const fit = newFit();
      fitTemplate(fit, maker.make('cat', x, y, 11), 0, 0, picture);
      expect(fit.evidence).to.be.closeTo(1, 1e-5);
      [fit.red, fit.green, fit.blue].forEach((v, c) => expect(v).to.be.closeTo([0.2, 0.7, 0.4][c], 1e-5));
      const total = picture.error.reduce((a, b) => a + b, 0);
      expect(fit.gain).to.be.closeTo(total, 1e-4 * total);
      expect(picture.errorWithin(-5, side + 5, 0, side - 1)).to.be.closeTo(total, 1e-6 * total);
    }
  });

  it('takes away the error that brute force says it does', () => {
    const {picture, maker} = paint([0.2, 0.7, 0.4], 12.3, 11.8);
    const template = maker.make('bird', 0.5, 0.5, 10);
    const fit = newFit();
    fitTemplate(fit, template, 11, 12, picture);
    let before = 0;
    let after = 0;
    for (let j = 0; j < template.count; j++) {
      const i = ((template.ys[j] + 12) * side + template.xs[j] + 11) * 3;
      const v = template.values.subarray(5 * j, 5 * j + 5);
      [fit.red, fit.green, fit.blue].forEach((paintValue, c) => {
        before += (picture.seen[i + c] - picture.explained[i + c]) ** 2;
        after += (picture.seen[i + c] - v[c] - v[3] * paintValue - (1 - v[4]) * picture.explained[i + c]) ** 2;
      });
    }
    expect(fit.gain).to.be.closeTo(before - after, 1e-5 * before);
    expect(fit.evidence).to.be.closeTo(1 - after / before, 1e-5);
  });

  it('refuses a template that is mostly outside of the frame', () => {
    const {picture, maker} = paint([1, 1, 1], 12, 12);
    const fit = newFit();
    fitTemplate(fit, maker.make('cat', -2, 12, 11), 0, 0, picture);
    expect(fit.gain).to.equal(-Infinity);
  });
});

describe('the detector', () => {
  it('finds every object of clean frames to a fifth of a pixel, without a hint from the frame before', () => {
    const detector = new Detector(preset);
    const picture = new Picture(side);
    for (let i = 0; i < 40; i++) {
      const {spec} = promptSpec(preset, 'heldOut', i);
      const clip = render(preset, spec);
      const t = i % preset.frames;
      const frame = clip.subarray(t * side * side * 3, (t + 1) * side * side * 3);
      for (let k = 0; k < frame.length; k++) picture.seen[k] = frame[k] / 255 / spec.brightness;
      picture.explained.set(backdropPlane(spec.scene, spec.variant, spec.offset, side));
      const found = detector.detect(picture, []);
      for (const object of spec.objects) {
        const place = placeAt(object, t, preset.frames);
        const d = found.find((f) => f.noun === object.noun);
        expect(d, `clip ${i}: ${object.noun}`).not.to.equal(undefined);
        // An object that the other one, or the edge, partly hides is placed less exactly.
        const tolerance = spec.objects.length === 1 && d!.evidence > 0.99 ? 0.2 : 0.8;
        expect(Math.hypot(d!.x - place.x * side, d!.y - place.y * side)).to.be.below(tolerance);
        expect(d!.size / side / place.size).to.be.closeTo(1, tolerance / 4);
        if (object.color === null || tolerance > 0.2) continue;
        expect(colorDistance(oklab(d!.color), oklab(colorValues[object.color]))).to.be.below(0.03);
      }
    }
  });

  it('finds nothing in an empty scene', () => {
    const picture = new Picture(side);
    picture.explained.set(backdropPlane('grass', 1, 5, side));
    picture.seen.set(picture.explained);
    expect(new Detector(preset).detect(picture, [])).to.deep.equal([]);
  });
});

describe('motionOf', () => {
  const at = (x: number, y: number, size = 10): Detection => ({noun: 'cat', x, y, size, evidence: 1, color: [0, 0, 0]});
  const track = (f: (t: number) => Detection | undefined): (Detection | undefined)[] => [0, 1, 2, 3, 4, 5, 6, 7].map(f);

  it('names each motion', () => {
    expect(
      motionOf(
        track((t) => at(5 + t, 9)),
        side,
      ),
    ).to.equal('right');
    expect(
      motionOf(
        track((t) => at(15 - t, 9)),
        side,
      ),
    ).to.equal('left');
    expect(
      motionOf(
        track((t) => at(9, 15 - t)),
        side,
      ),
    ).to.equal('up');
    expect(
      motionOf(
        track((t) => at(9, 5 + t)),
        side,
      ),
    ).to.equal('down');
    expect(
      motionOf(
        track(() => at(9, 9)),
        side,
      ),
    ).to.equal('still');
    expect(
      motionOf(
        track((t) => at(9, 9, 8 * 1.09 ** t)),
        side,
      ),
    ).to.equal('grow');
    expect(
      motionOf(
        track((t) => at(9, 9, 14 / 1.09 ** t)),
        side,
      ),
    ).to.equal('shrink');
  });

  it('calls what follows no line erratic, and says nothing of an object that is mostly unseen', () => {
    expect(
      motionOf(
        track((t) => at(9 + 4 * (t % 2), 9)),
        side,
      ),
    ).to.equal('erratic');
    expect(
      motionOf(
        track((t) => (t < 4 ? at(9 + t, 9) : undefined)),
        side,
      ),
    ).to.equal(null);
    expect(
      motionOf(
        track((t) => (t < 5 ? at(9 + t, 9) : undefined)),
        side,
      ),
    ).to.equal('right');
  });
});
