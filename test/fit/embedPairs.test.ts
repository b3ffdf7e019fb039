import {expect} from 'chai';
import {join} from 'node:path';
import {ConfigError, CorruptFileError} from '../../src/errors.js';
import {collectPairs, readFeatures, writeFeatures, type FeatureOrigin, type PairSource} from '../../src/fit/embedPairs.js';
import {writeWeights} from '../../src/run/weights.js';
import {float32} from '../../src/tensor/ndarray.js';
import {rejection, temporaryFolder} from '../support/files.js';

/** Pair i is (i, 0) and (0, i), called "pair i". */
const counting: PairSource = async (first, count) => {
  const index = Array.from({length: count}, (_, i) => first + i);
  return {
    text: float32(
      index.flatMap((i) => [i, 0]),
      [count, 2],
    ),
    video: float32(
      index.flatMap((i) => [0, i]),
      [count, 2],
    ),
    captions: index.map((i) => `pair ${i}`),
  };
};
const never = new AbortController().signal;

describe('collectPairs', () => {
  it('asks for runs of pairs and joins them in order', async () => {
    const asked: [number, number][] = [];
    const told: number[] = [];
    const source: PairSource = (first, count) => {
      asked.push([first, count]);
      return counting(first, count);
    };
    const pairs = (await collectPairs(source, 10, 600, never, (done) => told.push(done)))!;
    expect(asked).to.deep.equal([
      [10, 256],
      [266, 256],
      [522, 88],
    ]);
    expect(told).to.deep.equal([256, 512, 600]);
    expect(pairs.text.shape).to.deep.equal([600, 2]);
    expect(pairs.video.data.filter((_, at) => at % 2 === 1)).to.deep.equal(Float32Array.from({length: 600}, (_, i) => 10 + i));
    expect(pairs.captions[599]).to.equal('pair 609');
  });

  it('gives up between two runs when the signal aborts', async () => {
    const stop = new AbortController();
    let runs = 0;
    const source: PairSource = (first, count) => {
      runs++;
      stop.abort();
      return counting(first, count);
    };
    expect(await collectPairs(source, 0, 600, stop.signal, () => undefined)).to.equal(undefined);
    expect(runs).to.equal(1);
  });
});

describe('features', () => {
  const folder = temporaryFolder();
  const origin: FeatureOrigin = {
    environment: 'greys',
    preset: 'pico',
    encoderHash: 'abc',
    clips: 'curated',
    pairs: '5',
    heldOut: '3',
  };
  const features = async (): Promise<{train: Awaited<ReturnType<PairSource>>; heldOut: Awaited<ReturnType<PairSource>>}> => ({
    train: await counting(3, 5),
    heldOut: await counting(0, 3),
  });

  it('come back as they were written', async () => {
    const path = join(folder(), 'f.safetensors');
    const written = await features();
    await writeFeatures(path, written, origin);
    const {train, heldOut} = await readFeatures(path, origin);
    expect(heldOut).to.deep.equal(written.heldOut);
    expect({...train, captions: written.train.captions}).to.deep.equal(written.train);
  });

  it('serve only where they were made of the same', async () => {
    const path = join(folder(), 'f.safetensors');
    await writeFeatures(path, await features(), origin);
    for (const change of [{encoderHash: 'abd'}, {clips: 'pairs'}, {pairs: '6'}, {preset: 'nano'}]) {
      const error = await rejection(readFeatures(path, {...origin, ...change}));
      expect(error).to.be.instanceOf(ConfigError);
      const [key, value] = Object.entries(change)[0];
      expect(error.message).to.equal(
        `features ${path}: wanted ${key} ${value}; got ${origin[key as keyof FeatureOrigin]}; make them anew.`,
      );
    }
  });

  it('are refused where arrays or captions are not what the file says', async () => {
    const path = join(folder(), 'f.safetensors');
    const {train, heldOut} = await features();
    const metadata = {...origin, captions: JSON.stringify(heldOut.captions)};
    const good = {train: {text: train.text, video: train.video}, heldOut: {text: heldOut.text, video: heldOut.video}};
    const refused = async (params: Parameters<typeof writeWeights>[1], extra: Record<string, string> = {}): Promise<string> => {
      await writeWeights(path, params, {metadata: {...metadata, ...extra}});
      const error = await rejection(readFeatures(path, origin));
      expect(error).to.be.instanceOf(CorruptFileError);
      return error.message;
    };
    expect(await refused({heldOut: good.heldOut})).to.match(/wanted 5 pairs called train/);
    expect(await refused({...good, heldOut: {text: heldOut.text, video: train.video}})).to.match(/wanted 3 pairs called heldOut/);
    expect(await refused(good, {captions: '["a"]'})).to.match(/captions of 3 held-out pairs/);
    expect(await refused(good, {captions: '{'})).to.match(/captions of 3/);
  });
});
