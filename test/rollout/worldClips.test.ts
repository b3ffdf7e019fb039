/** A world's clips as trajectories of no steps. */
import {expect} from 'chai';
import {gaussianToy} from '../../environments/gaussianToy.js';
import type {Device} from '../../src/engine/device.js';
import {ConfigError} from '../../src/errors.js';
import {gatherLatents, lastTransitions, stochasticTransitions} from '../../src/learn/transitions.js';
import {packPolicyFor, putPolicy} from '../../src/rollout/residentPolicy.js';
import {textEncoder} from '../../src/rollout/textEncoder.js';
import {openWorldClips} from '../../src/rollout/worldClips.js';
import {fromBytes} from '../../src/tensor/pixels.js';
import type {NdArray} from '../../src/tensor/ndarray.js';
import {nano, noisyWeights} from '../support/nano.js';
import {openTestDevice} from '../support/toy.js';

describe('openWorldClips', function () {
  this.timeout(60_000);
  let device: Device;
  before(async () => {
    device = await openTestDevice();
  });
  after(() => device.close());
  const params = noisyWeights(nano);
  const layout = packPolicyFor(nano, params);

  it('reads the clips of an iteration by its number: clean latents, captions and their text states, and no rewards', async () => {
    const policy = await putPolicy(device, params, layout);
    const clips = openWorldClips(nano, device, layout, {stream: 'curated', count: 3});
    const {trajectories, rewards} = await clips.read(policy, 2);
    const source = nano.openClips!('curated', 0);
    const wanted = await source.clips([6, 7, 8], false);
    expect(trajectories.videos).to.deep.equal(fromBytes(wanted.videos));
    expect(trajectories.prompts.map(({text}) => text)).to.deep.equal(wanted.texts);
    expect(trajectories.prompts.map(({id}) => id)).to.deep.equal(['curated-6', 'curated-7', 'curated-8']);
    expect(rewards.length).to.equal(0);
    expect(stochasticTransitions([{trajectories, rewards}])).to.deep.equal([]);
    const refs = lastTransitions([{trajectories, rewards}]).map((ref) => ({...ref, step: ref.step + 1}));
    const {latent, text} = gatherLatents([{trajectories, rewards}], refs) as Record<string, NdArray<'float32'>>;
    expect(latent).to.deep.equal(fromBytes(wanted.videos));
    expect(text).to.deep.equal(await textEncoder(nano, device, layout)(policy, wanted.texts));
    expect((await clips.read(policy, 2)).trajectories.latents).to.deep.equal(trajectories.latents);
    await Promise.all([source.close(), clips.close()]);
  });

  it('refuses a world without clips of its own, or without latents for them', () => {
    const {encode: _, ...closed} = nano;
    for (const world of [gaussianToy(), closed])
      expect(() => openWorldClips(world, device, layout, {stream: 'curated', count: 1}))
        .to.throw(ConfigError)
        .with.property('message')
        .that.includes(`${world.name} does not`);
  });
});
