import {expect} from 'chai';
import type {Device} from '../../src/engine/device.js';
import {applyMap, measureMap, preference, type MapMeasurement} from '../../src/fit/measureMap.js';
import {float32} from '../../src/tensor/ndarray.js';
import {fitProcrustes} from '../../src/transport/maps/procrustes.js';
import {transportMap} from '../../src/transport/maps/transportMap.js';
import {frechetDistance} from '../../src/transport/metrics/frechetDistance.js';
import {affineCloud, normalCloud, turn} from '../support/clouds.js';
import {expectNear} from '../support/near.js';
import {openTestDevice} from '../support/toy.js';

describe('measureMap', () => {
  let device: Device;
  before(async () => {
    device = await openTestDevice();
  });
  after(() => device.close());

  const text = normalCloud(40, 4, 1);
  const video = affineCloud(text, turn(4, 0.8), [0, 0, 0, 0]);
  const pairs = {text, video, captions: Array.from({length: 40}, (_, i) => `caption ${i}`)};
  const identity = transportMap('identity', {}, 4, 'test');
  const rotation = transportMap('procrustes', fitProcrustes(text, video), 4, 'test');

  it('finds everything right of a map that is right', async () => {
    const found = await measureMap(device, rotation, pairs, 5);
    expect(found.retrieval).to.equal(1);
    // Both clouds are one cloud turned: neighbours and distances are the same but for rounding.
    expect(found.mutualKnn).to.be.closeTo(1, 0.01);
    expect(found.structure).to.be.closeTo(1, 1e-5);
    expect(found.frechet).to.be.closeTo(0, 1e-5);
    expect(found.cosine).to.be.closeTo(1, 1e-5);
  });

  it('measures the space as it is where there is no map', async () => {
    const found = await measureMap(device, identity, pairs, 5);
    const lengths = (data: Float32Array, i: number): number => Math.hypot(...data.subarray(4 * i, 4 * i + 4));
    const cosines = Array.from({length: 40}, (_, i) => {
      const dot = [0, 1, 2, 3].reduce((sum, d) => sum + text.data[4 * i + d] * video.data[4 * i + d], 0);
      return dot / lengths(text.data, i) / lengths(video.data, i);
    });
    expect(found.cosine).to.be.closeTo(cosines.reduce((sum, c) => sum + c, 0) / 40, 1e-6);
    expect(found.structure).to.equal(1);
    expect(found.structureOfMatrix).to.equal(1);
    expect(found.frechet).to.equal(frechetDistance(text, video));
    expect(found.retrieval).to.be.below(0.5);
  });

  it('tells structure over pairs from that of the matrix', async () => {
    const bend = transportMap('bures', {matrix: normalCloud(4, 4, 7), shift: float32([1, 0, 0, 0])}, 4, 'test');
    const {structure, structureOfMatrix} = await measureMap(device, bend, pairs, 5);
    expect(structure).to.be.within(0.1, 0.95);
    expect(structureOfMatrix).to.be.above(structure);
  });

  it('applies a map on the device', async () => {
    expectNear((await applyMap(device, rotation, text)).data, video.data, {atol: 1e-5, rtol: 0}, 'T(y)');
    expect((await applyMap(device, identity, text)).data).to.deep.equal(text.data);
  });
});

describe('preference', () => {
  const measured = (mutualKnn: number, structure: number): MapMeasurement => ({
    mutualKnn,
    structure,
    structureOfMatrix: 0,
    frechet: 0,
    retrieval: 0,
    cosine: 0,
  });

  it('asks for neighbours and for structure', () => {
    expect(preference(measured(0.5, 0.8))).to.equal(0.4);
    expect(preference(measured(0.6, 0.8))).to.be.above(preference(measured(0.5, 0.8)));
    expect(preference(measured(0.5, 0.9))).to.be.above(preference(measured(0.5, 0.8)));
  });

  it('is 0 for what turned the structure over, or has none', () => {
    expect(preference(measured(0.5, -0.2))).to.equal(0);
    expect(preference(measured(0.5, NaN))).to.equal(0);
    // NaN is null in a file that was read back.
    expect(preference(measured(0.5, null as unknown as number))).to.equal(0);
  });
});
