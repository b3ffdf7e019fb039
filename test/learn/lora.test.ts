/** A learner that trains an adapter: what it is at the start, its gradient, what it leaves alone, and that it goes on. */
import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import type {Device, ResidentTree} from '../../src/engine/device.js';
import {ConfigError, ContractError} from '../../src/errors.js';
import type {LearnerSnapshot, ResidentLearner} from '../../src/learn/learner.js';
import {gatherTransitions, stochasticTransitions} from '../../src/learn/transitions.js';
import {samplerTables} from '../../src/numeric/samplers/named.js';
import {createGenerator, type Trajectories} from '../../src/rollout/generate.js';
import {networkTensors, packPolicyFor, packedPolicy, putPolicy} from '../../src/rollout/residentPolicy.js';
import {defaultTargets} from '../../src/run/runSchema.js';
import {float32, ndarray, sizeOf, type NdArray} from '../../src/tensor/ndarray.js';
import {normals} from '../../src/tensor/random.js';
import type {Params} from '../../src/tensor/tree.js';
import {gaussianToy} from '../../environments/gaussianToy.js';
import {rejection} from '../support/files.js';
import {expectClose} from '../support/golden.js';
import {nano, noisyWeights, openLearner, plainDdpo} from '../support/nano.js';
import {openTestDevice} from '../support/toy.js';

type Vector = NdArray<'float32'>;
const lora = {rank: 4, alpha: 8, targets: defaultTargets, seed: 3};
const params = noisyWeights(nano);
const layout = packPolicyFor(nano, params, lora);
const full = packPolicyFor(nano, params);
const tables = samplerTables('flowSde', 4, 0.7);
const request = {
  prompts: nano.prompts('train', 2),
  samples: 2,
  table: tables.stochastic,
  seed: 5,
  iteration: 0,
  purpose: 'test',
  sharedStart: false,
};

/** Noise as an array. */
const drawn = (purpose: string, shape: readonly number[], scale = 1): Vector =>
  ndarray(
    'float32',
    shape,
    normals({seed: 4, purpose}, new Float32Array(sizeOf(shape))).map((z) => scale * z),
  );

describe('learner of an adapter', function () {
  this.timeout(120_000);

  let device: Device;
  before(async () => {
    device = await openTestDevice();
  });
  after(() => device.close());

  const draw = (policy: ResidentTree, packing = layout): Promise<Trajectories> =>
    createGenerator(nano, device, packing, 'gaussian', 1)(policy, request);

  const {loss, scalars, optimizer} = plainDdpo({klCoefficient: 0.5, clipRange: 0.5, learningRate: 0.02});
  const open = (change: {keepsOld?: boolean} = {}, from?: LearnerSnapshot): Promise<ResidentLearner> =>
    openLearner(nano, device, params, {layout, loss, scalars, optimizer, ...change}, from);

  /** One update on the steps of some trajectories. */
  async function update(learner: ResidentLearner, trajectories: Trajectories): Promise<void> {
    const scored = [{trajectories, rewards: new Float32Array(4)}];
    const refs = stochasticTransitions(scored);
    await learner.update([gatherTransitions(scored, refs, [float32([1, -1, 0.5, -0.5]).data])], refs.length);
  }

  it('names every matrix of attention and of the network of each block, and holds their factors alone', () => {
    const names = ['qkv', 'text', 'out'].map((name) => `attention.${name}`).concat('feedForward.in', 'feedForward.out');
    expect(layout.lora!.layers.map(({path}) => path)).to.deep.equal(
      ['0', '1'].flatMap((block) => names.map((name) => `blocks.${block}.${name}`)),
    );
    const sides = layout.lora!.layers.reduce((sum, {inputs, outputs}) => sum + inputs + outputs, 0);
    expect(layout.trained.size).to.equal(4 * sides);
    expect(layout.lora!.base).to.deep.equal(full.trained);
  });

  it('draws, before the first update, what the reference and the full policy draw, bit for bit', async () => {
    const learner = await open();
    const made = await draw(learner.policy);
    for (const other of [await draw(learner.reference), await draw(await putPolicy(device, params, full), full)]) {
      expect(made.latents).to.deep.equal(other.latents);
      expect(made.logProbs).to.deep.equal(other.logProbs);
    }
    expect(Object.keys(learner.reference).sort()).to.deep.equal(['base', 'frozen']);
    expect(learner.reference['base']).to.equal(learner.policy['base']);
    await learner.close();
  });

  it('has the gradient that differences of the loss show, through A and through B', async () => {
    const vectors = packedPolicy(params, layout);
    const at = drawn('adapter', [layout.trained.size], 0.1);
    const inputs = {
      base: vectors.base!,
      latent: drawn('latent', [2, ...nano.latentShape]),
      time: float32([0.3, 0.8]),
      text: drawn('text', [2, nano.policy.textLength, 64]),
      target: drawn('target', [2, ...nano.latentShape]),
    };
    const lossOf = (given: Record<string, tf.Tensor>, trained: tf.Tensor): tf.Scalar =>
      tf.mean(
        tf.squaredDifference(
          nano.policy.denoise(
            networkTensors({trained, base: given['base']}, layout),
            given['latent'],
            given['time'],
            given['text'],
          ),
          given['target'],
        ),
      );
    const gradientOf = device.jit('test/gradient', (given) => {
      const {trained, ...rest} = given as Record<string, tf.Tensor>;
      const {value, grad} = tf.valueAndGrad((p: tf.Tensor) => lossOf(rest, p))(trained);
      return {value, grad};
    });
    const run = async (trained: Vector): Promise<{value: number; grad: ArrayLike<number>}> => {
      const {value, grad} = (await gradientOf({...inputs, trained})).outputs as {value: Vector; grad: Vector};
      return {value: value.data[0], grad: grad.data};
    };
    const {grad} = await run(at);
    for (const letter of ['A', 'B']) {
      const along = layout.trained.entries.filter(({path}) => path.endsWith(`.${letter}`));
      // Along the gradient of these factors, where the difference is largest beside its rounding.
      const direction = new Float32Array(layout.trained.size);
      for (const {offset, size} of along) for (let i = offset; i < offset + size; i++) direction[i] = grad[i];
      const square = direction.reduce((sum, d) => sum + d * d, 0);
      const step = 0.05 / Math.sqrt(square);
      const moved = (sign: number): Vector => ({...at, data: at.data.map((x, i) => x + sign * step * direction[i])});
      const slope = ((await run(moved(1))).value - (await run(moved(-1))).value) / (2 * step);
      expect(slope / square, letter).to.be.closeTo(1, 0.01);
    }
  });

  it('keeps state of the size of the adapter, and never touches the weights beneath it', async () => {
    const learner = await open({keepsOld: true});
    const before = await device.get(learner.reference);
    await update(learner, await draw(learner.policy));
    await learner.moveOld(0.5);
    const {arrays} = await learner.snapshot();
    expect(Object.keys(arrays).sort()).to.deep.equal(['average', 'first', 'old', 'second', 'trained']);
    for (const [name, array] of Object.entries(arrays))
      expect((array as Vector).shape, name).to.deep.equal([layout.trained.size]);
    expect(await device.get(learner.reference)).to.deep.equal(before);
    await learner.close();
  });

  it('merges to full weights that draw what base and adapter draw, within the noise of float32', async () => {
    const learner = await open();
    for (let i = 0; i < 3; i++) await update(learner, await draw(learner.policy));
    const merged = await learner.averagedParams();
    const [apart, whole] = [await draw(learner.averaged), await draw(await putPolicy(device, merged, full), full)];
    const before = await draw(learner.reference);
    const [a, w, b] = [apart, whole, before].map(({latents}) => latents.at(-1)!.data);
    expect(Math.max(...a.map((x, i) => Math.abs(x - b[i])))).to.be.above(0.02);
    expectClose(w, a, 2e-5);
    await learner.close();
  });

  it('goes on from a snapshot, bit for bit', async () => {
    const learner = await open({keepsOld: true});
    const trajectories = await draw(learner.policy);
    await update(learner, trajectories);
    await learner.moveOld(0.5);
    const snapshot = await learner.snapshot();
    const resumed = await open({keepsOld: true}, snapshot);
    for (const one of [learner, resumed]) {
      await update(one, trajectories);
      await one.moveOld(0.3);
    }
    expect((await learner.snapshot()).arrays['trained']).not.to.deep.equal(snapshot.arrays['trained']);
    expect(await resumed.snapshot()).to.deep.equal(await learner.snapshot());
    expect(await resumed.averagedParams()).to.deep.equal(await learner.averagedParams());
    await learner.close();
    await resumed.close();
  });

  it('refuses a layer that there is not, and a rank above the smaller side, before anything is computed', () => {
    const refused = (change: Partial<typeof lora>, environment = nano, weights: Params = params): Error => {
      try {
        packPolicyFor(environment, weights, {...lora, ...change});
      } catch (error) {
        return error as Error;
      }
      throw new Error('expected a refusal');
    };
    for (const [error, message] of [
      [
        refused({targets: ['feedForward.in', 'atention.qkv']}),
        'loraTargets: no weight matrix of fluentClips nano is called "atention.qkv"; did you mean "attention.qkv"?',
      ],
      [
        refused({targets: ['wheels']}),
        'loraTargets: no weight matrix of fluentClips nano is called "wheels"; known: patch, time, modulation, attention.qkv, attention.text, attention.out, feedForward.in, feedForward.out, final.modulation, final.out.',
      ],
      // The text tower is frozen.
      [refused({targets: ['text.blocks']}), /^loraTargets: no weight matrix of fluentClips nano is called "text.blocks"/],
      [refused({rank: 65}), 'loraRank: wanted at most 64, the smaller side of blocks.0.attention.qkv [64, 192]; got 65.'],
      [
        refused({}, gaussianToy(), gaussianToy().initialise(0)),
        'loraTargets: no weight matrix of gaussianToy pixel is called "attention.qkv"; use tuning: full.',
      ],
    ] as const) {
      expect(error).to.be.instanceOf(ConfigError);
      expect(error.message).to.match(typeof message === 'string' ? /^/ : message);
      if (typeof message === 'string') expect(error.message).to.equal(message);
    }
  });

  it('says what is missing where the weights beneath an adapter were not put on the device', async () => {
    const {trained, frozen} = packedPolicy(params, layout);
    const alone = await device.put({trained, frozen});
    const error = await rejection(draw(alone));
    expect(error).to.be.instanceOf(ContractError);
    expect(error.message).to.equal('policy: wanted the vector "base" of the network beneath a LoRA adapter; got none.');
  });
});
