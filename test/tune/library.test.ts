/** Runs from a program: settings as an object, plug-ins as values. */
import {expect} from 'chai';
import {readdirSync} from 'node:fs';
import {ddpo} from '../../algorithms/ddpo.js';
import {brightness} from '../../rewards/brightness.js';
import {ConfigError, UnknownNameError} from '../../src/errors.js';
import {runFolder} from '../../src/run/runFolder.js';
import {runTuning} from '../../src/tune/open.js';
import {tuneConfig} from '../../src/tune/schema.js';
import {flatColoursModule} from '../docs/snippets/flatColours.js';
import {rejection, temporaryFolder} from '../support/files.js';

describe('tuneConfig', () => {
  it('fills in every default, nested ones too', () => {
    const config = tuneConfig(ddpo, {iterations: 3, evaluation: {every: 2}});
    expect(config).to.include({
      algorithm: 'ddpo',
      environment: 'fluentClips',
      iterations: 3,
      clipRange: ddpo.options.parse({}).clipRange,
    });
    expect(config.evaluation).to.have.keys('prompts', 'steps', 'every').and.include({every: 2});
  });

  it('gives the default budget only where none is given', () => {
    expect(tuneConfig(ddpo).minutes).to.be.a('number').equal(ddpo.defaults.minutes);
    expect(tuneConfig(ddpo, {iterations: 3}).minutes).to.equal(undefined);
  });

  it('names a wrong key and the right one', () => {
    expect(() => tuneConfig(ddpo, {learning_rate: 1})).to.throw(
      ConfigError,
      'learning_rate: no such key; did you mean "learningRate"?',
    );
  });

  it('refuses a setting that changes nothing', () => {
    expect(() => tuneConfig(ddpo, {clipRange: 0.5})).to.throw(ConfigError, 'clipRange: has no effect in this run');
  });
});

describe('runTuning', () => {
  const folder = temporaryFolder();
  const world = flatColoursModule.open('tiny');

  it('refuses a plug-in whose name is not the one that config.yaml would hold, and writes nothing', async () => {
    const request = {config: tuneConfig(ddpo, {reward: 'judge'}), folder: runFolder(folder()), reward: brightness};
    const error = await rejection(runTuning(request));
    expect(error).to.be.instanceOf(ConfigError);
    expect(error.message).to.equal(
      'reward: the configuration says "judge"; the plug-in given is "brightness". Write reward: "brightness" in the configuration.',
    );
    expect(readdirSync(folder())).to.deep.equal([]);
  });

  it('asks for weights of a world that ships none', async () => {
    const config = tuneConfig(ddpo, {environment: 'flatColours', preset: 'tiny', reward: 'brightness'});
    const error = await rejection(runTuning({config, folder: runFolder(folder()), environment: world}));
    expect(error.message).to.contain('policy: wanted a weights file; flatColours tiny ships none');
  });

  it('knows the built-in plug-ins by name, and no others', async () => {
    const config = tuneConfig(ddpo, {reward: 'brihgtness'});
    const error = await rejection(runTuning({config, folder: runFolder(folder())}));
    expect(error).to.be.instanceOf(UnknownNameError);
    expect(error.message).to.contain('"brightness"');
  });
});
