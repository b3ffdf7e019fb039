/** A fit of the preference reward in its folder, of the smallest real world, and what may open the result. */
import {expect} from 'chai';
import {readFileSync, rmSync} from 'node:fs';
import {join} from 'node:path';
import type {Device} from '../../src/engine/device.js';
import type {Environment} from '../../src/environment.js';
import {ConfigError, CorruptFileError} from '../../src/errors.js';
import {
  fitPreference,
  type FitPreferenceRequest,
  type PreferenceEvent,
  type PreferenceMeasurements,
} from '../../src/fit/fitPreference.js';
import {preferenceScores} from '../../src/fit/trainPreference.js';
import {hashParams} from '../../src/run/hashParams.js';
import {openPreferenceModel} from '../../src/run/preferenceModel.js';
import {createRunFolder, type RunFolder} from '../../src/run/runFolder.js';
import {readWeights, writeWeights} from '../../src/run/weights.js';
import type {NdArray} from '../../src/tensor/ndarray.js';
import {mapTree, type Params} from '../../src/tensor/tree.js';
import {rejection, temporaryFolder} from '../support/files.js';
import {nano, noisyWeights} from '../support/nano.js';
import {noisyEncoder} from '../support/noisyEncoder.js';
import {openTestDevice} from '../support/toy.js';

const policy = noisyWeights(nano);

describe('fitPreference', function () {
  this.timeout(300_000);
  const folder = temporaryFolder();
  let device: Device;
  before(async () => {
    device = await openTestDevice();
  });
  after(() => device.close());

  const request = (run: RunFolder, change: Partial<FitPreferenceRequest> = {}): FitPreferenceRequest => ({
    environment: nano,
    frozen: noisyEncoder,
    device,
    policy,
    prompts: 6,
    heldOut: 3,
    samples: 4,
    samplingSteps: 2,
    labelNoise: 0.1,
    plan: {steps: 3, batch: 8, hidden: 8, learningRate: 1e-2, weightDecay: 0},
    seed: 3,
    folder: run,
    signal: new AbortController().signal,
    report: () => undefined,
    ...change,
  });
  const fresh = (name: string): Promise<RunFolder> => createRunFolder(join(folder(), name), {force: false});
  const bytes = (run: RunFolder, name: string): string => readFileSync(join(run.path, name), 'latin1');

  it('learns from what the policy makes of prompts to train on, is measured on others, and says how', async () => {
    const run = await fresh('whole');
    const events: PreferenceEvent[] = [];
    const found = (await fitPreference(request(run, {report: (event) => events.push(event)})))!;
    expect(events.map(({kind}) => kind)).to.deep.equal(['sampling', 'sampling', 'update', 'update', 'update', 'ended']);
    expect(found.train).to.include({clips: 24});
    expect(found.heldOut).to.include({clips: 12});
    expect(found.train.pairs).to.be.within(1, 36);
    expect(JSON.parse(bytes(run, 'measurements.json'))).to.deep.equal(found satisfies PreferenceMeasurements);
    const {params, metadata} = await readWeights(join(run.path, 'preference.safetensors'));
    expect(metadata).to.deep.equal({
      kind: 'preference',
      environment: 'fluentClips',
      preset: 'nano',
      encoder: 'a',
      encoderHash: hashParams(noisyEncoder.params),
      policyHash: hashParams(policy),
      hash: hashParams(params),
      prompts: '6',
      heldOut: '3',
      samples: '4',
      samplingSteps: '2',
      seed: '3',
      labelNoise: '0.1',
      trainPairs: String(found.train.pairs),
      heldOutPairs: String(found.heldOut.pairs),
      heldOutAccuracy: found.heldOut.accuracy.toFixed(4),
    });
    // The accuracy is that of the file, over the judge's totals that the folder keeps.
    const sets = (await readWeights(join(run.path, 'features.safetensors'))).params as Record<
      string,
      Record<'text' | 'video' | 'totals', NdArray<'float32'>>
    >;
    const {heldOut} = sets;
    const scores = await preferenceScores(device, params, heldOut);
    let [right, pairs] = [0, 0];
    for (let i = 0; i < 12; i++) {
      for (let j = i + 1; j < 12 && Math.floor(j / 4) === Math.floor(i / 4); j++) {
        const [a, b] = [heldOut.totals.data[i], heldOut.totals.data[j]];
        if (a === b) continue;
        pairs++;
        if (a > b === scores[i] > scores[j]) right++;
      }
    }
    expect(found.heldOut).to.deep.equal({clips: 12, pairs, accuracy: right / pairs});
  });

  it('takes the clips of an earlier try, and ends where that one did', async () => {
    const run = await fresh('again');
    await fitPreference(request(run));
    const before = bytes(run, 'preference.safetensors');
    rmSync(join(run.path, 'preference.safetensors'));
    const events: string[] = [];
    await fitPreference(request(run, {report: ({kind}) => void events.push(kind)}));
    expect(events).not.to.include('sampling');
    expect(bytes(run, 'preference.safetensors')).to.equal(before);
    const error = await rejection(fitPreference(request(run, {samplingSteps: 3})));
    expect(error).to.be.instanceOf(ConfigError);
    expect(error.message).to.match(/wanted samplingSteps 3; got 2; make them anew/);
  });

  it('can be interrupted, and needs a judge', async () => {
    const stop = new AbortController();
    const run = await fresh('stopped');
    expect(await fitPreference(request(run, {signal: stop.signal, report: () => stop.abort()}))).to.equal(undefined);
    const mute = {...nano, openJudge: undefined} as unknown as Environment;
    const error = await rejection(fitPreference(request(run, {environment: mute})));
    expect(error.message).to.equal('fit: the environment fluentClips has no judge to stand for annotations.');
  });

  it('makes what opens with its own encoder alone, and whole', async () => {
    const run = await fresh('opened');
    await fitPreference(request(run));
    const file = join(run.path, 'preference.safetensors');
    const {params, metadata} = await readWeights(file);
    expect(hashParams((await openPreferenceModel(noisyEncoder, file)).params)).to.equal(hashParams(params));
    const other = {...noisyEncoder, params: noisyEncoder.module.initialise(1)};
    const message = async (encoder: typeof noisyEncoder, source: string): Promise<string> =>
      (await rejection(openPreferenceModel(encoder, source))).message;
    expect(await message(other, file)).to.match(/fitted to other weights than those of this encoder "a"/);
    expect(await message(noisyEncoder, 'none')).to.match(/^preference: none ships.* rlft fit preference and give the file\.$/);
    const altered = join(run.path, 'altered.safetensors');
    const zeroed = mapTree(params, (leaf: NdArray, path) =>
      path.startsWith('1.') ? {...leaf, data: new Float32Array(leaf.data.length)} : leaf,
    ) as Params;
    await writeWeights(altered, zeroed, {metadata});
    const error = await rejection(openPreferenceModel(noisyEncoder, altered));
    expect(error).to.be.instanceOf(CorruptFileError);
    expect(error.message).to.match(/altered\.safetensors: wanted the tensors that rlft fit preference wrote/);
    await writeWeights(altered, params, {});
    expect(await message(noisyEncoder, altered)).to.match(/is no preference model/);
  });
});
