/**
 * 16-bit floats as they stand in files, to and from float32. Plain integer arithmetic, since Node 20 has no Float16Array.
 *
 * binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits; bfloat16: the upper half of a float32.
 */

/** Largest finite float16. */
export const float16Max = 65504;

const word = new Uint32Array(1);
const real = new Float32Array(word.buffer);

/** Widens binary16 bits exactly; NaN stays NaN. */
export function float16ToFloat32(bits: Uint16Array): Float32Array {
  const out = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) {
    const half = bits[i];
    const fraction = half & 0x3ff;
    const exponent = (half >>> 10) & 0x1f;
    let magnitude: number;
    if (exponent === 0) magnitude = fraction * 2 ** -24;
    else if (exponent === 31) magnitude = fraction === 0 ? Infinity : NaN;
    else magnitude = (1024 + fraction) * 2 ** (exponent - 25);
    out[i] = half & 0x8000 ? -magnitude : magnitude;
  }
  return out;
}

/** Rounds to the nearest binary16, ties to even; beyond 65520 in magnitude it becomes infinite, NaN stays NaN. */
export function float32ToFloat16(values: Float32Array): Uint16Array {
  const out = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) {
    real[0] = values[i];
    const sign = (word[0] >>> 16) & 0x8000;
    const magnitude = word[0] & 0x7fffffff;
    let half: number;
    if (magnitude > 0x7f800000) half = 0x7e00;
    else if (magnitude >= 0x477ff000)
      half = 0x7c00; // 65520: halfway between the largest float16 and the next power of two
    else if (magnitude >= 0x38800000)
      half = roundShift(magnitude - 0x38000000, 13); // 2^-14 and above: rebias 127 to 15
    else if (magnitude <= 0x33000000)
      half = 0; // 2^-25 and below: a tie that goes to even, which is 0
    else half = roundShift((magnitude & 0x7fffff) | 0x800000, 126 - (magnitude >>> 23)); // subnormal: units of 2^-24
    out[i] = sign | half;
  }
  return out;
}

/** `value / 2^shift`, rounded to the nearest integer, ties to even. */
function roundShift(value: number, shift: number): number {
  const floor = value >>> shift;
  const rest = value - floor * 2 ** shift;
  const half = 2 ** (shift - 1);
  return rest > half || (rest === half && floor % 2 === 1) ? floor + 1 : floor;
}

/** Widens bfloat16 bits exactly. */
export function bfloat16ToFloat32(bits: Uint16Array): Float32Array {
  const words = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) words[i] = bits[i] << 16;
  return new Float32Array(words.buffer);
}
