import {expect} from 'chai';
import {readFileSync, readdirSync} from 'node:fs';
import {join} from 'node:path';
import {fluentClips} from '../../environments/fluentClips/fluentClips.js';
import {readWeights, writeWeights} from '../../src/run/weights.js';
import {temporaryFolder} from '../support/files.js';
import {nano, noisyWeights} from '../support/nano.js';
import {offZero} from '../support/pico.js';
import {runCommand} from '../support/runCommand.js';

describe('rlft fit', function () {
  this.timeout(60_000);
  const folder = temporaryFolder();

  it('fits a map to the clips of a world, and says what it did', async () => {
    const [weights, output] = [join(folder(), 'encoder.safetensors'), join(folder(), 'run')];
    const module = fluentClips('nano').encoders![0];
    await writeWeights(weights, offZero(module.initialise(0), 0.1), {metadata: {encoder: module.name}});
    const shared = ['--preset', 'nano', '--encoder', weights, '--pairs', '40', '--held-out', '24', '--neighbours', '3'];
    const plan = ['--steps', '2', '--every', '1', '--hidden', '8', '--batch', '8', '--map-updates', '2'];
    const {code, stdout, stderr} = await runCommand(['fit', 'transport', ...shared, ...plan, '--output-dir', output]);
    expect(stderr).to.match(/2 steps, 0 done; folder: .*run\nno map: mutual kNN \d\.\d+, structure 1\.0000, Fréchet .*\n/);
    expect(stderr).to.match(/step 1: mutual kNN .*\nstep 2: mutual kNN .*\nmap\.safetensors is that of step [12]\ndone\n$/);
    expect([code, stdout]).to.deep.equal([0, '']);
    expect((await readWeights(join(output, 'map.safetensors'))).metadata).to.include({
      map: 'neural',
      encoder: 'a',
      preset: 'nano',
    });
    const info = JSON.parse(readFileSync(join(output, 'run.json'), 'utf8')) as {command: string[]};
    expect(info.command.slice(0, 2)).to.deep.equal(['fit', 'transport']);

    const features = ['--features', join(output, 'features.safetensors')];
    const other = join(folder(), 'other');
    const solved = await runCommand(['fit', 'transport', ...shared, ...features, '--map', 'entropic', '--output-dir', other]);
    expect(solved.stderr).to.match(/the plan converged in \d+ rounds; its rows miss their weights by /);
    expect(readdirSync(other)).not.to.include('features.safetensors');

    const again = await runCommand(['fit', 'transport', '--resume', output]);
    expect([again.code, again.stderr.split('\n').at(-2)]).to.deep.equal([0, 'done']);
  });

  it('fits a preference network to what a policy makes, and says how often it is right', async () => {
    const [encoder, policy, output] = ['encoder', 'policy', 'run'].map((name) => join(folder(), `${name}.safetensors`));
    const module = fluentClips('nano').encoders![0];
    await writeWeights(encoder, offZero(module.initialise(0), 0.1), {metadata: {encoder: module.name}});
    await writeWeights(policy, noisyWeights(nano));
    const place = ['--preset', 'nano', '--encoder', encoder, '--policy', policy, '--threads', '1', '--output-dir', output];
    const sizes = [
      '--prompts',
      '4',
      '--held-out',
      '2',
      '--samples',
      '4',
      '--sampling-steps',
      '2',
      '--steps',
      '2',
      '--hidden',
      '8',
    ];
    const {code, stdout, stderr} = await runCommand(['fit', 'preference', ...place, ...sizes, '--label-noise', '0.2']);
    expect([code, stdout]).to.deep.equal([0, '']);
    expect(stderr).to.match(
      /labels: [\d.]+ % wrong\nas the judge ranks them: [\d.]+ % of \d+ pairs of 16 clips; held out: [\d.]+ % of \d+ pairs of 8 clips\npreference\.safetensors is in [^\n]+\n$/,
    );
    expect((await readWeights(join(output, 'preference.safetensors'))).metadata).to.include({labelNoise: '0.2', preset: 'nano'});
  });

  const wrong: [string[], RegExp][] = [
    [['fit', 'preference', '--label-noise', '0.7'], /--label-noise: .*0\.5/],
    [
      ['fit', 'preference', '--environment', 'gaussianToy', '--preset', 'pixel'],
      /fit preference: gaussianToy has no encoders, or no judge/,
    ],
    [['fit'], /^rlft: fit: wanted what to fit, transport or preference; got nothing\.\n$/],
    [['fit', 'transprt'], /unknown fit "transprt"; did you mean "transport"\?/],
    [['fit', 'transport', '--map', 'monge'], /--map: wanted one of identity, l2, .*; got "monge"/],
    [
      ['fit', 'transport', '--map', 'bures', '--hidden', '8'],
      /hidden: has no effect in this run: a map of kind bures does not use it/,
    ],
    [['fit', 'transport', '--map', 'l2', '--cost-weight', '2'], /costWeight: has no effect in this run: a map of kind l2/],
    [['fit', 'transport', '--epsilon', '0.2'], /epsilon: has no effect in this run: a map of kind neural/],
    [['fit', 'transport', '--environment', 'gaussianToy', '--preset', 'default'], /gaussianToy/],
  ];
  for (const [args, message] of wrong) {
    it(`answers ${args.join(' ')} with one line`, async () => {
      const {code, stdout, stderr} = await runCommand(args);
      expect(stderr).to.match(message);
      expect(stderr.trimEnd().split('\n').length).to.equal(1);
      expect([code, stdout]).to.deep.equal([2, '']);
    });
  }
});
