import * as tf from '@tensorflow/tfjs-core';
import {initialiser} from '../../../src/models/initialise.js';
import type {NdArray} from '../../../src/tensor/ndarray.js';
import {leaves, unflatten, type Branch, type Params} from '../../../src/tensor/tree.js';
import {perceptron, perceptronParams} from '../../../src/transport/maps/perceptron.js';
import {frozenPerceptron, trainedPerceptron} from '../../../src/transport/maps/perceptronGradient.js';
import {normalCloud} from '../../support/clouds.js';
import {runEagerly} from '../../support/eager.js';
import {expectNear, scaleOf} from '../../support/near.js';
import {offZero} from '../../support/pico.js';

type Network = (params: Branch<tf.Tensor>, x: tf.Tensor) => tf.Tensor;

/** Value of Σ y∘w and its gradients in the input and, if asked for, in every parameter. */
const gradients =
  (network: Network, inParams: boolean) =>
  (inputs: Branch<tf.Tensor>): Branch<tf.Tensor> => {
    const params = inputs['params'] as Branch<tf.Tensor>;
    const [x, w] = [inputs['x'], inputs['w']] as tf.Tensor[];
    const named = inParams ? leaves<tf.Tensor>(params) : [];
    const {value, grads} = tf.valueAndGrads((input: tf.Tensor, ...given: tf.Tensor[]) => {
      const used = inParams ? unflatten(named.map(([path], i) => [path, given[i]] as const)) : params;
      return tf.sum(tf.mul(network(used, input), w));
    })([x, ...named.map(([, leaf]) => leaf)]);
    return {value, x: grads[0], ...unflatten(named.map(([path], i) => [`params.${path}`, grads[i + 1]] as const))};
  };

for (const [outputs, what] of [
  [5, 'a map'],
  [1, 'a potential'],
] as const) {
  describe(`closed gradient of ${what}`, () => {
    const draws = initialiser(1);
    const params: Params = offZero(perceptronParams({inputs: 5, hidden: 12, outputs}, (i, o) => draws.linear(i, o)));
    const inputs = {params, x: normalCloud(9, 5, 2), w: normalCloud(9, outputs, 3)};

    /** Automatic differentiation of the plain composition is the second opinion. */
    const expectSame = (network: Network, inParams: boolean): void => {
      const wanted = new Map(leaves<NdArray>(runEagerly(gradients(perceptron, inParams), inputs)));
      const found = leaves<NdArray>(runEagerly(gradients(network, inParams), inputs));
      expectNear([found.length], [inParams ? 12 : 2], {atol: 0, rtol: 0}, 'gradients');
      for (const [path, {data}] of found) {
        const right = wanted.get(path)!.data;
        expectNear(data, right, {atol: 3e-6 * scaleOf(right), rtol: 0}, path);
      }
    };

    it('is that of automatic differentiation, in all parameters and the input', () => expectSame(trainedPerceptron, true));

    it('is that of automatic differentiation in the input, where parameters are frozen', () =>
      expectSame((given, x) => frozenPerceptron(given)(x), false));
  });
}
