/** Composed rewards: each part opened once, asked at the same time, kept apart, and differentiated together. */
import {expect} from 'chai';
import {gaussianToy} from '../../environments/gaussianToy.js';
import {brightness} from '../../rewards/brightness.js';
import {nearTarget} from '../../rewards/nearTarget.js';
import {checkReward} from '../../src/conformance.js';
import type {Device} from '../../src/engine/device.js';
import type {Judge, Prompt} from '../../src/environment.js';
import {ConfigError, ContractError, NonFiniteError} from '../../src/errors.js';
import type {Reward, RewardContext, RewardModule} from '../../src/reward.js';
import {composeReward} from '../../src/rewards/composeReward.js';
import {float32, zeros, type NdArray} from '../../src/tensor/ndarray.js';
import {rejection} from '../support/files.js';
import {nano} from '../support/nano.js';
import {openTestDevice} from '../support/toy.js';

const environment = gaussianToy();
const prompts: Prompt[] = ['p', 'p', 'q', 'q'].map((id) => ({id, text: `prompt ${id}`}));
/** One pixel a video. */
const videos = float32([0.1, 0.4, 0.6, 0.2], [4, 1, 1, 1, 1]);
const context = {environment} as unknown as RewardContext;

/** A module that notes what happens to it. */
function noted(name: string, log: string[], change: Partial<Reward> = {}, opens = true): RewardModule {
  return {
    name,
    unit: '1',
    summary: `the ${name}`,
    open: async () => {
      if (!opens) throw new Error(`${name} is broken`);
      log.push(`open ${name}`);
      return {
        name,
        unit: '1',
        score: async (v: NdArray<'float32'>) => v.data.map((x) => x + 1),
        close: async () => void log.push(`close ${name}`),
        ...change,
      };
    },
  };
}

describe('composeReward', () => {
  it('is called by its expression, and sums up what its parts say of themselves', () => {
    const {name, unit, summary} = composeReward('2*b + a', [noted('a', []), noted('b', []), noted('c', [])]);
    expect({name, unit, summary}).to.deep.equal({name: '2*b + a', unit: '1', summary: 'b: the b; a: the a'});
  });

  it('opens each reward that is named once, and no other, and closes each', async () => {
    const log: string[] = [];
    const reward = await composeReward('a + a*b - a', [noted('a', log), noted('b', log), noted('c', log)]).open(context);
    expect(log).to.deep.equal(['open a', 'open b']);
    await reward.close!();
    expect(log.slice(2).sort()).to.deep.equal(['close a', 'close b']);
  });

  it('scores by the expression and keeps the scores of each part', async () => {
    const double = {score: async (v: NdArray<'float32'>) => v.data.map((x) => 2 * x)};
    const reward = await composeReward('a + 0.5*b', [noted('a', []), noted('b', [], double)]).open(context);
    const {scores, parts} = await reward.scoreParts!(videos, prompts);
    [0.1, 0.4, 0.6, 0.2].forEach((x, i) => expect(scores[i]).to.be.closeTo(x + 1 + x, 1e-6));
    expect(Object.keys(parts)).to.deep.equal(['a', 'b']);
    expect([...parts['b']].map((x) => x.toFixed(3))).to.deep.equal(['0.200', '0.800', '1.200', '0.400']);
    expect([...(await reward.score(videos, prompts))]).to.deep.equal([...scores]);
    expect(reward.parts!.map(({name}) => name)).to.deep.equal(['a', 'b']);
  });

  it('normalises among the samples of a prompt, wherever they stand', async () => {
    const reward = await composeReward('groupNormalise(a)', [noted('a', [])]).open(context);
    expect(reward.relative).to.equal(true);
    const scores = await reward.score(
      videos,
      ['p', 'q', 'p', 'q'].map((id) => ({id, text: id})),
    );
    [-1, 1, 1, -1].forEach((wanted, i) => expect(scores[i]).to.be.closeTo(wanted, 1e-4));
  });

  it('asks all parts at the same time', async () => {
    const waiting: (() => void)[] = [];
    const slow: Partial<Reward> = {
      score: (v) =>
        new Promise((resolve) => {
          waiting.push(() => resolve(v.data.slice()));
          // Only when both have been asked does either answer.
          if (waiting.length === 2) waiting.forEach((answer) => answer());
        }),
    };
    const reward = await composeReward('a + b', [noted('a', [], slow), noted('b', [], slow)]).open(context);
    expect((await reward.score(videos, prompts))[0]).to.be.closeTo(0.2, 1e-6);
  });

  it('opens all or none: what was opened is closed when another one fails', async () => {
    const log: string[] = [];
    const modules = [noted('a', log), noted('b', log, {}, false), noted('c', log)];
    expect((await rejection(composeReward('a + b + c', modules).open(context))).message).to.equal('b is broken');
    expect(log.sort()).to.deep.equal(['close a', 'close c', 'open a', 'open c']);
  });

  it('names the part whose score is not finite, missing, or no array of numbers', async () => {
    const score = async (of: Reward['score']): Promise<Error> => {
      const reward = await composeReward('a + b', [noted('a', []), noted('b', [], {score: of})]).open(context);
      return rejection(reward.score(videos, prompts));
    };
    const nan = await score(async () => Float32Array.of(0, 0, NaN, 0));
    expect(nan).to.be.instanceOf(NonFiniteError);
    expect(nan.message).to.equal('reward "b" is NaN for prompt "prompt q"; nothing was applied.');
    expect((await score(async () => new Float32Array(3))).message).to.include('reward "b": wanted 4 scores, one a video; got 3');
    const list = await score(async () => [1, 2, 3, 4] as unknown as Float32Array);
    expect(list).to.be.instanceOf(ContractError);
    expect(list.message).to.include('reward "b": wanted scores as a Float32Array; got object');
  });

  it('refuses at once what the expression may not hold', () => {
    expect(() => composeReward('a + c', [noted('a', [])])).to.throw(ConfigError, 'column 5: unknown reward "c"');
  });

  it('shares the judge of the run between its parts', async () => {
    let asked = 0;
    const judging = (name: string): RewardModule => ({
      ...noted(name, []),
      open: async (given) => {
        const found = given.judge();
        return {name, unit: '1', score: async (v, p) => Float32Array.from(await found.judge(v, p), () => 1)};
      },
    });
    const judge = {judge: async (_: unknown, p: readonly Prompt[]) => (asked++, p.map(() => ({})))} as unknown as Judge;
    const reward = await composeReward('a*b', [judging('a'), judging('b')]).open({environment, judge: () => judge} as never);
    expect([...(await reward.score(videos, prompts))]).to.deep.equal([1, 1, 1, 1]);
    expect(asked).to.equal(2);
  });
});

describe('the differentiable form of a composed reward', function () {
  this.timeout(60_000);
  let device: Device;
  before(async () => {
    device = await openTestDevice();
  });
  after(() => device.close());

  for (const text of ['brightness + 0.5*nearTarget', 'exp(nearTarget)*max(brightness, 0.2) - tanh(brightness)/2']) {
    it(`${text}: compiled it agrees with score, and its gradient with finite differences`, async () => {
      // Its name is no identifier; everything else of the contract holds.
      const module = composeReward(text, [brightness, nearTarget]);
      const named: RewardModule = {...module, name: 'both', open: async (c) => ({...(await module.open(c)), name: 'both'})};
      await checkReward(named, nano, {device});
    });
  }

  it('is there only if every part has one', async () => {
    const open = (text: string) => composeReward(text, [brightness, noted('a', [])]).open({environment, device} as never);
    expect((await open('brightness*2')).differentiable).to.be.an('object');
    expect((await open('brightness + a')).differentiable).to.equal(undefined);
  });

  it('says what its gradient holds constant: what its parts do, and the statistics of groups', async () => {
    const held: RewardModule = {
      ...brightness,
      name: 'held',
      open: async (c) => {
        const {differentiable, ...rest} = await brightness.open(c);
        return {...rest, name: 'held', differentiable: {...differentiable!, heldConstant: 'the plan'}};
      },
    };
    const heldBy = async (text: string): Promise<string | undefined> =>
      (await composeReward(text, [brightness, held]).open({environment, device} as never)).differentiable!.heldConstant;
    expect(await heldBy('brightness*2')).to.equal(undefined);
    expect(await heldBy('brightness + held')).to.equal('the plan');
    expect(await heldBy('groupNormalise(brightness) + held')).to.equal('the plan and the mean and deviation of each group');
  });

  it('normalises groups by the prompts that encode is given, and refuses a batch without groups', async () => {
    const reward = await composeReward('groupNormalise(brightness)', [brightness]).open({environment, device} as never);
    const form = reward.differentiable!;
    const score = device.jit('composed', (inputs) => ({
      score: form.score(inputs['params'] as never, inputs['video'] as never, inputs['prompts'] as never),
    }));
    const video = {
      ...zeros('float32', [4, 1, 1, 1, 3]),
      data: Float32Array.from({length: 12}, (_, i) => [0.1, 0.4, 0.6, 0.2][Math.floor(i / 3)]),
    };
    const order = ['p', 'q', 'p', 'q'].map((id) => ({id, text: id}));
    const {outputs} = await score({params: form.params, video, prompts: form.encode(order)});
    [-1, 1, 1, -1].forEach((wanted, i) => expect((outputs['score'] as NdArray).data[i]).to.be.closeTo(wanted, 1e-4));
    expect(() => form.encode(['p', 'q'].map((id) => ({id, text: id})))).to.throw(
      ConfigError,
      'wanted several samples of a prompt',
    );
  });
});
