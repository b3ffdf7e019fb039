import {expect} from 'chai';
import {ConfigError, CorruptFileError} from '../../../src/errors.js';
import {initialiser} from '../../../src/models/initialise.js';
import {zeros, type NdArray} from '../../../src/tensor/ndarray.js';
import type {Params} from '../../../src/tensor/tree.js';
import {fitEntropicMap} from '../../../src/transport/maps/entropic.js';
import {fitGaussianMap} from '../../../src/transport/maps/gaussianMap.js';
import {perceptronParams} from '../../../src/transport/maps/perceptron.js';
import {fitProcrustes} from '../../../src/transport/maps/procrustes.js';
import {mapKind, mapNames, transportMap, type MapName} from '../../../src/transport/maps/transportMap.js';
import {normalCloud} from '../../support/clouds.js';
import {runEagerly} from '../../support/eager.js';

const WIDTH = 4;
const [text, video] = [normalCloud(30, WIDTH, 1), normalCloud(30, WIDTH, 2)];
const network = perceptronParams({inputs: WIDTH, hidden: 6, outputs: WIDTH}, (i, o) => initialiser(0).linear(i, o));
const paramsOf: Readonly<Record<MapName, Params>> = {
  identity: {},
  l2: network,
  kl: network,
  moments: network,
  neural: network,
  bures: fitGaussianMap(text, video),
  entropic: fitEntropicMap(text, video).params,
  procrustes: fitProcrustes(text, video),
};

describe('transportMap', () => {
  for (const name of mapNames) {
    it(`carries a batch of any size by a map of kind ${name}`, () => {
      const map = transportMap(name, paramsOf[name], WIDTH, 'test');
      for (const count of [1, 5]) {
        const {out} = runEagerly((inputs) => ({out: map.apply(inputs['params'] as never, inputs['y'] as never)}), {
          params: map.params,
          y: normalCloud(count, WIDTH, 9),
        }) as Record<string, NdArray>;
        expect(out.shape).to.deep.equal([count, WIDTH]);
        expect(Array.from(out.data).every(Number.isFinite)).to.equal(true);
      }
    });
  }

  it('leaves embeddings as they are where there is no map', () => {
    const {out} = runEagerly((inputs) => ({out: mapKind('identity').apply({}, inputs['y'] as never)}), {y: text}) as Record<
      string,
      NdArray
    >;
    expect([...out.data]).to.deep.equal([...text.data]);
  });

  it('says which kinds are fitted on pairs', () => {
    expect(mapNames.filter((name) => mapKind(name).usesPairs)).to.deep.equal(['l2', 'kl', 'procrustes']);
  });

  it('refuses parameters that are missing, of another width, or too many', () => {
    const {shift, ...without} = paramsOf.bures;
    expect(() => transportMap('bures', without, WIDTH, 'a.safetensors')).to.throw(
      CorruptFileError,
      'a.safetensors: wanted "shift" [4] of a bures map of width 4; got no such tensor.',
    );
    expect(() => transportMap('bures', paramsOf.bures, 5, 'a')).to.throw(CorruptFileError, /"matrix" \[5, 5\].*got \[4, 4\]/);
    expect(() => transportMap('neural', paramsOf.bures, WIDTH, 'a')).to.throw(CorruptFileError, /"0.linear.weight"/);
    expect(() => transportMap('identity', {shift: shift}, WIDTH, 'a')).to.throw(CorruptFileError, /holds "shift"/);
    const {epsilon, ...rest} = paramsOf.entropic;
    expect(() => transportMap('entropic', {...rest, epsilon: zeros('float32', [1])}, WIDTH, 'a')).to.throw(
      CorruptFileError,
      /"epsilon" \[\]/,
    );
    expect(epsilon).not.to.equal(undefined);
  });

  it('names the kinds there are', () => {
    expect(() => mapKind('monge')).to.throw(ConfigError, /unknown transport map "monge"; known: identity, l2, .*procrustes\./);
  });
});
