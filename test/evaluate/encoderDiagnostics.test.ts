/** The measures, on sessions and judges whose numbers are known. */
import {expect} from 'chai';
import type {Environment, EncoderProbes, Judge} from '../../src/environment.js';
import {
  areaUnderCurve,
  diagnoseEncoder,
  measureDiscrimination,
  measureQualityRank,
  measureRetrieval,
  measureSampleRank,
  type ByScore,
} from '../../src/evaluate/encoderDiagnostics.js';
import type {EncoderSession, Videos} from '../../src/evaluate/encoderSession.js';
import {float32, ndarray, type NdArray} from '../../src/tensor/ndarray.js';
import {uniforms} from '../../src/tensor/random.js';

/** Angle of a caption `t12`, and of a clip whose only pixel is 12: twelve hundredths of a turn. */
const turns = (x: number): [number, number] => [Math.cos((2 * Math.PI * x) / 100), Math.sin((2 * Math.PI * x) / 100)];
const textNumber = (text: string): number => Number(text.slice(1));
const pixels = (videos: Videos): number[] =>
  Array.from(videos.data, (x) => (videos.dtype === 'uint8' ? x : Math.round((x + 1) * 127.5)));

/** Sees clips `shift` hundredths of a turn away from where they are. */
const session = (shift = 0): EncoderSession => ({
  encoder: undefined as never,
  embedTexts: async (texts) =>
    float32(
      texts.flatMap((t) => turns(textNumber(t))),
      [texts.length, 2],
    ),
  embedVideos: async (videos) =>
    float32(
      pixels(videos).flatMap((x) => turns(x + shift)),
      [videos.shape[0], 2],
    ),
  matchLogits: async (texts, videos) => Float32Array.from(pixels(videos), (x, i) => 5 - Math.abs(x - textNumber(texts[i]))),
  close: async () => undefined,
});

const clips = (values: readonly number[]): NdArray<'uint8'> =>
  ndarray('uint8', [values.length, 1, 1, 1, 1], Uint8Array.from(values));
const all = Array.from({length: 64}, (_, i) => i);

describe('retrieval among 64', () => {
  const texts = all.map((i) => `t${i}`);

  it('is whole where every pair lies together, and none where all are shifted', async () => {
    expect(await measureRetrieval(session(), texts, clips(all))).to.include({textOfVideo: 1, videoOfText: 1});
    // At an end of the row there is no better partner.
    const shifted = await measureRetrieval(session(3), texts, clips(all));
    expect(Math.max(shifted.textOfVideo, shifted.videoOfText)).to.be.at.most(1 / 64);
  });

  it('takes any of several equal captions for right', async () => {
    const doubled = all.map((i) => `t${i - (i % 2)}`);
    const values = all.map((i) => i - (i % 2));
    expect((await measureRetrieval(session(), doubled, clips(values))).textOfVideo).to.equal(1);
  });

  it('looks in groups of 64', async () => {
    const twice = [...texts, ...texts.map((_, i) => `t${i + 20}`)];
    const found = await measureRetrieval(session(), twice, clips([...all, ...all.map((i) => i + 20)]));
    expect(found.videoOfText).to.equal(1);
  });

  it('reports how far the means of captions and clips lie apart', async () => {
    const {modalityGap} = await measureRetrieval(
      session(50),
      new Array<string>(64).fill('t5'),
      clips(new Array<number>(64).fill(5)),
    );
    expect(modalityGap).to.be.closeTo(2, 1e-6);
  });
});

describe('area under the curve', () => {
  it('is the share of pairs in the right order, ties half', () => {
    const u = uniforms({seed: 1, purpose: 'auc'}, new Float32Array(60)).map((x) => Math.round(8 * x));
    const [high, low] = [Array.from(u.subarray(0, 25)), Array.from(u.subarray(25))];
    const pairs = high.flatMap((a) => low.map((b): number => (a > b ? 1 : a === b ? 0.5 : 0)));
    expect(areaUnderCurve(high, low)).to.be.closeTo(pairs.reduce((a, b) => a + b, 0) / pairs.length, 1e-12);
    expect(areaUnderCurve([3, 4], [1, 2])).to.equal(1);
  });
});

describe('discrimination', () => {
  // Of kind x the wrong caption is 3 off, of y 30 off; every clip is 1 off its true caption.
  const probes: EncoderProbes = {
    kinds: ['x', 'y'],
    counterfactuals: (indices) => ({
      videos: clips(indices.map(() => 50)),
      texts: indices.map(() => 't51'),
      wrong: indices.map((i) => (i % 2 === 0 ? 't53' : 't80')),
      kinds: indices.map((i) => (i % 2 === 0 ? 'x' : 'y')),
    }),
    variants: [],
    degraded: () => expect.fail('not asked'),
  };

  it('counts verdicts by kind: what is off by less than 5 passes for a match', async () => {
    const found = await measureDiscrimination(session(), probes, 100);
    expect(Object.keys(found)).to.deep.equal(['x', 'y', 'all']);
    expect(found['x']).to.deep.include({
      items: 50,
      accuracy: 0.5,
      ranked: {similarity: 1, matching: 1},
      auc: {similarity: 1, matching: 1},
    });
    expect(found['y'].accuracy).to.equal(1);
    expect(found['all']).to.deep.include({items: 100, accuracy: 0.75});
  });

  it('of an encoder that sees the opposite is 0', async () => {
    const found = await measureDiscrimination(session(3), probes, 10);
    expect(found['x'].ranked.similarity).to.equal(0);
  });
});

/** Both scores, to rounding. */
const expectBoth = (found: ByScore<number>, wanted: number): void => {
  expect(found.similarity).to.be.closeTo(wanted, 1e-12);
  expect(found.matching).to.be.closeTo(wanted, 1e-12);
};

/** Quality falls with the distance from 50, total with the pixel. */
const judge = {
  judge: async (videos: NdArray<'float32'>) =>
    pixels(videos).map((x) => ({quality: 1 - Math.abs(x - 50) / 100, semantic: 0, total: 1 - x / 255})),
  aggregate: ([j]) => j as Readonly<Record<string, number>>,
} as Pick<Judge, 'judge' | 'aggregate'> as Judge;

describe('rank correlations with the judge', () => {
  const probes = (variants: readonly number[]): EncoderProbes => ({
    kinds: [],
    counterfactuals: () => expect.fail('not asked'),
    variants: variants.map(String),
    degraded: () => ({videos: clips(variants), texts: ['t50']}),
  });

  it('of quality are 1 where scores fall with it, and −1 where they rise', async () => {
    expectBoth(await measureQualityRank(session(), probes([50, 53, 57, 70]), judge, 2), 1);
    expect((await measureQualityRank(session(-20), probes([50, 53, 57, 69]), judge, 1)).similarity).to.be.closeTo(-1, 1e-12);
  });

  it('of samples are the mean over groups, without those that are all alike', async () => {
    const videos = (values: readonly number[]): NdArray<'float32'> =>
      float32(
        values.map((x) => x / 127.5 - 1),
        [values.length, 1, 1, 1, 1],
      );
    const prompts = (texts: readonly string[]) => texts.flatMap((text) => [text, text, text].map((t) => ({id: t, text: t})));
    // Total falls with the pixel. Towards t0 so do the scores; towards t99 they rise.
    const values = [1, 2, 3, 1, 2, 3, 4, 4, 4];
    expectBoth(await measureSampleRank(session(), judge, videos(values), prompts(['t0', 't0', 't0']), 3), 1);
    expect((await measureSampleRank(session(), judge, videos(values), prompts(['t0', 't20', 't0']), 3)).matching).to.be.closeTo(
      0,
      1e-12,
    );
  });
});

describe('diagnostics of a world', () => {
  const world = {
    openClips: () => ({
      clips: async (indices: readonly number[]) => ({videos: clips(indices.map(Number)), texts: indices.map((i) => `t${i}`)}),
      close: async () => undefined,
    }),
  } as Pick<Environment, 'openClips'> as Environment;

  it('hold what it offers and nothing else', async () => {
    const found = await diagnoseEncoder(session(), world, undefined, {pairs: 64, items: 10, degraded: 2});
    expect(Object.keys(found)).to.deep.equal(['retrieval']);
  });
});
