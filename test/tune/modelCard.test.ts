/** What the card of a run says was learnt from. */
import {expect} from 'chai';
import {algorithms} from '../../src/builtins.js';
import {samplerTables} from '../../src/numeric/samplers/named.js';
import {geometryOf} from '../../src/tune/geometry.js';
import {modelCard} from '../../src/tune/modelCard.js';
import {optionsOf, tuneConfig} from '../../src/tune/schema.js';

/** Rows of facts of the card of a run with an algorithm's defaults, by their names; and its tags. */
function cardOf(name: string, settings: Readonly<Record<string, unknown>>): {facts: Record<string, string>; tags: string} {
  const algorithm = algorithms.get(name);
  const config = tuneConfig(algorithm, settings);
  const configured = algorithm.configure(optionsOf(algorithm, config));
  const tables = samplerTables(config.sampler, config.samplingSteps, config.noiseLevel);
  const card = modelCard({config, algorithm: configured}, geometryOf(config, configured, tables, 1000, 10), {
    ...{status: 'done', seed: 1, wallSeconds: 1, peakMemoryBytes: 1, iterations: 2, evaluation: null, otherEvaluations: []},
    monitor: {yardstick: null, looks: 0, alarms: [], best: null},
  });
  const facts = Array.from(card.matchAll(/^\| (\w+) \| (.*) \|$/gm), ([, fact, value]) => [fact, value] as const);
  return {facts: Object.fromEntries(facts), tags: /^tags: (.*)$/m.exec(card)![1]};
}

describe('modelCard', () => {
  it('of sft names its clips, and no prompts, samples or reward that it learns from', () => {
    const {facts, tags} = cardOf('sft', {clipsPerIteration: 24});
    expect(facts['clips']).to.equal("24 of the world's own an iteration, of the stream `curated`");
    expect(facts['reward']).to.equal('`judge`, measured before and after, not learnt from');
    expect(facts).not.to.have.property('prompts');
    expect(tags).to.equal('[text-to-video, sft]');
  });

  for (const name of algorithms.names.filter((one) => one !== 'sft')) {
    it(`of ${name} names prompts, samples and the reward`, () => {
      const {facts, tags} = cardOf(name, {promptsPerIteration: 6, samplesPerPrompt: 10, reward: 'brightness'});
      expect(facts['prompts']).to.equal('6 an iteration, of the split `train`; 10 samples of each');
      expect(facts['reward']).to.equal('`brightness`');
      expect(facts).not.to.have.property('clips');
      expect(tags).to.equal(`[text-to-video, reinforcement-learning, ${name}]`);
    });
  }
});
