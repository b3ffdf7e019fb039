/** Clips that never change: what rewards are tried on when they are opened. */
import {ndarray, sizeOf, type NdArray} from '../tensor/ndarray.js';
import {uniforms} from '../tensor/random.js';

/** Waves of a pattern. */
const WAVES = 3;
/** Numbers that a wave is drawn from: two spatial frequencies, one in time, a phase for each of at most 4 channels. */
const DRAWS = 7;
/** Share of a clip's base colour; the waves have the rest. */
const BASE = 0.4;

/**
 * Moving patterns: each clip is a base colour and three plane waves in colour, of its own directions and speeds. They show
 * nothing that was ever named, but they differ in every way that a reward could look at: brightness, colour, shape, motion.
 *
 * @param shape `[F, H, W, C]` with at most 4 channels.
 * @returns `[count, F, H, W, C]` in [-1, 1]; a pure function of the clip's number and the shape.
 */
export function fixedClips(count: number, shape: readonly number[]): NdArray<'float32'> {
  const [frames, height, width, channels] = shape;
  const size = sizeOf(shape);
  const data = new Float32Array(count * size);
  for (let clip = 0; clip < count; clip++) {
    const u = uniforms({seed: 0, purpose: 'fixedClips', sample: clip}, new Float32Array(WAVES * DRAWS + 4));
    let at = clip * size;
    for (let f = 0; f < frames; f++) {
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          for (let c = 0; c < channels; c++) data[at++] = valueAt(u, f / frames, y / height, x / width, c);
        }
      }
    }
  }
  return ndarray('float32', [count, ...shape], data);
}

/** The pattern drawn by `u` at a point, in [-1, 1]. */
function valueAt(u: Float32Array, time: number, y: number, x: number, channel: number): number {
  let sum = 0;
  for (let w = 0; w < WAVES; w++) {
    const [v, h, speed] = u.subarray(w * DRAWS, w * DRAWS + 3);
    const turns = (2 * v - 1) * 2 * y + (2 * h - 1) * 2 * x + (2 * speed - 1) * 2 * time + u[w * DRAWS + 3 + channel];
    sum += Math.sin(2 * Math.PI * turns);
  }
  return (1 - BASE) * (sum / WAVES) + BASE * (2 * u[WAVES * DRAWS + channel] - 1);
}
