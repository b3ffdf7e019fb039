/**
 * Transport plans a second: B × 4 heads of 16 words × 257 video tokens, PISCES' unbalanced iteration at ε .05 and exponent .9, at most
 * 200 rounds, tolerance 1e-3. The costs are made as the peer's are, from other random numbers.
 */
import {normals} from '../src/tensor/random.js';
import {gridGeometry} from '../src/transport/gridGeometry.js';
import {spatioTemporalMatrix} from '../src/transport/costMatrices.js';
import {penaltyOfMass} from '../src/transport/formulation.js';
import {logSinkhorn} from '../src/transport/logSinkhorn.js';
import {sinkhorn} from '../src/transport/sinkhorn.js';
import {emit, repeat} from './measure.js';

const [HEADS, WORDS, WIDTH, FRAMES, SIDE] = [4, 16, 64, 4, 8];
const TOKENS = FRAMES * SIDE * SIDE + 1;

const draw = (purpose: string, clip: number, n: number): Float32Array =>
  normals({seed: 1, purpose, sample: clip}, new Float32Array(n));

/** exp(x_i) over their sum. */
function softmax(x: Float64Array): Float64Array {
  const largest = Math.max(...x);
  const powers = x.map((v) => Math.exp(v - largest));
  const sum = powers.reduce((s, p) => s + p, 0);
  return powers.map((p) => p / sum);
}

/** Rows scaled to length 1. */
function unitRows(x: Float64Array, width: number): Float64Array {
  for (let at = 0; at < x.length; at += width) {
    const row = x.subarray(at, at + width);
    const norm = Math.sqrt(row.reduce((s, v) => s + v * v, 0));
    row.forEach((v, i) => (row[i] = v / norm));
  }
  return x;
}

/** `[clips × heads, 16, 257]` costs of the paper's form, from features whose video tokens cluster by word. */
export function benchCosts(clips: number): Float32Array {
  const geometry = gridGeometry(FRAMES, SIDE, SIDE);
  const out = new Float32Array(clips * HEADS * WORDS * TOKENS);
  for (let clip = 0; clip < clips; clip++) {
    const words = unitRows(Float64Array.from(draw('words', clip, WORDS * WIDTH)), WIDTH);
    const mixing = draw('mixing', clip, TOKENS * WORDS);
    const video = Float64Array.from(draw('video', clip, TOKENS * WIDTH), (z) => 0.15 * z);
    for (let j = 0; j < TOKENS; j++) {
      const shares = softmax(Float64Array.from(mixing.subarray(j * WORDS, (j + 1) * WORDS), (z) => 3 * z));
      for (let i = 0; i < WORDS; i++) for (let d = 0; d < WIDTH; d++) video[j * WIDTH + d] += shares[i] * words[i * WIDTH + d];
    }
    unitRows(video, WIDTH);
    const noise = draw('attention', clip, HEADS * WORDS * TOKENS);
    for (let head = 0; head < HEADS; head++) {
      const weights = new Float64Array(WORDS * TOKENS);
      for (let i = 0; i < WORDS; i++) {
        const logits = Float64Array.from({length: TOKENS}, (_, j) => {
          let product = 0;
          for (let d = 0; d < WIDTH; d++) product += words[i * WIDTH + d] * video[j * WIDTH + d];
          return 4 * product + noise[(head * WORDS + i) * TOKENS + j];
        });
        weights.set(softmax(logits), i * TOKENS);
      }
      const features = {text: {shape: [WORDS, WIDTH], data: words}, video: {shape: [TOKENS, WIDTH], data: video}};
      const cost = spatioTemporalMatrix({...features, weights, geometry});
      out.set(cost, (clip * HEADS + head) * WORDS * TOKENS);
    }
  }
  return out;
}

/** The largest difference of two plans whose rows are normalised. */
function rowDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let largest = 0;
  for (let row = 0; row < a.length; row += TOKENS) {
    let [sumA, sumB] = [0, 0];
    for (let j = row; j < row + TOKENS; j++) {
      sumA += a[j];
      sumB += b[j];
    }
    for (let j = row; j < row + TOKENS; j++) largest = Math.max(largest, Math.abs(a[j] / sumA - b[j] / sumB));
  }
  return largest;
}

/** Names of the sizes, and clips of each. */
const sizes: Readonly<Record<string, number>> = {[`B1xH${HEADS}`]: 1, [`B32xH${HEADS}`]: 32};

/** The sizes that {@link benchSinkhorn} knows. */
export const sinkhornSizes = Object.keys(sizes);

/** Measures one size. */
export async function benchSinkhorn(size: string): Promise<void> {
  const clips = sizes[size];
  const count = clips * HEADS;
  const batch = {costs: benchCosts(clips), count, rows: WORDS, columns: TOKENS};
  const options = {transport: {problem: 'unbalanced' as const, penalty: penaltyOfMass(0.9, 0.05)}, epsilon: 0.05};
  // The reference is slow: a few problems of the batch stand for it.
  const some = Math.min(count, 8);
  const first = {...batch, count: some, costs: batch.costs.subarray(0, some * WORDS * TOKENS)};
  const reference = logSinkhorn(first, {...options, iterations: 5000, tolerance: 1e-9});
  const {plan, iterations, inLogDomain} = sinkhorn(batch, options);
  const times = await repeat(20, 5, async () => void sinkhorn(batch, options));
  emit(`sinkhorn/${size}`, times, {
    clips: count,
    unit: 'plans/s',
    err: Number(rowDifference(plan.subarray(0, reference.plan.length), reference.plan).toExponential(2)),
    rounds: Number((iterations.reduce((s, r) => s + r, 0) / count).toFixed(1)),
    in_log_domain: inLogDomain.reduce((s, x) => s + x, 0),
  });
}
