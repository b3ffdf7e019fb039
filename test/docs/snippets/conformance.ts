/** How plug-ins are checked: the lines of docs/adding-*.md, which test/docs/conformance.test.ts runs. */
import {checkAlgorithm, checkEncoder, checkEnvironment, checkReward} from '../../../src/conformance.js';
import {fluentClips, gaussianToy} from '../../../src/index.js';
import {colourEncoder} from './colourEncoder.js';
import {flatColoursModule} from './flatColours.js';
import {redness} from './redness.js';
import {reinforce} from './reinforce.js';

/** The checks, for a test that calls it. */
export function checks(): void {
  const world = flatColoursModule.open('tiny');
  it('redness keeps the contract of rewards', () => checkReward(redness, fluentClips('nano')));

  it('flatColours keeps the contract of environments', () => checkEnvironment(flatColoursModule));

  it('colour keeps the contract of encoders', () => checkEncoder(colourEncoder(world), ['red', 'green']));

  it('reinforce keeps the contract of algorithms', () => checkAlgorithm(reinforce, gaussianToy()));
}
