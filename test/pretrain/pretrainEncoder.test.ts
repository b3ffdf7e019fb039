/** A run of an encoder in its folder: what it writes, that it can be broken off and taken up again, and the session that reads it. */
import {expect} from 'chai';
import {readFileSync, readdirSync} from 'node:fs';
import {join} from 'node:path';
import {openEncoderSession} from '../../src/evaluate/encoderSession.js';
import type {EncoderDiagnostics} from '../../src/evaluate/encoderDiagnostics.js';
import type {Device} from '../../src/engine/device.js';
import type {ClipSource, Environment} from '../../src/environment.js';
import {pretrainEncoder, type EncoderEvent, type PretrainEncoderRequest} from '../../src/pretrain/pretrainEncoder.js';
import {openEncoderTrainer, type EncoderPlan} from '../../src/pretrain/trainEncoder.js';
import {readMetrics} from '../../src/run/metrics.js';
import {createRunFolder, openRunFolder, type RunFolder} from '../../src/run/runFolder.js';
import {readWeights} from '../../src/run/weights.js';
import {ndarray, rows, sizeOf, type NdArray} from '../../src/tensor/ndarray.js';
import {leaves} from '../../src/tensor/tree.js';
import {rejection, temporaryFolder} from '../support/files.js';
import {picoEncoders, picoShape, picoTexts, noiseClips} from '../support/pico.js';
import {openTestDevice} from '../support/toy.js';

/** Clips of one grey each, a step brighter with every caption. */
const openClips = (): ClipSource => ({
  clips: async (indices) => {
    const size = sizeOf(picoShape);
    const data = Uint8Array.from(
      {length: indices.length * size},
      (_, i) => 60 * (indices[Math.floor(i / size)] % picoTexts.length),
    );
    return {
      videos: ndarray('uint8', [indices.length, ...picoShape], data),
      texts: indices.map((i) => picoTexts[i % picoTexts.length]),
    };
  },
  close: async () => undefined,
});
const world = {name: 'greys', preset: 'pico', openClips} as Partial<Environment> as Environment;
const module = picoEncoders.a;
const plan: EncoderPlan = {
  pairs: 24,
  batch: 4,
  queue: 8,
  muonRate: 0.02,
  adamRate: 3e-3,
  averageDecay: 0.9,
  maskedWeight: 2,
  maskedWordsWeight: 1,
};

describe('pre-training of an encoder', function () {
  this.timeout(60_000);
  const folder = temporaryFolder();
  let device: Device;
  before(async () => {
    device = await openTestDevice();
  });
  after(() => device.close());

  const request = (run: RunFolder, change: Partial<PretrainEncoderRequest> = {}): PretrainEncoderRequest => ({
    environment: world,
    module,
    device,
    plan,
    seed: 3,
    folder: run,
    resume: false,
    every: 12,
    diagnostics: {pairs: 64, items: 4, degraded: 0},
    signal: new AbortController().signal,
    report: () => undefined,
    ...change,
  });

  it('writes weights with what they can tell apart at intervals, and a row of metrics an update', async () => {
    const run = await createRunFolder(join(folder(), 'run'), {force: false});
    const events: EncoderEvent[] = [];
    await pretrainEncoder(request(run, {report: (event) => events.push(event)}));
    expect(events.map((e) => e.kind)).to.deep.equal([
      'started',
      ...['update', 'update', 'update', 'measured', 'update', 'update', 'update', 'measured'],
      'ended',
    ]);
    expect(readdirSync(run.path).filter((name) => name.startsWith('encoder-'))).to.deep.equal([
      'encoder-a-0000012.json',
      'encoder-a-0000012.safetensors',
      'encoder-a-0000024.json',
      'encoder-a-0000024.safetensors',
    ]);
    const {params, metadata} = await readWeights(join(run.path, 'encoder-a-0000024.safetensors'));
    expect(metadata).to.include({environment: 'greys', preset: 'pico', encoder: 'a', pairs: '24'});
    const shapes = (tree: typeof params): unknown =>
      leaves<NdArray>(tree)
        .map(([path, leaf]) => `${path} ${leaf.shape.join()}`)
        .sort();
    expect(shapes(params)).to.deep.equal(shapes(module.initialise(0)));
    const diagnostics = JSON.parse(readFileSync(join(run.path, 'encoder-a-0000024.json'), 'utf8')) as EncoderDiagnostics;
    expect(diagnostics.retrieval.textOfVideo).to.be.within(0, 1);
    const metrics = await readMetrics(run.metrics);
    expect(metrics.map((row) => row['train/pairs'])).to.deep.equal([4, 8, 12, 16, 20, 24]);
    for (const name of ['loss', 'contrast', 'matching', 'masked', 'gradientNorm']) {
      expect(metrics[0][`train/${name}`], name).to.be.greaterThan(0);
    }
  });

  it('broken off and resumed is the unbroken run, bit for bit', async () => {
    const [whole, parts] = [join(folder(), 'whole'), join(folder(), 'parts')];
    await pretrainEncoder(request(await createRunFolder(whole, {force: false})));
    const controller = new AbortController();
    const report = (event: EncoderEvent): void => {
      if (event.kind === 'update' && event.progress.updates === 4) controller.abort();
    };
    const first = await createRunFolder(parts, {force: false});
    await pretrainEncoder(request(first, {signal: controller.signal, report}));
    expect((await readMetrics(first.metrics)).length).to.equal(4);
    await pretrainEncoder(request(await openRunFolder(parts).catch(() => first), {resume: true}));
    for (const name of ['encoder-a-0000024.safetensors', 'encoder-a-0000024.json', 'metrics.jsonl']) {
      expect(readFileSync(join(parts, name)).equals(readFileSync(join(whole, name))), name).to.equal(true);
    }
  });

  it('learns from hard pairs in the stretch that the world has them for, and from the ordinary ones before and after', async () => {
    const asked: string[] = [];
    const closed: string[] = [];
    const staged = {
      ...world,
      hardPairs: {from: 1 / 3, until: 2 / 3},
      openClips: (stream: string): ClipSource => ({
        clips: (indices, stills) => {
          asked.push(`${stream} ${indices[0]}`);
          return openClips().clips(indices, stills);
        },
        close: async () => void closed.push(stream),
      }),
    } as Partial<Environment> as Environment;
    const trainer = await openEncoderTrainer(staged, module, device, plan, {seed: 0}, 0);
    while ((await trainer.update()).fraction < 1);
    await trainer.close();
    expect(asked).to.deep.equal(['pairs 0', 'pairs 4', 'hardPairs 8', 'hardPairs 12', 'pairs 16', 'pairs 20']);
    expect(closed).to.have.members(['pairs', 'hardPairs']);
  });

  it('of another seed is another run', async () => {
    const metrics: (number | null)[] = [];
    for (const seed of [3, 4]) {
      const run = await createRunFolder(join(folder(), String(seed)), {force: false});
      await pretrainEncoder(request(run, {seed, plan: {...plan, pairs: 4}}));
      metrics.push((await readMetrics(run.metrics))[0]['train/masked']);
    }
    expect(metrics[0]).not.to.equal(metrics[1]);
  });

  it('refuses a queue shorter than a batch, and a world without clips', async () => {
    const open = (change: Partial<EncoderPlan>, environment = world): Promise<unknown> =>
      openEncoderTrainer(environment, module, device, {...plan, ...change}, {seed: 0}, 0);
    expect((await rejection(open({queue: 3}))).message).to.equal(
      'pretrain: wanted a queue of at least the batch of 4 pairs; got 3.',
    );
    expect((await rejection(open({}, {name: 'mute'} as Environment))).message).to.match(/"mute" makes no clips of its own/);
  });

  it('has a session that gives a row the same numbers in any batch, of bytes and of floats', async () => {
    const session = await openEncoderSession(device, module.encoder, module.initialise(1));
    const clips = noiseClips(70);
    const bytes = ndarray(
      'uint8',
      clips.shape,
      Uint8Array.from(clips.data, (x) => Math.round((x + 1) * 127.5)),
    );
    const texts = Array.from({length: 70}, (_, i) => picoTexts[i % 4]);
    const [videos, captions] = [await session.embedVideos(clips), await session.embedTexts(texts)];
    expect([videos.shape, captions.shape]).to.deep.equal([
      [70, 6],
      [70, 6],
    ]);
    expect((await session.embedVideos(bytes)).data).to.deep.equal(videos.data);
    expect((await session.embedVideos(rows(clips, 66, 67))).data).to.deep.equal(rows(videos, 66, 67).data);
    const logits = await session.matchLogits(texts, clips);
    expect(logits).to.have.length(70);
    expect((await session.matchLogits([texts[67]], rows(clips, 67, 68)))[0]).to.equal(logits[67]);
    await session.close();
  });
});
