import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import {initialiser} from '../../../src/models/initialise.js';
import {moments} from '../../../src/numeric/moments.js';
import {adamCorrections} from '../../../src/numeric/optim/adamw.js';
import {float32, int32, scalar, type NdArray} from '../../../src/tensor/ndarray.js';
import {pack, packing} from '../../../src/tensor/pack.js';
import {integers} from '../../../src/tensor/random.js';
import type {Params} from '../../../src/tensor/tree.js';
import {ADAM, adamState} from '../../../src/transport/maps/adam.js';
import {featureDivergence, gaussianDivergence, squaredError, whiteningOf} from '../../../src/transport/maps/pairedLoss.js';
import {pairedStep, type PairedLoss} from '../../../src/transport/maps/pairedStep.js';
import {perceptronParams} from '../../../src/transport/maps/perceptron.js';
import {openOrtDevice} from '../../../src/engine/ortDevice.js';
import type {Device, Jitted} from '../../../src/engine/device.js';
import {affineCloud, normalCloud, turn} from '../../support/clouds.js';
import {runEagerly, toTensor} from '../../support/eager.js';

const value = (t: tf.Tensor): number => t.dataSync()[0];

describe('losses without a potential', () => {
  it('are the mean square of a difference', () => {
    expect(
      value(
        squaredError(
          tf.tensor2d([
            [1, 2],
            [3, 4],
          ]),
          tf.tensor2d([
            [1, 0],
            [0, 4],
          ]),
        ),
      ),
    ).to.be.closeTo((4 + 9) / 4, 1e-6);
  });

  it('are the divergence of two softmax distributions: by hand for two features', () => {
    // p = (1/2, 1/2), q = (3/4, 1/4): KL(p | q) = ½·ln(2/3) + ½·ln 2 = ½·ln(4/3).
    const q = [Math.log(3), 0];
    expect(
      value(
        featureDivergence(
          tf.tensor2d([q, q]),
          tf.tensor2d([
            [5, 5],
            [0, 0],
          ]),
        ),
      ),
    ).to.be.closeTo(0.5 * Math.log(4 / 3), 1e-6);
    expect(value(featureDivergence(tf.tensor2d([[300, 1]]), tf.tensor2d([[300, 1]])))).to.equal(0);
  });

  it('whiten to covariance 1', () => {
    const cloud = affineCloud(
      normalCloud(200, 3, 1),
      turn(3, 0.4).map((row, i) => row.map((v) => v * (i + 1))),
      [4, 0, 1],
    );
    const {mean, matrix} = whiteningOf(moments(cloud));
    const columns = [0, 1, 2].map((i) => Array.from(matrix.data.subarray(3 * i, 3 * i + 3)));
    const white = moments(affineCloud({...cloud, data: cloud.data.map((v, at) => v - mean.data[at % 3])}, columns, [0, 0, 0]));
    white.covariance.forEach((v, at) => expect(v).to.be.closeTo(at % 4 === 0 ? 1 : 0, 1e-4));
    white.mean.forEach((v) => expect(v).to.be.closeTo(0, 1e-5));
  });

  it('are the divergence of two Gaussians, exactly where their axes agree', () => {
    // Along each axis ½(s²/σ² + (m − μ)²/σ² − 1 − ln s²/σ²) with s², m of the batch.
    const video = affineCloud(
      normalCloud(500, 2, 1),
      [
        [2, 0],
        [0, 0.5],
      ],
      [1, 3],
    );
    const {mean, covariance} = moments(video);
    const batch = normalCloud(64, 2, 2);
    const found = moments(batch);
    // Moments of a batch are divided by n.
    const wanted = [0, 1].map((d) => {
      const [s, sigma] = [(found.covariance[d * 3] * 63) / 64, covariance[d * 3]];
      return 0.5 * (s / sigma + (found.mean[d] - mean[d]) ** 2 / sigma - 1 - Math.log(s / sigma));
    });
    const axes = {mean, covariance: covariance.map((v, at) => (at % 3 === 0 ? v : 0))};
    const whitening = whiteningOf(axes);
    const got = value(gaussianDivergence(toTensor(batch), toTensor(whitening.mean), toTensor(whitening.matrix)));
    expect(got).to.be.closeTo((wanted[0] + wanted[1]) / 2, 1e-4 * got);
  });

  it('are 0 at the videos themselves and for nothing else near', () => {
    const video = affineCloud(
      normalCloud(300, 3, 3),
      turn(3, 1).map((row, i) => row.map((v) => v * (i + 1))),
      [1, 0, 0],
    );
    const {mean, matrix} = whiteningOf(moments(video));
    const divergence = (cloud: NdArray): number => value(gaussianDivergence(toTensor(cloud), toTensor(mean), toTensor(matrix)));
    expect(divergence(video)).to.be.closeTo(0, 1e-4);
    expect(divergence({...video, data: video.data.map((v) => v * 1.2)})).to.be.above(0.02);
    expect(divergence({...video, data: video.data.map((v) => v + 0.5)})).to.be.above(0.02);
  });
});

describe('pairedStep', () => {
  const [WIDTH, HIDDEN, COUNT, K, BATCH] = [3, 16, 256, 10, 64];
  const text = normalCloud(COUNT, WIDTH, 1);
  const video = affineCloud(text, turn(WIDTH, 0.8), [0.5, 0, -1]);
  const params = perceptronParams({inputs: WIDTH, hidden: HIDDEN, outputs: WIDTH}, (i, o) => initialiser(1).linear(i, o));
  const layout = packing(params);
  const {mean, matrix} = whiteningOf(moments(video));

  /** Runs `steps` calls and yields the loss of each update. */
  async function losses(loss: PairedLoss, steps: number, run: Jitted | undefined): Promise<number[]> {
    const fn = pairedStep(layout, loss, {weightDecay: 0, maxGradientNorm: 1});
    let state: Params = {map: adamState(pack(params, layout))};
    const out: number[] = [];
    for (let n = 0; n < steps; n++) {
      const corrections = Array.from({length: K}, (_, k) => adamCorrections(n * K + k + 1, ADAM));
      const inputs: Params = {
        state,
        sets: {text, video, mean, matrix},
        batches: {map: int32(integers({seed: 1, purpose: 'batch', iteration: n}, K * BATCH, COUNT), [K, BATCH])},
        schedule: {
          learningRate: scalar(0.01),
          mapCorrection1: float32(corrections.map((c) => c.correction1)),
          mapCorrection2: float32(corrections.map((c) => c.correction2)),
        },
      };
      const outputs = run ? (await run(inputs)).outputs : runEagerly(fn, inputs);
      state = outputs['state'] as Params;
      out.push(...(outputs['metrics'] as Record<string, NdArray>)['mapLoss'].data);
    }
    return out;
  }

  let device: Device;
  before(async () => {
    device = await openOrtDevice('cpu', {provider: 'cpu', threads: 1}, {});
  });
  after(() => device.close());

  for (const loss of ['squaredError', 'featureDivergence', 'gaussianDivergence'] as const) {
    it(`brings the ${loss} down, compiled`, async () => {
      const run = device.jit(loss, pairedStep(layout, loss, {weightDecay: 0, maxGradientNorm: 1}));
      const found = await losses(loss, 40, run);
      const meanOf = (from: number, to: number): number => found.slice(from, to).reduce((sum, v) => sum + v, 0) / (to - from);
      expect(meanOf(390, 400), `${meanOf(0, 5)} at first`).to.be.below(0.1 * meanOf(0, 5));
    });

    it(`is eagerly what it is compiled, for ${loss}`, async () => {
      const run = device.jit(loss, pairedStep(layout, loss, {weightDecay: 0, maxGradientNorm: 1}));
      const [eager, compiled] = [await losses(loss, 1, undefined), await losses(loss, 1, run)];
      expect(eager.length).to.equal(K);
      eager.forEach((v, k) => expect(compiled[k]).to.be.closeTo(v, 1e-4 * Math.abs(v) + 1e-6));
    });
  }
});
