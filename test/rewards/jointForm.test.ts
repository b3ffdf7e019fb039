/** Rewards that look through one encoder: one copy of its weights, one encoding, and the scores that each has alone. */
import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import {brightness} from '../../rewards/brightness.js';
import {matching} from '../../rewards/matching.js';
import {quality} from '../../rewards/quality.js';
import {semantic} from '../../rewards/semantic.js';
import {similarity} from '../../rewards/similarity.js';
import type {FrozenEncoder} from '../../src/encoder.js';
import type {Device} from '../../src/engine/device.js';
import type {DifferentiableReward, RewardContext} from '../../src/reward.js';
import {composeReward} from '../../src/rewards/composeReward.js';
import type {NdArray} from '../../src/tensor/ndarray.js';
import {leaves, type Branch, type Params} from '../../src/tensor/tree.js';
import {distance, expectNear} from '../support/near.js';
import {noiseVideos, noisyContext, noisyEncoder, noisyWorld} from '../support/noisyEncoder.js';
import {openTestDevice} from '../support/toy.js';

const modules = [quality, semantic, similarity, matching, brightness];
/** More than one batch of the device, and no multiple of it. */
const COUNT = 19;

describe('rewards that look through the same encoder', function () {
  this.timeout(120_000);
  let device: Device;
  before(async () => {
    device = await openTestDevice();
  });
  after(() => device.close());

  const pool = noisyWorld.prompts('train', 5);
  const prompts = Array.from({length: COUNT}, (_, i) => pool[i % pool.length]);
  const videos = noiseVideos(COUNT);

  it('score composed as each does alone', async () => {
    const reward = await composeReward('quality + 2*semantic - similarity*matching + brightness', modules).open(
      noisyContext(device),
    );
    const {scores, parts} = await reward.scoreParts!(videos, prompts);
    const total = new Float64Array(COUNT);
    for (const module of modules) {
      const alone = await module.open(noisyContext(device));
      const wanted = await alone.score(videos, prompts);
      expectNear(parts[module.name], wanted, {rtol: 1e-5, atol: 1e-6}, module.name);
      expect(new Set(wanted).size, module.name).to.be.above(COUNT / 2);
      await alone.close?.();
    }
    total.forEach((_, i) => {
      const of = (name: string): number => parts[name][i];
      total[i] = of('quality') + 2 * of('semantic') - of('similarity') * of('matching') + of('brightness');
    });
    expectNear(scores, total, {rtol: 1e-5, atol: 1e-5}, 'total');
    await reward.close!();
  });

  it('have the gradient that each has alone, added', async () => {
    const few = noiseVideos(4);
    const gradientOf = async (form: DifferentiableReward): Promise<Float32Array> => {
      const run = device.jit('gradient', (inputs) => ({
        gradient: tf.grad((video: tf.Tensor) =>
          tf.sum(form.score(inputs['params'] as Branch<tf.Tensor>, video, inputs['prompts'] as Branch<tf.Tensor>)),
        )(inputs['video'] as tf.Tensor),
      }));
      const {outputs} = await run({params: form.params, video: few, prompts: form.encode(prompts.slice(0, 4))});
      return (outputs['gradient'] as NdArray<'float32'>).data;
    };
    const open = async (text: string): Promise<DifferentiableReward> =>
      (await composeReward(text, modules).open(noisyContext(device))).differentiable!;
    const [first, second, both] = [
      await gradientOf(await open('quality')),
      await gradientOf(await open('3*semantic')),
      await gradientOf(await open('quality + 3*semantic')),
    ];
    const added = first.map((g, i) => g + second[i]);
    expect(distance(both, added)).to.be.below(1e-5);
    // Both of them are in it.
    expect(distance(both, first)).to.be.above(0.01);
    expect(distance(both, second)).to.be.above(0.01);
  });

  /** A context whose encoder counts how often it is traced, on a device that notes what is put there. */
  function watched(): {context: RewardContext; encoded: () => number; placed: () => number} {
    let [encoded, placed] = [0, 0];
    const {encoder, ...rest} = noisyEncoder;
    const counting: FrozenEncoder = {
      ...rest,
      encoder: {...encoder, encodeVideo: (params, video) => (encoded++, encoder.encodeVideo(params, video))},
    };
    const put: Device['put'] = (tree: Params) => {
      placed += leaves<NdArray>(tree).length;
      return device.put(tree);
    };
    const noting = Object.assign(Object.create(device) as Device, {put});
    return {
      context: {...noisyContext(noting), encoder: async () => counting},
      encoded: () => encoded,
      placed: () => placed,
    };
  }
  const encoderTensors = leaves(noisyEncoder.params).length;

  it('encode a video once, with one copy of the weights', async () => {
    const {context, encoded, placed} = watched();
    const reward = await composeReward('quality + semantic + similarity', modules).open(context);
    await reward.score(videos, prompts);
    await reward.score(videos, prompts);
    expect(encoded()).to.equal(1);
    // The matrix and the shift of the map are all else that there is.
    expect(placed()).to.equal(encoderTensors + 2);
    await reward.close!();
    expect(leaves<NdArray>(reward.differentiable!.params).length).to.equal(encoderTensors + 2);
  });

  it('keep apart what looks through another encoder', async () => {
    const {context, encoded, placed} = watched();
    const other = await similarity.open({...context, encoder: async () => ({...noisyEncoder, params: {...noisyEncoder.params}})});
    const reward = await composeReward('quality + other + matching', [
      quality,
      matching,
      {...similarity, name: 'other', open: async () => ({...other, name: 'other'})},
    ]).open(context);
    const {parts} = await reward.scoreParts!(videos, prompts);
    expect(encoded()).to.equal(1);
    expect(placed()).to.equal(2 * encoderTensors + 2);
    expectNear(parts['other'], await other.score(videos, prompts), {rtol: 1e-5, atol: 1e-6}, 'other');
    await reward.close!();
  });
});
