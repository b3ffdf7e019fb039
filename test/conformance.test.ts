/** Every registered plug-in keeps its contract, and a broken one of each kind is caught. */
import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import {from, map, mergeMap} from 'rxjs';
import {z} from 'zod';
import {ddpo} from '../algorithms/ddpo.js';
import {nft} from '../algorithms/nft.js';
import {gaussianToy, gaussianToyModule} from '../environments/gaussianToy.js';
import {brightness} from '../rewards/brightness.js';
import type {Algorithm, ConfiguredAlgorithm} from '../src/algorithm.js';
import {algorithms, environments, rewards} from '../src/builtins.js';
import {checkAlgorithm, checkEnvironment, checkReward} from '../src/conformance.js';
import type {Environment, EnvironmentModule, Judge, Policy} from '../src/environment.js';
import type {Device} from '../src/engine/device.js';
import {openDevice} from '../src/engine/devices.js';
import {ContractError} from '../src/errors.js';
import {detach} from '../src/numeric/detach.js';
import type {Reward, RewardModule} from '../src/reward.js';
import {float32, int32, ndarray, zeros} from '../src/tensor/ndarray.js';
import type {Params} from '../src/tensor/tree.js';
import {bareContext} from './support/bareContext.js';
import {rejection} from './support/files.js';
import {nano} from './support/nano.js';

/** The smallest size of each world. */
const smallest: Readonly<Record<string, string>> = {fluentClips: 'nano', gaussianToy: 'pixel'};
const worldOf = (name: string): Environment => environments.get(name).open(smallest[name]);

/** Asserts that a check finds every one of these faults. */
async function expectFaults(check: Promise<void>, ...messages: string[]): Promise<void> {
  const error = await rejection(check);
  expect(error).to.be.instanceOf(ContractError);
  for (const message of messages) expect(error.message).to.include(message);
}

describe('conformance', function () {
  this.timeout(120_000);
  let device: Device;
  before(async () => {
    device = await openDevice('cpu', {threads: 1});
  });
  after(() => device.close());

  describe('of what ships', () => {
    for (const name of environments.names) {
      it(`environment ${name}`, () => checkEnvironment(environments.get(name), {preset: smallest[name], device}));
    }
    // Rewards that look through an encoder are checked with one of their own, in test/rewards/encoderRewards.test.ts: none ships for `nano`.
    const throughEncoders = ['quality', 'semantic', 'similarity', 'matching', 'preference'];
    for (const name of rewards.names.filter((known) => !throughEncoders.includes(known)))
      it(`reward ${name}`, () => checkReward(rewards.get(name), worldOf('fluentClips'), {device}));
    for (const name of algorithms.names) {
      for (const world of environments.names)
        it(`algorithm ${name} in ${world}`, () => checkAlgorithm(algorithms.get(name), worldOf(world), {device}));
    }
  });

  describe('of a broken environment', () => {
    const toy = gaussianToy();
    const caught = (title: string, change: Partial<Environment>, ...messages: string[]): void => {
      it(title, () =>
        expectFaults(checkEnvironment({...gaussianToyModule, open: broken({...toy, ...change})}, {device}), ...messages),
      );
    };
    const broken =
      (world: Environment) =>
      (preset: string): Environment => ({...world, preset: gaussianToyModule.open(preset).preset});
    const withPolicy = (change: Partial<Policy>): Partial<Environment> => ({policy: {...toy.policy, ...change}});
    let calls = 0;

    it('catches a preset that is not refused', () =>
      expectFaults(
        checkEnvironment({...gaussianToyModule, open: () => toy}, {device}),
        'wanted a ConfigError naming the presets',
      ));
    it('catches names that do not fit', () =>
      expectFaults(
        checkEnvironment({...gaussianToyModule, name: 'Gaussian toy', summary: 'two\nlines'} satisfies EnvironmentModule, {
          device,
        }),
        'wanted an identifier',
        'summary: wanted one line',
        'as registered; got gaussianToy',
      ));
    it('catches a world that does not open', () =>
      expectFaults(checkEnvironment(gaussianToyModule, {preset: 'huge'}), 'open: wanted no error'));
    caught(
      'catches shapes',
      {latentShape: [1, 1, 1, 0.5], videoShape: [1, 1, 2]},
      'latentShape: wanted positive',
      'videoShape: wanted [F, H, W, C]',
    );
    caught('catches a missing split', {splits: ['train']}, 'wanted heldOut among them');
    caught(
      'catches an id that is used twice',
      {prompts: (_, n) => toy.prompts('train', n)},
      '"train-dark" is there twice',
      'ConfigError for an unknown split',
    );
    caught(
      'catches prompts that change',
      {prompts: (split, n) => toy.prompts(split, n).map((p) => ({...p, id: `${p.id}${calls++}`}))},
      'they changed',
    );
    caught(
      'catches prompts that are not the first ones',
      {prompts: (split, n) => toy.prompts(split, 9).slice(-n)},
      'the first 3 of train',
    );
    caught(
      'catches an empty caption',
      {prompts: (split, n) => toy.prompts(split, n).map((p) => ({...p, text: ' '}))},
      'one is empty',
    );
    caught(
      'catches a tokenizer that accepts any word',
      withPolicy({
        tokenize: (texts) =>
          int32(
            texts.map(() => 1),
            [texts.length, 1],
          ),
      }),
      'naming an unknown word; got ids',
    );
    caught(
      'catches token ids',
      withPolicy({tokenize: (texts) => (toy.policy.tokenize(texts), int32(texts.map((_, i) => i - 1)))}),
      'tokenize: wanted int32 [3, 1]; got int32 [3]',
      'got a negative one',
      'the order of the captions changes the ids',
    );
    caught(
      'catches an initialiser that hands out its own arrays',
      {
        initialise: (
          (params: Params) => () =>
            params
        )(toy.initialise(0)),
      },
      'a second call gives other parameters',
    );
    caught(
      'catches parameters that are not finite',
      {initialise: (seed) => ({...toy.initialise(seed), mean: float32([NaN, 0, 0, 0])})},
      'initialise: wanted finite',
    );
    caught('catches a policy of text alone', withPolicy({isText: () => true}), 'to be trained; there is none');
    caught('catches a policy without text', withPolicy({isText: () => false}), 'wanted a parameter of the text tower');
    caught(
      'catches a text tower that needs trained parameters',
      withPolicy({isText: (path) => path === 'mean'}),
      'with the parameters that isText names',
    );
    caught(
      'catches text states',
      withPolicy({encode: (params, tokens) => tf.squeeze(toy.policy.encode(params, tokens), [1])}),
      'encode: wanted [3, L, D]; got [3, 4]',
    );
    caught(
      'catches states of no text',
      withPolicy({encodeNull: (_, batch) => tf.zeros([batch, 2, 4])}),
      'encodeNull: wanted [3, 1, 4]',
    );
    caught(
      'catches a prediction of another shape',
      withPolicy({denoise: (...given) => tf.squeeze(toy.policy.denoise(...given))}),
      'denoise: wanted [3, 1, 1, 1, 1]; got [3]',
    );
    caught(
      'catches a prediction that is not finite',
      withPolicy({denoise: (...given) => tf.div(toy.policy.denoise(...given), 0)}),
      'denoise: wanted finite predictions',
      'wanted a finite gradient',
    );
    caught(
      'catches a prediction that nothing trains',
      withPolicy({denoise: (_, latent) => latent}),
      'with the parameters that isText leaves: wanted no error',
    );
    caught(
      'catches a prediction without gradient',
      withPolicy({denoise: (params, latent) => tf.add(latent, tf.mul(tf.sum(params['mean'] as tf.Tensor), 0))}),
      'denoise: wanted a gradient for the trained parameters; it is 0',
    );
    caught(
      'catches rows that see each other',
      withPolicy({
        denoise: (params, latent, time, text) => tf.add(toy.policy.denoise(params, latent, time, text), tf.mean(latent)),
      }),
      'denoise: wanted each latent predicted by itself',
    );
    caught(
      'catches videos outside the range',
      {
        decode: ({shape, data}) =>
          ndarray(
            'float32',
            [shape[0], 1, 1, 1, 3],
            Float32Array.from({length: data.length * 3}, (_, i) => data[Math.floor(i / 3)]),
          ),
      },
      'decode: wanted values in [-1, 1]',
    );
    caught(
      'catches videos of another shape',
      {decode: (latents) => ({...latents, data: latents.data.fill(0)})},
      'decode: wanted float32 [2, 1, 1, 1, 3]',
      'it writes into them',
    );
    caught(
      'catches a decoder that says something else inside the graph',
      {decodeInGraph: (latents) => tf.tile(tf.mul(tf.clipByValue(latents, -1, 1), 0.9), [1, 1, 1, 1, 3])},
      'decodeInGraph: wanted the videos of decode; they differ by up to 0.',
    );
    caught(
      'catches a decoder through which no gradient flows',
      {decodeInGraph: (latents) => tf.tile(tf.clipByValue(detach(latents), -1, 1), [1, 1, 1, 1, 3])},
      'decodeInGraph: wanted a finite gradient other than 0',
    );
    caught(
      'catches videos that depend on the batch',
      {
        decode: (latents) => ({
          ...toy.decode(latents),
          data: new Float32Array(latents.data.length * 3).fill(latents.shape[0] / 4),
        }),
      },
      'decode: wanted each latent decoded by itself',
    );
    const judgeOf = (change: Partial<Judge>): Partial<Environment> => ({
      openJudge: () => ({
        dimensions: ['quality', 'semantic', 'total'],
        judge: async (_, prompts) => prompts.map(() => ({quality: 0.5, semantic: 0.5, total: 0.5})),
        aggregate: () => ({quality: 0.5, semantic: 0.5, total: 0.5}),
        close: async () => undefined,
        ...change,
      }),
    });
    it('lets a plain judge pass', () =>
      checkEnvironment({...gaussianToyModule, open: broken({...toy, ...judgeOf({})})}, {device}));
    caught(
      'catches a judge without totals',
      judgeOf({aggregate: () => ({quality: 2, total: 0.5})}),
      'quality in [0, 1]; got 2',
      'semantic in [0, 1]; got undefined',
    );
    caught(
      'catches judgements',
      judgeOf({judge: async () => [{sharpness: 3}]}),
      'judge: wanted 3 judgements',
      'got "sharpness"',
      'scores in [0, 1]',
    );
    caught(
      'catches a judge of moods',
      judgeOf({judge: async (_, prompts) => prompts.map(() => ({quality: (calls++ % 97) / 97}))}),
      'the same judgements at every call',
    );
    caught(
      'catches a judge that looks at the order',
      judgeOf({judge: async (_, prompts) => prompts.map((_, i) => ({quality: i / 4}))}),
      'the order of the clips changes',
    );
    caught(
      'catches an independent encoder where that of rewards belongs',
      {encoders: nano.encoders!.filter(({independent}) => independent)},
      'encoders: wanted the one that rewards look through first',
    );
    caught(
      'catches a stretch for hard pairs that is none',
      {hardPairs: {from: 0.5, until: 0.5}},
      'hardPairs: wanted a stretch 0 ≤ from < until ≤ 1',
    );
    caught(
      'catches clips',
      {
        openClips: () => ({
          clips: async (indices) => ({videos: zeros('uint8', [indices.length, 1, 1, 3]), texts: [`word${calls++}`]}),
          close: async () => undefined,
        }),
      },
      'clips: wanted uint8 [2, 1, 1, 1, 3]',
      'a caption for each clip; got 1',
      'a pure function of the index',
      'clips: captions: wanted no error',
    );
  });

  describe('of a broken reward', () => {
    const toy = gaussianToy();
    const good = await_(() => brightness.open(bareContext(toy, device)));
    const broken = (change: (reward: Reward) => Partial<Reward>, named: Partial<RewardModule> = {}): RewardModule => ({
      ...brightness,
      ...named,
      open: async () => ({...(await good()), ...change(await good())}),
    });
    const caught = (title: string, change: (reward: Reward) => Partial<Reward>, ...messages: string[]): void => {
      it(title, () => expectFaults(checkReward(broken(change), toy, {device}), ...messages));
    };
    const rescored =
      (score: Reward['score']): (() => Partial<Reward>) =>
      () => ({score});
    let calls = 0;

    it('catches names that do not fit', () =>
      expectFaults(
        checkReward(
          broken(() => ({unit: 'px'}), {name: '2bright', summary: ''}),
          toy,
          {device},
        ),
        'wanted an identifier',
        'summary: wanted one line',
        'name: wanted 2bright',
        'unit: wanted 1',
      ));
    it('catches a reward that cannot open in this world', () =>
      expectFaults(checkReward(rewards.get('judge'), toy), 'open: wanted no error', 'has no judge'));
    caught(
      'catches missing scores',
      rescored(async () => new Float32Array(2)),
      'score: wanted 6 scores, one a video; got 2',
    );
    caught(
      'catches scores that are not finite',
      rescored(async () => new Float32Array(6).fill(NaN)),
      'score: wanted finite scores',
    );
    caught(
      'catches a constant',
      rescored(async () => new Float32Array(6)),
      'wanted different videos to differ',
    );
    caught(
      'catches moods',
      rescored(async () => new Float32Array(6).fill(calls++)),
      'wanted the same scores at every call',
    );
    caught(
      'catches scores that go by place',
      rescored(async () => Float32Array.from([1, 2, 3, 4, 5, 6])),
      'reordering the videos changes them',
    );
    caught(
      'catches a reward that writes into its videos',
      rescored(async (videos) => Float32Array.from({length: 6}, (_, i) => (videos.data[3 * i] += 1))),
      'it writes into them',
    );
    const differentiable =
      (score: (video: tf.Tensor) => tf.Tensor): ((reward: Reward) => Partial<Reward>) =>
      (reward) => ({differentiable: {...reward.differentiable!, score: (_, video) => score(video)}});
    const brightnessOf = (video: tf.Tensor): tf.Tensor => tf.mul(tf.add(tf.mean(video, [1, 2, 3, 4]), 1), 0.5);
    caught(
      'catches two forms that disagree',
      differentiable((video) => tf.mul(brightnessOf(video), 1.01)),
      'differentiable: wanted the scores of score',
    );
    caught(
      'catches a scalar',
      differentiable((video) => tf.mean(video)),
      'differentiable: wanted [6]; got []',
    );
    caught(
      'catches a form without gradient',
      differentiable((video) => detached(brightnessOf)(video)),
      'it is 0 for every pixel',
    );
    caught(
      'catches a wrong gradient',
      differentiable((video) => doubled(brightnessOf)(video)),
      'finite differences give',
    );
    it('catches a reward that falls where it should rise', () =>
      expectFaults(
        checkReward(
          broken((reward) => ({score: async (...given) => (await reward.score(...given)).map((x) => -x)})),
          toy,
          {
            examples: {
              better: float32([1, 1, 1], [1, 1, 1, 1, 3]),
              worse: float32([0, 0, 0], [1, 1, 1, 1, 3]),
              prompts: toy.prompts('train', 1),
            },
            device,
          },
        ),
        'wanted higher to be better; example 0',
      ));
  });

  describe('of a broken algorithm', () => {
    const toy = gaussianToy();
    const broken = (change: Partial<Algorithm>): Algorithm => ({...ddpo, ...change});
    const configured = (change: (algorithm: ConfiguredAlgorithm) => Partial<ConfiguredAlgorithm>): Partial<Algorithm> => ({
      configure: (options) => {
        const algorithm = ddpo.configure(options as never);
        return {...algorithm, ...change(algorithm)};
      },
    });
    const caught = (title: string, change: Partial<Algorithm>, ...messages: string[]): void => {
      it(title, () => expectFaults(checkAlgorithm(broken(change), toy, {device}), ...messages));
    };
    const {shape} = ddpo.options;
    let calls = 0;

    caught('catches names that do not fit', {name: 'd-d-p-o', summary: ''}, 'wanted an identifier', 'summary: wanted one line');
    caught(
      'catches an option without description',
      {options: z.strictObject({...shape, bufferSize: z.int().default(32)})},
      'a description of bufferSize',
    );
    caught(
      'catches an option without default',
      {options: z.strictObject({...shape, more: z.int().describe('More; ≥ 1.')})},
      'wanted a default for each',
      'more',
    );
    caught('catches options that swallow unknown keys', {options: z.object(shape)}, 'an unknown key passes');
    caught(
      'catches defaults that no run accepts',
      {defaults: {samplesPerPrompt: 1, minutes: 1}},
      'defaults: wanted settings that a run accepts',
    );
    caught('catches idle settings that there are not', {idle: () => [{key: 'clipRnge', reason: 'no'}]}, 'got "clipRnge"');
    caught(
      'catches a configuration that varies',
      configured(() => ({scalars: {clipRange: calls++}})),
      'configure: wanted a pure function',
    );
    caught(
      'catches memory that JSON bends',
      configured(({initialMemory}) => ({initialMemory: {...(initialMemory as object), limit: Infinity}})),
      'initialMemory: wanted a value that JSON keeps',
    );
    caught(
      'catches a loss that is not finite',
      configured(({loss}) => ({loss: (...given) => ({...loss(...given), loss: tf.log(tf.scalar(-1))})})),
      'wanted finite sums at ratio 1; loss is NaN',
      'learn: wanted no error',
    );
    caught(
      'catches a loss without gradient',
      configured(({loss}) => ({
        loss: (policy, batch, scalars) => ({...loss(policy, batch, scalars), loss: tf.mul(tf.sum(policy.predict(batch)), 0)}),
      })),
      'a finite gradient other than 0',
    );
    it('catches a loss without gradient where no step has a density', () => {
      const still = (it: ConfiguredAlgorithm): ConfiguredAlgorithm => ({
        ...it,
        loss: (policy, batch, scalars) => {
          const {loss, metrics} = it.loss(policy, batch, scalars);
          return {loss: tf.mul<tf.Scalar>(loss, 0), metrics};
        },
      });
      const algorithm = {...nft, configure: (options: never) => still(nft.configure(options))} as Algorithm;
      return expectFaults(checkAlgorithm(algorithm, toy, {device}), 'wanted a gradient other than 0 in some update');
    });
    caught(
      'catches a loss that the parity guard cannot see through',
      configured(({loss}) => ({loss: (...given) => ({...loss(...given), metrics: {}})})),
      'wanted the metric ratioGap',
    );
    caught(
      'catches a learner that emits nothing, or twice',
      configured((it) => ({learn: (...given) => it.learn(...given).pipe(mergeMap((s) => [s, s]))})),
      'wanted one state for one iteration; got 2',
    );
    caught(
      'catches a state that does not go on',
      configured((it) => ({
        learn: (...given) => it.learn(...given).pipe(map((s) => ({...s, iteration: 0, metrics: {loss: NaN}, memory: {x: NaN}}))),
      })),
      'wanted iteration 1 after the first; got 0',
      'wanted finite metrics; loss is NaN',
      'learn: wanted memory that JSON keeps',
    );
    caught(
      'catches updates that were not announced',
      configured(() => ({work: {stepShare: 1, updatesPerIteration: 3}})),
      'wanted the 3 updates that it announces; learn made 1',
    );
    caught(
      'catches a learner of moods',
      configured((it) => ({learn: (...given) => it.learn(...given).pipe(map((s) => ({...s, metrics: {mood: calls++}})))})),
      'a second run gives others',
    );
    caught(
      'catches a learner that writes into the state it is given',
      configured(() => ({learn: (_, state) => (((state as {iteration: number}).iteration = 1), from([state]))})),
      'learn: wanted no error',
    );
  });
});

/** A function that calls `open` once, when it is first needed. */
function await_<T>(open: () => Promise<T>): () => Promise<T> {
  let value: Promise<T> | undefined;
  return () => (value ??= open());
}

type Form = (video: tf.Tensor) => tf.Tensor;
const withGradient = (form: Form, gradient: (dy: tf.Tensor, video: tf.Tensor) => tf.Tensor): Form =>
  tf.customGrad(((video: tf.Tensor, save: tf.GradSaveFunc) => {
    save([video]);
    return {value: form(video), gradFunc: (dy: tf.Tensor, [saved]: tf.Tensor[]) => gradient(dy, saved)};
  }) as unknown as Parameters<typeof tf.customGrad>[0]);
const detached = (form: Form): Form => withGradient(form, (_, video) => tf.zerosLike(video));
const doubled = (form: Form): Form => withGradient(form, (_, video) => tf.fill(video.shape, 2 * (0.5 / 3)));
