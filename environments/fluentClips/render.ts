/**
 * From specification to pixels. The camera stands still, so the backdrop is painted once; each object touches only its box.
 * A sprite is a separable resampling, so a box costs a few operations a pixel and channel.
 */
import {backdropPlane} from './backdrop.js';
import {placeAt} from './sample.js';
import {axisWeights, fillAxis, paintOf, spriteChannels, spriteOf, spriteSide, type AxisWeights} from './sprites.js';
import type {ClipSpec, ObjectSpec, Preset} from './spec.js';

/** Premultiplied red, green, blue and alpha of a painted sprite, `[16, 16, 4]`. */
function paintSprite(object: ObjectSpec, brightness: number): Float32Array {
  const {texels} = spriteOf(object.noun);
  const paint = paintOf(object.noun, object.color);
  const out = new Float32Array(spriteSide * spriteSide * 4);
  for (let i = 0; i < spriteSide * spriteSide; i++) {
    const at = i * spriteChannels;
    for (let c = 0; c < 3; c++) out[4 * i + c] = brightness * (texels[at + c] + texels[at + 3] * paint[c]);
    out[4 * i + 3] = texels[at + 4]!;
  }
  return out;
}

/** Buffers of one frame, made once a size. */
interface Scratch {
  readonly horizontal: AxisWeights;
  readonly vertical: AxisWeights;
  /** Sprite resampled along y: one row of 16 texels by 4 channels. */
  readonly row: Float32Array;
  readonly frame: Float32Array;
}

const scratches = new Map<number, Scratch>();

function scratchOf(side: number): Scratch {
  let scratch = scratches.get(side);
  if (scratch === undefined) {
    scratch = {
      horizontal: axisWeights(side),
      vertical: axisWeights(side),
      row: new Float32Array(spriteSide * 4),
      frame: new Float32Array(side * side * 3),
    };
    scratches.set(side, scratch);
  }
  return scratch;
}

/** Draws a painted sprite over a frame whose values are already scaled by the brightness. */
function drawSprite(frame: Float32Array, painted: Float32Array, {horizontal, vertical, row}: Scratch, side: number): void {
  const {weights: wx, spans: sx} = horizontal;
  const {weights: wy, spans: sy} = vertical;
  for (let j = 0; j < vertical.length; j++) {
    row.fill(0);
    for (let texel = sy[2 * j]; texel < sy[2 * j + 1]; texel++) {
      const w = wy[j * spriteSide + texel];
      const from = texel * spriteSide * 4;
      for (let k = 0; k < spriteSide * 4; k++) row[k] += w * painted[from + k];
    }
    let at = ((vertical.start + j) * side + horizontal.start) * 3;
    for (let i = 0; i < horizontal.length; i++, at += 3) {
      let r = 0;
      let g = 0;
      let b = 0;
      let a = 0;
      for (let texel = sx[2 * i]; texel < sx[2 * i + 1]; texel++) {
        const w = wx[i * spriteSide + texel];
        r += w * row[4 * texel];
        g += w * row[4 * texel + 1];
        b += w * row[4 * texel + 2];
        a += w * row[4 * texel + 3];
      }
      if (a === 0) continue;
      frame[at] = r + (1 - a) * frame[at];
      frame[at + 1] = g + (1 - a) * frame[at + 1];
      frame[at + 2] = b + (1 - a) * frame[at + 2];
    }
  }
}

/**
 * Renders a clip.
 *
 * @param out where to write, `frames · side · side · 3` values; a new array if missing.
 * @returns `[F, H, W, 3]` as plain data.
 */
export function render(preset: Preset, spec: ClipSpec, out?: Uint8Array): Uint8Array {
  const {side, frames} = preset;
  const size = side * side * 3;
  const clip = out ?? new Uint8Array(frames * size);
  const scratch = scratchOf(side);
  const {frame, horizontal, vertical} = scratch;
  const backdrop = backdropPlane(spec.scene, spec.variant, spec.offset, side);
  const painted = spec.objects.map((o) => paintSprite(o, spec.brightness));
  for (let t = 0; t < frames; t++) {
    for (let i = 0; i < size; i++) frame[i] = spec.brightness * backdrop[i];
    spec.objects.forEach((object, i) => {
      const sprite = spriteOf(object.noun);
      const place = placeAt(object, t, frames);
      const scale = sprite.extent / (place.size * side);
      fillAxis(horizontal, place.x * side, scale, sprite.centerX, 0, side);
      fillAxis(vertical, place.y * side, scale, sprite.centerY, 0, side);
      drawSprite(frame, painted[i], scratch, side);
    });
    const at = t * size;
    for (let i = 0; i < size; i++) {
      const v = frame[i] * 255 + 0.5;
      clip[at + i] = v < 255 ? v : 255;
    }
  }
  return clip;
}
