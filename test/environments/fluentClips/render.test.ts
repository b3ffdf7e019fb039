import {createHash} from 'node:crypto';
import {expect} from 'chai';
import {backdropPlane} from '../../../environments/fluentClips/backdrop.js';
import {render} from '../../../environments/fluentClips/render.js';
import {placeAt} from '../../../environments/fluentClips/sample.js';
import {paintOf, spriteChannels, spriteOf, spriteSide} from '../../../environments/fluentClips/sprites.js';
import {clipOf, specOf} from '../../../environments/fluentClips/streams.js';
import {presets, type ClipSpec, type Motion, type Preset} from '../../../environments/fluentClips/spec.js';

/** The slow renderer: four samples a pixel, four texels a sample, one object over the other. */
function renderSlowly(preset: Preset, spec: ClipSpec): number[] {
  const {side, frames} = preset;
  const backdrop = backdropPlane(spec.scene, spec.variant, spec.offset, side);
  const out: number[] = [];
  for (let t = 0; t < frames; t++) {
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        let color = [0, 1, 2].map((c) => backdrop[(y * side + x) * 3 + c]);
        for (const object of spec.objects) {
          const sprite = spriteOf(object.noun);
          const paint = paintOf(object.noun, object.color);
          const place = placeAt(object, t, frames);
          const scale = sprite.extent / (place.size * side);
          const sum = [0, 0, 0, 0, 0];
          for (const sx of [0.25, 0.75]) {
            for (const sy of [0.25, 0.75]) {
              const u = (x + sx - place.x * side) * scale + sprite.centerX;
              const v = (y + sy - place.y * side) * scale + sprite.centerY;
              for (const texelX of [Math.floor(u), Math.floor(u) + 1]) {
                for (const texelY of [Math.floor(v), Math.floor(v) + 1]) {
                  if (texelX < 0 || texelY < 0 || texelX >= spriteSide || texelY >= spriteSide) continue;
                  const weight = ((1 - Math.abs(u - texelX)) * (1 - Math.abs(v - texelY))) / 4;
                  const at = (texelY * spriteSide + texelX) * spriteChannels;
                  for (let c = 0; c < spriteChannels; c++) sum[c] += weight * sprite.texels[at + c];
                }
              }
            }
          }
          color = color.map((v, c) => sum[c] + sum[3] * paint[c] + (1 - sum[4]) * v);
        }
        out.push(...color.map((v) => Math.min(255, 255 * spec.brightness * v)));
      }
    }
  }
  return out;
}

const hash = (pixels: Uint8Array): string => createHash('sha256').update(pixels).digest('hex').slice(0, 12);

describe('render', () => {
  it('agrees with direct 2x2 supersampling to the rounding of a byte', () => {
    for (const preset of [presets.mini, presets.nano]) {
      for (let i = 0; i < 6; i++) {
        const {spec} = specOf(preset, 'curated', i);
        const fast = render(preset, spec);
        const slow = renderSlowly(preset, spec);
        expect(fast.length).to.equal(slow.length);
        const worst = slow.reduce((w, v, k) => Math.max(w, Math.abs(v - fast[k])), 0);
        expect(worst).to.be.below(0.501);
      }
    }
  });

  it('moves objects the way their motion says and only that way', () => {
    const {spec} = specOf(presets.mini, 'curated', 0);
    const object = {...spec.objects[0], x: 0.5, y: 0.5, size: 0.4, travel: 0.3};
    const ends = (motion: Motion): number[] => {
      const [a, b] = [placeAt({...object, motion}, 0, 8), placeAt({...object, motion}, 7, 8)];
      return [b.x - a.x, b.y - a.y, b.size / a.size].map((v) => Number(v.toFixed(6)));
    };
    expect(ends('left')).to.deep.equal([-0.3, 0, 1]);
    expect(ends('right')).to.deep.equal([0.3, 0, 1]);
    expect(ends('up')).to.deep.equal([0, -0.3, 1]);
    expect(ends('down')).to.deep.equal([0, 0.3, 1]);
    expect(ends('still')).to.deep.equal([0, 0, 1]);
    expect(ends('grow')).to.deep.equal([0, 0, 1.9]);
  });

  it('makes the same twenty clips as when it was written', () => {
    const of = (preset: Preset): string[] => Array.from({length: 10}, (_, i) => hash(clipOf(preset, 'train', i, false).pixels));
    expect(of(presets.mini)).to.deep.equal([
      'f2c3c9af2fdc',
      'd59801e85470',
      '629eef3a47be',
      '2e6252425e68',
      '63bd87e6cfd7',
      '5bbf81aa8129',
      '02851de40f24',
      'bf8914c17850',
      '43f90fdb4101',
      'e956a5848386',
    ]);
    expect(of(presets.nano)).to.deep.equal([
      '53534b365915',
      '05bce447eb5e',
      'e85fa6c66cd6',
      'e6fc3abec3e6',
      'bb8d3a563e7d',
      'd23a1c37361d',
      '1cb9bf15e11e',
      '208b4d6d4ff7',
      '513c5c8b253d',
      'a3e4761f2124',
    ]);
  });

  it('never draws a white object at night or a cat of natural colour in the desert', () => {
    for (let i = 0; i < 3000; i++) {
      const {scene, objects} = specOf(presets.mini, 'curated', i).spec;
      expect(scene === 'night' && objects.some((o) => o.color === 'white')).to.equal(false);
      expect(scene === 'desert' && objects.some((o) => o.noun === 'cat' && o.color === null)).to.equal(false);
    }
  });
});
