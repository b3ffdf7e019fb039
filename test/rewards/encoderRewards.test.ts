import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {pathToFileURL} from 'node:url';
import {expect} from 'chai';
import type {Tensor} from '@tensorflow/tfjs-core';
import {matching} from '../../rewards/matching.js';
import {preference} from '../../rewards/preference.js';
import {quality} from '../../rewards/quality.js';
import {semantic} from '../../rewards/semantic.js';
import {similarity} from '../../rewards/similarity.js';
import {checkReward} from '../../src/conformance/checkReward.js';
import type {Device} from '../../src/engine/device.js';
import type {Environment} from '../../src/environment.js';
import {ConfigError, CorruptFileError} from '../../src/errors.js';
import {preferenceParams, preferenceScore} from '../../src/models/preferenceNetwork.js';
import type {RewardModule} from '../../src/reward.js';
import {openFrozenEncoder, openTransportMap} from '../../src/run/frozenEncoder.js';
import {writeWeights} from '../../src/run/weights.js';
import type {NdArray} from '../../src/tensor/ndarray.js';
import type {Branch, Params} from '../../src/tensor/tree.js';
import {runEagerly} from '../support/eager.js';
import {rejection, temporaryFolder} from '../support/files.js';
import {expectNear} from '../support/near.js';
import {noiseVideos, noisyContext, noisyEncoder, noisyMap, noisyWorld} from '../support/noisyEncoder.js';
import {openTestDevice} from '../support/toy.js';

describe('rewards that look through an encoder', function () {
  this.timeout(120_000);
  const folder = temporaryFolder();
  let files = '';
  const bare = noisyWorld;
  const {module, params} = noisyEncoder;
  const width = module.encoder.embeddingWidth;
  let world: Environment;
  let device: Device;

  before(async () => {
    device = await openTestDevice();
    files = mkdtempSync(join(tmpdir(), 'rlft-test-'));
    const [weights, map] = ['encoder', 'map'].map((name) => join(files, `${name}.safetensors`));
    await writeWeights(weights, params, {metadata: {encoder: module.name}});
    await writeWeights(map, noisyMap.params, {metadata: {map: noisyMap.name}});
    world = {...bare, encoders: [{...module, weights: pathToFileURL(weights), map: pathToFileURL(map)}]};
  });
  after(async () => {
    rmSync(files, {recursive: true, force: true});
    await device.close();
  });

  const model = {params: preferenceParams(width, 12, 6), file: 'preference.safetensors'};
  const preferring: RewardModule = {
    ...preference,
    open: (context) => preference.open({...context, preferenceModel: async () => model}),
  };
  for (const reward of [quality, semantic, similarity, matching, preferring]) {
    it(`${reward.name} keeps the contract, gradient included`, () => checkReward(reward, world, {device}));
  }

  it('similarity and quality are cosines of what the encoder says', async () => {
    const prompts = world.prompts('train', 3);
    const videos = noiseVideos(3);
    const {encoder} = module;
    const found = runEagerly(
      (inputs) => {
        const weights = inputs['params'] as Branch<Tensor>;
        const text = encoder.encodeText(weights, inputs['tokens'] as Tensor).cls;
        return {text, video: encoder.encodeVideo(weights, inputs['video'] as Tensor).cls};
      },
      {params, tokens: encoder.tokenize(prompts.map((p) => p.text)), video: videos},
    ) as Record<string, NdArray<'float32'>>;
    const row = (a: NdArray<'float32'>, i: number): number[] => Array.from(a.data.subarray(i * width, (i + 1) * width));
    const cosine = (x: number[], y: number[]): number => {
      const dot = (a: number[], b: number[]): number => a.reduce((sum, v, i) => sum + v * b[i], 0);
      return dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y));
    };
    const [matrix, shift] = [noisyMap.params['matrix'], noisyMap.params['shift']] as NdArray<'float32'>[];
    const carried = (x: number[]): number[] =>
      x.map((_, j) => x.reduce((sum, v, i) => sum + v * matrix.data[i * width + j], shift.data[j]));
    const plain = await similarity.open(noisyContext(device));
    const moved = await quality.open(noisyContext(device));
    const [plainScores, movedScores] = [await plain.score(videos, prompts), await moved.score(videos, prompts)];
    for (let i = 0; i < 3; i++) {
      const [text, video] = [row(found['text'], i), row(found['video'], i)];
      expect(plainScores[i]).to.be.closeTo(cosine(text, video), 1e-5);
      expect(movedScores[i]).to.be.closeTo(cosine(carried(text), video), 1e-5);
    }
    expect(Math.abs(plainScores[0] - movedScores[0])).to.be.above(1e-3);
    await Promise.all([plain.close!(), moved.close!()]);
  });

  it('preference is the network on what the encoder says', async () => {
    const prompts = world.prompts('train', 3);
    const [videos, {encoder}] = [noiseVideos(3), module];
    const {scores: wanted} = runEagerly(
      (inputs) => {
        const weights = inputs['params'] as Branch<Tensor>;
        const text = encoder.encodeText(weights, inputs['tokens'] as Tensor).cls;
        const video = encoder.encodeVideo(weights, inputs['video'] as Tensor).cls;
        return {scores: preferenceScore(inputs['own'] as Branch<Tensor>, text, video)};
      },
      {params, own: model.params, tokens: encoder.tokenize(prompts.map((p) => p.text)), video: videos},
    ) as Record<string, NdArray<'float32'>>;
    const reward = await preferring.open(noisyContext(device));
    expectNear(await reward.score(videos, prompts), wanted.data, {rtol: 1e-4, atol: 1e-5}, 'preference');
    await reward.close!();
  });

  it('say what is missing: an encoder, its weights, a tensor, a map', async () => {
    const message = async (work: Promise<unknown>): Promise<string> => {
      const error = await rejection(work);
      expect(error).to.satisfy((e: unknown) => e instanceof ConfigError || e instanceof CorruptFileError);
      return error.message;
    };
    expect(await message(openFrozenEncoder({...bare, encoders: []}, 'shipped'))).to.equal(
      'encoder: the environment fluentClips has none; this reward needs one.',
    );
    expect(await message(openFrozenEncoder({...bare, encoders: [{...module, weights: undefined}]}, 'shipped'))).to.include(
      `ships no weights of its encoder "${module.name}"`,
    );
    const partial = join(folder(), 'partial.safetensors');
    const [first] = Object.keys(params);
    const rest = Object.fromEntries(Object.entries(params).filter(([key]) => key !== first)) as Params;
    await writeWeights(partial, rest, {metadata: {encoder: module.name}});
    expect(await message(openFrozenEncoder(bare, partial))).to.match(/wanted "[^"]+" \[[^\]]*\]; got no such tensor\.$/);
    await writeWeights(partial, params, {metadata: {encoder: 'z'}});
    expect(await message(openFrozenEncoder(bare, partial))).to.include('holds the encoder "z"');
    const frozen = await openFrozenEncoder(world, 'shipped');
    expect(await message(openTransportMap({...frozen, module: {...module, map: undefined} as never}, 'shipped'))).to.include(
      'no map ships',
    );
  });
});
