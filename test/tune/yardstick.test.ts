/** What policies are measured with beside their reward: which of judge and independent encoder, and that no reward gets the latter. */
import {expect} from 'chai';
import {join} from 'node:path';
import {environments} from '../../src/builtins.js';
import {openDevice} from '../../src/engine/devices.js';
import type {Device} from '../../src/engine/device.js';
import type {Judge} from '../../src/environment.js';
import {ConfigError} from '../../src/errors.js';
import {ndarray} from '../../src/tensor/ndarray.js';
import {fromBytes} from '../../src/tensor/pixels.js';
import {rewardContext, unturned} from '../../src/tune/rewardContext.js';
import {openIndependent, yardstickOf} from '../../src/tune/yardstick.js';
import {writeWeights} from '../../src/run/weights.js';
import {rejection, temporaryFolder} from '../support/files.js';

const named = (name: string) => ({name, unit: '1', score: async () => new Float32Array([0.25])});
const judge: Judge = {
  dimensions: [],
  judge: async () => [{total: 0.75}],
  aggregate: ([one]) => ({total: one['total']!}),
  close: async () => undefined,
};
const video = ndarray('float32', [1, 1, 1, 1, 1], new Float32Array(1));
const prompt = {id: 'p', text: 'p'};

describe('the yardstick', () => {
  const scoreOf = async (found: ReturnType<typeof yardstickOf>): Promise<readonly number[]> => found!.score(video, [prompt]);

  it('is the judge, unless it is optimised; then the independent encoder; then nothing', async () => {
    const independent = named('apart');
    const ofJudge = yardstickOf(named('brightness'), judge, independent);
    expect(ofJudge?.name).to.equal('judge/total');
    expect(await scoreOf(ofJudge)).to.deep.equal([0.75]);
    for (const reward of [named('judge'), {name: 'judge + brightness', parts: [named('judge'), named('brightness')]}]) {
      const found = yardstickOf(reward, judge, independent);
      expect(found?.name).to.equal('independent/apart');
      expect(await scoreOf(found)).to.deep.equal([0.25]);
      expect(yardstickOf(reward, judge, undefined)).to.equal(undefined);
    }
    expect(yardstickOf(named('brightness'), undefined, independent)?.name).to.equal('independent/apart');
    expect(yardstickOf(named('brightness'), undefined, undefined)).to.equal(undefined);
  });
});

describe('the independent encoder', function () {
  this.timeout(120_000);
  const folder = temporaryFolder();
  const mini = environments.get('fluentClips').open('mini');
  let device: Device;
  before(async () => (device = await openDevice('cpu', {threads: 1})));
  after(() => device.close());

  it('scores a clip higher with its caption than with one that is wrong in a single respect, by both parts', async () => {
    const measured = (await openIndependent(mini, device))!;
    const {videos, texts, wrong} = mini.encoderProbes!.counterfactuals(Array.from({length: 40}, (_, i) => i));
    const clips = fromBytes(videos);
    const scored = (captions: readonly string[]) =>
      measured.scoreParts!(
        clips,
        captions.map((text, i) => ({id: `${i}`, text})),
      );
    const [right, other] = [await scored(texts), await scored(wrong)];
    for (const name of ['similarity', 'matching']) {
      const ranked = right.parts[name].filter((x, i) => x > other.parts[name][i]).length;
      expect(ranked, `${name}: right caption higher, of 40`).to.be.at.least(32);
    }
    await measured.close?.();
  });

  it('ships with no world that has none', async () => {
    expect(await openIndependent(environments.get('fluentClips').open('nano'), device)).to.equal(undefined);
  });

  it('is refused to rewards, by its name and as a file', async () => {
    const module = mini.encoders!.find(({independent}) => independent)!;
    const file = join(folder(), 'b.safetensors');
    await writeWeights(file, module.initialise(0), {metadata: {encoder: module.name}});
    for (const encoder of [module.name, file]) {
      const opened = rewardContext(mini, device, {...unturned, reward: 'similarity', encoder});
      const error = await rejection(opened.context.encoder());
      expect(error).to.be.instanceOf(ConfigError);
      expect(error.message).to.include(`encoder: ${encoder} is the independent encoder "b" of fluentClips`);
      await opened.close();
    }
  });
});
