/** Neural optimal transport: one outer step is 10 updates of the map and one of the potential (Adam, clipping). */
import {openMapTrainer} from '../src/fit/trainMap.js';
import {openOrtDevice} from '../src/engine/ortDevice.js';
import {ndarray, type NdArray} from '../src/tensor/ndarray.js';
import {normals} from '../src/tensor/random.js';
import {emit, repeat, THREADS} from './measure.js';

/** Width of the embeddings, of the hidden layers, and texts of an update. */
const sizes: Readonly<Record<string, readonly [width: number, hidden: number, batch: number]>> = {
  'D64-H256-b128': [64, 256, 128],
  'D64-H256-b256': [64, 256, 256],
  'D512-H1024-b128': [512, 1024, 128],
  'D512-H1024-b256': [512, 1024, 256],
};
/** Names of the sizes. */
export const neuralTransportSizes = Object.keys(sizes);

const MAP_UPDATES = 10;
const POOL = 20_000;

/** Embeddings as the peer draws them: normal texts, videos of length 1. */
function draw(purpose: string, width: number, unit: boolean): NdArray<'float32'> {
  const data = normals({seed: 0, purpose}, new Float32Array(POOL * width));
  for (let at = 0; unit && at < data.length; at += width) {
    const row = data.subarray(at, at + width);
    const length = Math.sqrt(row.reduce((sum, v) => sum + v * v, 0));
    row.forEach((v, d) => (row[d] = v / length));
  }
  return ndarray('float32', [POOL, width], data);
}

/** Floating-point operations of an outer step, counted as the peer does: products only, backward twice the forward. */
function operations(width: number, hidden: number, batch: number): number {
  const inner = width * hidden + hidden * hidden;
  const [map, potential] = [inner + hidden * width, inner + hidden];
  return MAP_UPDATES * (6 * batch * map + 4 * batch * potential) + 2 * batch * map + 12 * batch * potential;
}

/** @param size such as `D64-H256-b128`. */
export async function benchNeuralTransport(size: string): Promise<void> {
  const [width, hidden, batch] = sizes[size];
  const device = await openOrtDevice('cpu', {provider: 'cpu', threads: THREADS}, {});
  const pairs = {text: draw('texts', width, false), video: draw('videos', width, true)};
  const plan = {
    steps: 1_000_000,
    batch,
    mapUpdates: MAP_UPDATES,
    hidden,
    learningRate: 1e-4,
    costWeight: 1,
    // The peer's 1e-10 is below the rounding of any gradient here; its fused optimizer gets it for nothing.
    weightDecay: 0,
    maxGradientNorm: 1,
  };
  const trainer = await openMapTrainer(device, 'neural', plan, pairs, {seed: 0});
  const times = await repeat(width === 64 ? 20 : 6, 2, async () => void (await trainer.update()));
  emit(`not/${size}`, times, {clips: 1, unit: 'outer steps/s', operations: operations(width, hidden, batch)});
  await trainer.close();
  await device.close();
}
