import {expect} from 'chai';
import {z} from 'zod';
import {algorithms} from '../../src/builtins.js';
import {ConfigError, ContractError} from '../../src/errors.js';
import {optimizerOptions, peerNames, policyGradientOptions} from '../../src/options.js';
import {renderConfig, resolveConfig, type ConfigSources} from '../../src/run/config.js';
import {describeKeys} from '../../src/run/configKeys.js';
import {runSchema} from '../../src/run/runSchema.js';
import {tuneSchema} from '../../src/tune/schema.js';

const schema = runSchema({
  options: z.strictObject({...optimizerOptions, ...policyGradientOptions}),
  defaults: {algorithm: 'toy', environment: 'world', preset: 'nano', reward: 'brightness', minutes: 2, samplesPerPrompt: 4},
  check(config, complain) {
    const samples = config.promptsPerIteration * config.samplesPerPrompt;
    if (samples % config.minibatches !== 0) complain('minibatches', `wanted a divisor of ${samples} samples`);
  },
});

const resolve = (sources: ConfigSources): ReturnType<typeof resolveConfig<typeof schema>> =>
  resolveConfig(schema, sources, peerNames);

/** The lines of complaint, or an empty list if there are none. */
function complaints(sources: ConfigSources): string[] {
  try {
    resolve(sources);
    return [];
  } catch (error) {
    expect(error).to.be.instanceOf(ConfigError);
    return (error as Error).message.split('\n');
  }
}

const fromFile = (text: string): string[] => complaints({file: {path: 'run.yaml', text}});
const fromSet = (...set: string[]): string[] => complaints({set});

describe('run/config', () => {
  describe('sources', () => {
    it('fills every default', () => {
      const {value, origins} = resolve({});
      expect(value).to.deep.include({seed: 42, algorithm: 'toy', minutes: 2, samplesPerPrompt: 4, learningRate: 1e-4});
      expect(value.evaluation).to.deep.equal({prompts: 64, steps: 16, every: 0});
      expect(origins.size).to.equal(0);
    });

    it('takes flags over --set over the file over defaults, and remembers which', () => {
      const {value, origins} = resolve({
        file: {path: 'run.yaml', text: 'seed: 1\nthreads: 1\nevaluation:\n  every: 1\n  steps: 8\ninnerEpochs: 3\n'},
        set: ['seed=2', 'threads=2', 'evaluation.every=2'],
        flags: {seed: '3', 'evaluation.every': '3'},
      });
      expect(value).to.deep.include({seed: 3, threads: 2, innerEpochs: 3});
      expect(value.evaluation).to.deep.equal({prompts: 64, steps: 8, every: 3});
      expect(Object.fromEntries(origins)).to.deep.equal({
        seed: '--seed',
        threads: '--set',
        evaluation: 'run.yaml:3:1',
        'evaluation.every': '--evaluation-every',
        'evaluation.steps': 'run.yaml:5:3',
        innerEpochs: 'run.yaml:6:1',
      });
    });

    it('reads numbers as YAML 1.2 does and leaves text alone where text is wanted', () => {
      const {value} = resolve({set: ['learningRate=3e-5', 'reward=123'], flags: {policy: 'no: yes', device: '1'}});
      expect(value).to.deep.include({learningRate: 3e-5, reward: '123', policy: 'no: yes', device: '1'});
    });

    it('takes an empty file for no settings', () => {
      for (const text of ['', '\n# nothing\n', '---\n']) expect(fromFile(text)).to.deep.equal([]);
    });

    it('sets the default budget only where no budget was given', () => {
      expect(resolve({set: ['iterations=5']}).value)
        .to.deep.include({iterations: 5})
        .and.not.have.property('minutes');
      expect(resolve({set: ['minutes=5']}).value.minutes).to.equal(5);
      expect(resolve({set: ['minutes=5', 'iterations=5']}).value).to.deep.include({iterations: 5, minutes: 5});
    });
  });

  describe('complaints', () => {
    it('give file, line, column, key and the nearest key', () => {
      expect(fromFile('seed: 1\nevaluation:\n  evry: 3\nlearning_rate: 1\n')).to.deep.equal([
        'run.yaml:3:3 evaluation.evry: no such key; did you mean "evaluation.every"?',
        'run.yaml:4:1 learning_rate: no such key; did you mean "learningRate"?',
      ]);
    });

    it('know what other projects call a key', () => {
      expect(fromSet('eta=1')).to.deep.equal(['--set eta: no such key; did you mean "noiseLevel"?']);
      expect(fromSet('num_generations=4')).to.deep.equal([
        '--set num_generations: no such key; did you mean "samplesPerPrompt"?',
      ]);
      const keys = new Set(algorithms.names.flatMap((name) => describeKeys(tuneSchema(algorithms.get(name))).map((k) => k.path)));
      for (const ours of Object.values(peerNames)) expect(keys.has(ours), ours).to.equal(true);
    });

    it('do not point to a key that this run does not have', () => {
      expect(fromSet('kl_mask_threshold=1')).to.deep.equal(['--set kl_mask_threshold: no such key; `--help` lists the keys.']);
    });

    it('point to --help where nothing is near', () => {
      expect(fromFile('zzz: 1')).to.deep.equal(['run.yaml:1:1 zzz: no such key; `--help` lists the keys.']);
    });

    const wrong: [set: string, says: string][] = [
      ['seed=x', '--set seed: wanted a whole number; got "x".'],
      ['seed=1.5', '--set seed: wanted a whole number; got 1.5.'],
      ['seed=-1', '--set seed: wanted a whole number ≥ 0; got -1.'],
      ['seed=', '--set seed: wanted a whole number; got null.'],
      ['learningRate=0', '--set learningRate: wanted a number > 0; got 0.'],
      ['learningRate=.nan', '--set learningRate: wanted a number; got NaN.'],
      ['learningRate=.inf', '--set learningRate: wanted a number; got Infinity.'],
      ['timestepFraction=1.1', '--set timestepFraction: wanted a number ≤ 1; got 1.1.'],
      ['adamBeta1=1', '--set adamBeta1: wanted a number < 1; got 1.'],
      ['innerEpochs=[1]', '--set innerEpochs: wanted a whole number; got [1].'],
      ['reward=', '--set reward: wanted text with length ≥ 1; got "".'],
      ['evaluation=3', '--set evaluation: wanted keys and values; got 3.'],
      ['sampler=flow_sde', '--set sampler: wanted one of flowSde, ddim, cps, danceSde; got "flow_sde"; did you mean "flowSde"?'],
      ['sampler=zzz', '--set sampler: wanted one of flowSde, ddim, cps, danceSde; got "zzz".'],
      ['minibatches=3', '--set minibatches: wanted a divisor of 32 samples; got 3.'],
      ['seed=[', '--set seed: not a good value: Flow sequence must end with a ]'],
      ['seed', '--set seed: wanted key=value, such as --set seed=42; got no "=".'],
      ['=1', '--set =1: wanted key=value, such as --set seed=42; got no "=".'],
      ['evaluation..every=1', '--set evaluation..every: not the name of a key.'],
      ['__proto__.polluted=1', '--set __proto__.polluted: not the name of a key.'],
      ['constructor.x=1', '--set constructor: no such key; `--help` lists the keys.'],
    ];
    for (const [set, says] of wrong) {
      it(`say of --set ${set}: ${says}`, () => {
        expect(fromSet(set)).to.deep.equal([says]);
      });
    }

    it('name the flag alone when the flag is the key', () => {
      expect(complaints({flags: {learningRate: 'fast'}})).to.deep.equal(['--learning-rate: wanted a number; got "fast".']);
    });

    it('list every fault, not the first alone', () => {
      expect(fromSet('seed=x', 'threads=y', 'zzz=1')).to.have.length(3);
    });

    it('say where YAML is broken, and that keys may stand once', () => {
      expect(fromFile('seed: 1\n  threads: 2\n')[0]).to.match(/^run\.yaml:\d+:\d+: not good YAML: /);
      expect(fromFile('seed: 1\nseed: 2\n')[0]).to.match(/^run\.yaml:2:1: not good YAML: Map keys must be unique/);
    });

    it('refuse a list, a bare word, and something too long to be a configuration', () => {
      expect(fromFile('- 1\n')[0]).to.match(/^run\.yaml:1:1: wanted keys and values/);
      expect(fromFile('hello')[0]).to.match(/^run\.yaml:1:1: wanted keys and values/);
      expect(fromFile('#'.repeat(2 ** 20 + 1))[0]).to.match(/^run\.yaml: wanted a configuration; got 1048577 characters/);
    });

    it('refuse a bomb of aliases and a key that reaches the prototype', () => {
      const bomb = ['a0: &a0 [x, x]', ...Array.from({length: 20}, (_, i) => `a${i + 1}: &a${i + 1} [*a${i}, *a${i}]`)].join('\n');
      expect(fromFile(bomb)[0]).to.match(/^run\.yaml: not good YAML: Excessive alias count/);
      expect(fromFile('__proto__:\n  polluted: 1\n')[0]).to.match(/no such key|not the name/);
      expect(({} as Record<string, unknown>)['polluted']).to.equal(undefined);
    });
  });

  describe('keys', () => {
    it('have each a description that says more than the name', () => {
      for (const {path, description} of describeKeys(schema)) expect(description.length, path).to.be.greaterThan(15);
    });

    it('are described with type, choices and default', () => {
      const keys = new Map(describeKeys(schema).map((k) => [k.path, k]));
      expect(keys.get('sampler')).to.deep.include({
        type: 'choice',
        choices: ['flowSde', 'ddim', 'cps', 'danceSde'],
        default: 'flowSde',
      });
      expect(keys.get('seed')).to.deep.include({type: 'integer', default: 42});
      expect(keys.get('learningRate')).to.deep.include({type: 'number', default: 1e-4});
      expect(keys.get('evaluation.prompts')).to.deep.include({type: 'integer', default: 64});
      expect(keys.get('iterations')).to.not.have.property('default');
    });

    it('of an algorithm may not be those of every run', () => {
      expect(() => runSchema({options: z.strictObject({seed: z.int()}), defaults: {}})).to.throw(ContractError, /option "seed"/);
    });

    it('without a default are required by name', () => {
      const bare = runSchema({options: z.strictObject({}), defaults: {algorithm: 'a', environment: 'e', preset: 'p'}});
      expect(() => resolveConfig(bare, {})).to.throw(ConfigError, /^config reward: wanted text; got nothing\.$/);
    });
  });

  it('writes every value with its description as YAML that reads back the same', () => {
    const {value} = resolve({set: ['learningRate=3e-7', 'reward=0.7*a + 0.3*b', 'evaluation.every=4', 'iterations=3']});
    const text = renderConfig(schema, value);
    expect(text).to.include('# Step size of AdamW; > 0.\nlearningRate: ');
    expect(text).to.match(/evaluation:\n {2}# .*\n {2}prompts: 64\n/);
    expect(resolve({file: {path: 'config.yaml', text}}).value).to.deep.equal(value);
  });
});
