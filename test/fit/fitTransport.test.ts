import {expect} from 'chai';
import {readFileSync, readdirSync, rmSync} from 'node:fs';
import {join} from 'node:path';
import type {FrozenEncoder} from '../../src/encoder.js';
import type {Device} from '../../src/engine/device.js';
import type {ClipSource, Environment} from '../../src/environment.js';
import {ConfigError} from '../../src/errors.js';
import {fitTransport, type FitEvent, type FitMeasurements, type FitTransportRequest} from '../../src/fit/fitTransport.js';
import {measureMap} from '../../src/fit/measureMap.js';
import {readFeatures} from '../../src/fit/embedPairs.js';
import {openFrozenEncoder, openTransportMap} from '../../src/run/frozenEncoder.js';
import {hashParams} from '../../src/run/hashParams.js';
import {readMetrics} from '../../src/run/metrics.js';
import {createRunFolder, runFolder, type RunFolder} from '../../src/run/runFolder.js';
import {readWeights, writeWeights} from '../../src/run/weights.js';
import {ndarray, sizeOf} from '../../src/tensor/ndarray.js';
import {uniforms} from '../../src/tensor/random.js';
import {mapNames, transportMap} from '../../src/transport/maps/transportMap.js';
import {rejection, temporaryFolder} from '../support/files.js';
import {offZero, picoEncoders, picoShape} from '../support/pico.js';
import {openTestDevice} from '../support/toy.js';

const words = ['a', 'red', 'car', 'dog', 'left'];
const textOf = (i: number): string => [i, Math.floor(i / 5), Math.floor(i / 25)].map((n) => words[n % 5]).join(' ');

/** Clips of noise, another for each index of each stream. */
const openClips = (stream: string): ClipSource => ({
  clips: async (indices) => {
    const size = sizeOf(picoShape);
    const data = new Uint8Array(indices.length * size);
    indices.forEach((index, i) => {
      data.set(
        uniforms({seed: index, purpose: stream}, new Float32Array(size)).map((u) => 256 * u),
        i * size,
      );
    });
    return {videos: ndarray('uint8', [indices.length, ...picoShape], data), texts: indices.map(textOf)};
  },
  close: async () => undefined,
});
const module = picoEncoders.b;
const world = {name: 'noise', preset: 'pico', openClips, encoders: [module]} as Partial<Environment> as Environment;
const params = offZero(module.initialise(0));
const frozen: FrozenEncoder = {module, encoder: module.encoder, params, file: 'test'};

describe('fitTransport', function () {
  this.timeout(60_000);
  const folder = temporaryFolder();
  let device: Device;
  before(async () => {
    device = await openTestDevice();
  });
  after(() => device.close());

  const request = (run: RunFolder, change: Partial<FitTransportRequest> = {}): FitTransportRequest => ({
    environment: world,
    frozen,
    device,
    map: 'neural',
    plan: {steps: 5, batch: 8, mapUpdates: 2, hidden: 8, learningRate: 1e-2, costWeight: 1, weightDecay: 0, maxGradientNorm: 1},
    solved: {planSize: 64},
    seed: 3,
    clips: 'curated',
    pairs: 48,
    heldOut: 30,
    neighbours: 4,
    every: 2,
    folder: run,
    resume: false,
    signal: new AbortController().signal,
    report: () => undefined,
    ...change,
  });
  const fresh = (name: string): Promise<RunFolder> => createRunFolder(join(folder(), name), {force: false});
  const measurements = (run: RunFolder): FitMeasurements =>
    JSON.parse(readFileSync(join(run.path, 'measurements.json'), 'utf8')) as FitMeasurements;

  it('writes and measures maps at intervals and at the end, and chooses one', async () => {
    const run = await fresh('whole');
    const events: FitEvent[] = [];
    const found = await fitTransport(request(run, {report: (event) => events.push(event)}));
    expect(events.map(({kind}) => kind)).to.deep.equal([
      ...['embedding', 'embedding', 'started', 'update', 'update', 'measured', 'update', 'update', 'measured'],
      ...['update', 'measured', 'ended'],
    ]);
    expect(readdirSync(run.path).filter((name) => name.endsWith('.safetensors'))).to.deep.equal([
      ...['features.safetensors', 'map-000002.safetensors', 'map-000004.safetensors', 'map-000005.safetensors'],
      'map.safetensors',
    ]);
    expect(found).to.deep.equal(measurements(run));
    const {steps, chosen, untransported} = found!;
    expect(steps.map(({step}) => step)).to.deep.equal([2, 4, 5]);
    const score = ({mutualKnn, structure}: {mutualKnn: number; structure: number}): number => mutualKnn * Math.max(0, structure);
    expect(score(steps.find(({step}) => step === chosen)!)).to.equal(Math.max(...steps.map(score)));
    const bytes = (name: string): string => readFileSync(join(run.path, name), 'latin1');
    expect(bytes('map.safetensors')).to.equal(bytes(`map-00000${chosen}.safetensors`));
    expect(untransported.structure).to.equal(1);
    const rows = await readMetrics(run.metrics);
    expect(rows.length).to.equal(5);
    expect(rows[0]).to.include.keys('train/mapLoss', 'train/cost', 'train/potentialLoss', 'train/mapGradientNorm');
    expect(events.at(-1)).to.deep.equal({kind: 'ended', interrupted: false, found});
  });

  it('measures a map as it is read back, on pairs that it was not fitted to', async () => {
    const run = await fresh('measured');
    const {steps} = (await fitTransport(request(run)))!;
    const {params: written, metadata} = await readWeights(join(run.path, 'map-000005.safetensors'));
    expect(metadata).to.deep.equal({
      map: 'neural',
      environment: 'noise',
      preset: 'pico',
      encoder: 'b',
      encoderHash: hashParams(params),
      width: '6',
      hidden: '8',
      clips: 'curated',
      pairs: '48',
      step: '5',
    });
    const origin = {
      environment: 'noise',
      preset: 'pico',
      encoderHash: hashParams(params),
      clips: 'curated',
      pairs: '48',
      heldOut: '30',
    };
    const {train, heldOut} = await readFeatures(join(run.path, 'features.safetensors'), origin);
    const again = await measureMap(device, transportMap('neural', written, 6, 'test'), heldOut, 4);
    expect({...again, step: 5, file: 'map-000005.safetensors'}).to.deep.equal(steps.at(-1));
    // The first clips of the stream are kept to measure on; what it is fitted to comes after.
    expect(heldOut.captions).to.deep.equal(Array.from({length: 30}, (_, i) => textOf(i)));
    const next = await fitTransport(request(await fresh('more'), {heldOut: 31, pairs: 47, map: 'identity'}));
    expect(next!.heldOut).to.equal(31);
    const {heldOut: one} = await readFeatures(join(folder(), 'more', 'features.safetensors'), {
      ...origin,
      heldOut: '31',
      pairs: '47',
    });
    expect(one.text.data.subarray(180, 186)).to.deep.equal(train.text.data.subarray(0, 6));
  });

  for (const map of mapNames) {
    it(`fits a map of kind ${map} that the reward can open`, async () => {
      const run = await fresh(map);
      const found = await fitTransport(request(run, {map}));
      expect(found!.chosen).to.be.oneOf([1, 2, 4, 5]);
      const opened = await openTransportMap(frozen, join(run.path, 'map.safetensors'));
      expect(opened.name).to.equal(map);
    });
  }

  it('goes on after an interruption as if there had been none', async () => {
    const whole = await fresh('uninterrupted');
    await fitTransport(request(whole));
    const run = await fresh('interrupted');
    const stop = new AbortController();
    const events: FitEvent[] = [];
    await fitTransport(
      request(run, {
        signal: stop.signal,
        report: (event) => {
          events.push(event);
          if (event.kind === 'update' && event.progress.updates === 3) stop.abort();
        },
      }),
    );
    expect(events.at(-1)).to.include({kind: 'ended', interrupted: true});
    await fitTransport(request(runFolder(run.path), {resume: true}));
    for (const name of [
      'map-000002.safetensors',
      'map-000004.safetensors',
      'map-000005.safetensors',
      'metrics.jsonl',
      'measurements.json',
      'map.safetensors',
    ])
      expect(readFileSync(join(run.path, name), 'latin1'), name).to.equal(readFileSync(join(whole.path, name), 'latin1'));
  });

  it('makes up for a measurement that a killed process owed', async () => {
    const whole = await fresh('whole');
    await fitTransport(request(whole));
    const run = await fresh('killed');
    const stop = new AbortController();
    // Stopped right after the checkpoint of step 2 and its map: as if killed before they were noted.
    await fitTransport(request(run, {signal: stop.signal, report: (event) => void (event.kind === 'measured' && stop.abort())}));
    rmSync(join(run.path, 'measurements.json'));
    rmSync(join(run.path, 'map.safetensors'));
    await fitTransport(request(runFolder(run.path), {resume: true}));
    expect(measurements(run)).to.deep.equal(measurements(whole));
  });

  it('leaves embedding when it is interrupted, and begins it anew', async () => {
    const run = await fresh('embedding');
    const stop = new AbortController();
    const events: FitEvent[] = [];
    const found = await fitTransport(
      request(run, {
        signal: stop.signal,
        report: (event) => {
          events.push(event);
          stop.abort();
        },
      }),
    );
    expect(found).to.equal(undefined);
    expect(events.map(({kind}) => kind)).to.deep.equal(['embedding', 'ended']);
    expect(readdirSync(run.path)).not.to.include('features.safetensors');
    const after = await fitTransport(request(runFolder(run.path), {resume: true}));
    expect(after!.steps.length).to.equal(3);
  });

  it('takes the features of another fit, and no others', async () => {
    const first = await fresh('first');
    await fitTransport(request(first, {map: 'bures'}));
    const features = join(first.path, 'features.safetensors');
    const noClips = {...world, openClips: undefined} as unknown as Environment;
    const second = await fitTransport(request(await fresh('second'), {map: 'bures', features, environment: noClips}));
    expect(second).to.deep.equal(measurements(first));
    const error = await rejection(fitTransport(request(await fresh('third'), {features, clips: 'pairs'})));
    expect(error).to.be.instanceOf(ConfigError);
    expect(error.message).to.match(/wanted clips pairs; got curated/);
    const lost = await rejection(fitTransport(request(await fresh('fourth'), {environment: noClips})));
    expect(lost.message).to.match(/"noise" makes no clips/);
  });

  it('is refused by an encoder with other weights', async () => {
    const run = await fresh('hash');
    await fitTransport(request(run, {map: 'bures'}));
    const file = join(run.path, 'map.safetensors');
    const weights = join(folder(), 'encoder.safetensors');
    await writeWeights(weights, offZero(module.initialise(1)), {metadata: {encoder: 'b'}});
    const error = await rejection(openTransportMap(await openFrozenEncoder(world, weights), file));
    expect(error).to.be.instanceOf(ConfigError);
    expect(error.message).to.match(/fitted to other weights than those of this encoder "b"/);
  });
});
