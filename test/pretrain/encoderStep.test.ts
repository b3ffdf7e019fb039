/** One update of an encoder: compiled against eager; what its parts add up to; that it learns. */
import type * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import type {Device} from '../../src/engine/device.js';
import type {EncoderModule} from '../../src/encoder.js';
import {adamCorrections} from '../../src/numeric/optim/adamw.js';
import {encoderStep, initialEncoderState, trainedParameters} from '../../src/pretrain/encoderStep.js';
import {adamOptions, networkLayout} from '../../src/pretrain/optimise.js';
import {drawHidden, drawVisible} from '../../src/pretrain/trainEncoder.js';
import {float32, int32, ndarray, scalar, type NdArray} from '../../src/tensor/ndarray.js';
import {asVideo} from '../../src/tensor/pixels.js';
import {uniforms} from '../../src/tensor/random.js';
import {leaves, type Branch, type Params} from '../../src/tensor/tree.js';
import {runEagerly} from '../support/eager.js';
import {distance, expectNear} from '../support/near.js';
import {noiseClips, offZero, picoEncoders} from '../support/pico.js';
import {openTestDevice} from '../support/toy.js';

const COUNT = 4;
const QUEUE = 6;
const texts = ['a red car', 'a dog', 'a red dog left', 'a dog'];

const gumbels = (purpose: string): NdArray =>
  float32(
    uniforms({seed: 1, purpose}, new Float32Array(COUNT * COUNT)).map((u) => -Math.log(-Math.log(u))),
    [COUNT, COUNT],
  );

/** A batch of clips of noise. */
const batchOf = ({encoder, maskedVideo, maskedWords}: EncoderModule, masked: number): Record<string, NdArray | Params> => {
  const clips = noiseClips(COUNT);
  const tokens = encoder.tokenize(texts);
  return {
    video: ndarray(
      'uint8',
      clips.shape,
      Uint8Array.from(clips.data, (x) => (x + 1) * 127.5),
    ),
    tokens,
    hidden: drawHidden(1, 0, tokens, (id) => maskedWords!.isWord(id)),
    captions: int32([11, 12, 13, 12]),
    wrong: {tokens: encoder.tokenize(['a red dog', 'a car', 'a dog left', 'a dog']), exists: float32([1, 1, 1, 0])},
    gumbel: {text: gumbels('text'), video: gumbels('video')},
    visible: drawVisible(1, 0, masked, maskedVideo!.visible, maskedVideo!.tubes),
  };
};

const scheduleOf = (update: number): Record<string, NdArray> => {
  const {correction1, correction2} = adamCorrections(update, adamOptions);
  return {
    muonRate: scalar(0.02),
    adamRate: scalar(3e-3),
    averageDecay: scalar(0.9),
    correction1: scalar(correction1),
    correction2: scalar(correction2),
  };
};

describe('pre-training step of an encoder', function () {
  this.timeout(60_000);
  let device: Device;
  before(async () => {
    device = await openTestDevice();
  });
  after(() => device.close());

  for (const [name, module] of Object.entries(picoEncoders)) {
    const params = offZero(trainedParameters(module, 1));
    const layout = networkLayout(params);
    const step = encoderStep(module, layout, {video: 2, words: 3});
    const batch = batchOf(module, name === 'a' ? COUNT : 1);

    it(`${name}: is the step that tfjs takes, in one graph, queue included`, async () => {
      const state = initialEncoderState(module, params, layout, QUEUE);
      const eager = runEagerly(step, {state, batch, schedule: scheduleOf(1)});
      const resident = await device.put(state);
      const {outputs, applied} = await device.jit(`step/${name}`, step)(
        {state: resident, batch, schedule: scheduleOf(1)},
        {into: {state: resident}, guard: ['metrics.loss', 'metrics.gradientNorm']},
      );
      expect(applied).to.equal(true);
      const metrics = outputs['metrics'] as Record<string, NdArray>;
      for (const [path, wanted] of leaves<NdArray>(eager['metrics'])) {
        expectNear(metrics[path].data, wanted.data, {rtol: 2e-5, atol: 0}, path);
      }
      const {loss, contrast, matching, masked, maskedWords} = Object.fromEntries(
        Object.entries(metrics).map(([k, a]) => [k, a.data[0]]),
      );
      expect(loss).to.be.closeTo(contrast + matching + 2 * masked + 3 * maskedWords, 2e-5);
      const mine = new Map(leaves<NdArray>(await device.get(resident)));
      // Adam's first step is the sign of the gradient, so a gradient near zero may turn; the moments themselves are compared closer.
      const bounds: Record<string, number> = {
        'optimizer.params.rest': 2e-3,
        'optimizer.average.rest': 2e-3,
        'optimizer.params.matrices': 1e-4,
        'optimizer.average.matrices': 1e-4,
      };
      for (const [path, wanted] of leaves<NdArray>(eager['state'])) {
        expect(distance(mine.get(path)!.data, wanted.data), path).to.be.below(bounds[path] ?? 1e-4);
      }
      expect(Array.from(mine.get('queue.captions')!.data)).to.deep.equal([0, 0, 11, 12, 13, 12]);
    });

    it(`${name}: queues the batch as the averaged weights see it`, () => {
      const state = initialEncoderState(module, params, layout, COUNT);
      const other = offZero(trainedParameters(module, 1), 0.3);
      const optimizer = state['optimizer'] as Params;
      const average = initialEncoderState(module, other, layout, COUNT)['optimizer'] as Params;
      const {state: next} = runEagerly(step, {
        state: {...state, optimizer: {...optimizer, average: average['average']}},
        batch,
        schedule: scheduleOf(1),
      }) as {state: {queue: Record<string, NdArray>}};
      const alone = runEagerly(
        (x) => {
          const weights = x['params'] as Branch<tf.Tensor>;
          return {text: module.encoder.encodeText(weights, x['tokens'] as tf.Tensor).cls};
        },
        {params: other['encoder'], tokens: batch['tokens']},
      );
      expectNear(next.queue['text'].data, (alone['text'] as NdArray).data, {rtol: 1e-5, atol: 1e-6}, 'queue');
    });

    it(`${name}: lowers every part of the loss on a batch that it sees again and again`, async () => {
      const fresh = trainedParameters(module, 1);
      const state = await device.put(initialEncoderState(module, fresh, layout, QUEUE));
      const jitted = device.jit(`learn/${name}`, step);
      const seen: Record<string, number>[] = [];
      for (let update = 1; update <= 120; update++) {
        const {outputs} = await jitted({state, batch, schedule: scheduleOf(update)}, {into: {state}});
        seen.push(
          Object.fromEntries(Object.entries(outputs['metrics'] as Record<string, NdArray>).map(([k, a]) => [k, a.data[0]])),
        );
      }
      const last = seen.at(-1)!;
      expect(last['contrast'], 'contrast').to.be.below(0.5 * seen[0]['contrast']);
      expect(last['matching'], 'matching').to.be.below(0.3);
      expect(last['masked'], 'masked').to.be.below(0.8 * seen[0]['masked']);
      expect(last['maskedWords'], 'maskedWords').to.be.below(0.5 * seen[0]['maskedWords']);
    });
  }

  it('asks the matching head about the wrong captions that exist, half of the mismatches', () => {
    const module = picoEncoders.a;
    const params = offZero(trainedParameters(module, 1));
    const layout = networkLayout(params);
    const batch = batchOf(module, COUNT);
    const wrong = batch['wrong'] as Record<string, NdArray>;
    const matching = (exists: readonly number[]): number => {
      const given = {...batch, wrong: {...wrong, exists: float32(exists)}};
      const state = initialEncoderState(module, params, layout, QUEUE);
      const {metrics} = runEagerly(encoderStep(module, layout, {video: 2, words: 3}), {
        state,
        batch: given,
        schedule: scheduleOf(1),
      });
      return (metrics as Record<string, NdArray>)['matching'].data[0];
    };
    const {logits} = runEagerly(
      (x) => {
        const weights = x['params'] as Branch<tf.Tensor>;
        const text = module.encoder.encodeText(weights, x['tokens'] as tf.Tensor);
        return {
          logits: module.encoder.match(weights, text, module.encoder.encodeVideo(weights, asVideo(x['video'] as tf.Tensor))),
        };
      },
      {params: params['encoder'], tokens: wrong['tokens'], video: batch['video']},
    ) as {logits: NdArray};
    const losses = [0, 1, 2].map((i) => Math.log1p(Math.exp(logits.data[2 * i + 1] - logits.data[2 * i])));
    const mean = losses.reduce((a, b) => a + b) / 3;
    expect(matching([1, 1, 1, 0]) - matching([0, 0, 0, 0])).to.be.closeTo(mean / 4, 1e-5);
  });

  it('goes without masked videos and words where there are none', () => {
    const {maskedVideo: _, maskedWords: _words, ...module} = picoEncoders.a;
    const params = trainedParameters(module, 1);
    expect(Object.keys(params)).to.deep.equal(['encoder']);
    const layout = networkLayout(params);
    const {visible: _visible, hidden: _hidden, ...batch} = batchOf(picoEncoders.a, COUNT);
    const state = initialEncoderState(module, params, layout, QUEUE);
    const {metrics} = runEagerly(encoderStep(module, layout, {video: 5, words: 5}), {state, batch, schedule: scheduleOf(1)}) as {
      metrics: Record<string, NdArray>;
    };
    expect(metrics['masked'].data[0]).to.equal(0);
    expect(metrics['maskedWords'].data[0]).to.equal(0);
    expect(metrics['loss'].data[0]).to.be.closeTo(metrics['contrast'].data[0] + metrics['matching'].data[0], 1e-5);
  });
});

describe('visible tubes', () => {
  it('are as many as asked for, all different, in other places for every clip and update', () => {
    const drawn = drawVisible(3, 7, 50, 9, 36);
    expect(drawn.shape).to.deep.equal([50, 9, 36]);
    const places = Array.from({length: 50}, (_, clip) =>
      Array.from({length: 9}, (_row, v) => {
        const row = drawn.data.subarray((clip * 9 + v) * 36, (clip * 9 + v + 1) * 36);
        expect(row.reduce((a, b) => a + b)).to.equal(1);
        return row.indexOf(1);
      }),
    );
    for (const mine of places) expect(new Set(mine).size).to.equal(9);
    expect(new Set(places.map((mine) => mine.join())).size).to.equal(50);
    // Each of 36 tubes is drawn 12.5 times in 50 on average.
    const counts = new Array<number>(36).fill(0);
    places.flat().forEach((tube) => counts[tube]++);
    expect(Math.min(...counts)).to.be.greaterThan(3);
    expect(drawVisible(3, 7, 50, 9, 36)).to.deep.equal(drawn);
    expect(drawVisible(3, 8, 50, 9, 36)).not.to.deep.equal(drawn);
  });
});

describe('hidden words', () => {
  const isWord = (id: number): boolean => id > 0 && id < 9;
  const tokens = int32(
    Array.from({length: 500 * 6}, (_, i) => [9, 3, 1, 4, 8, 0][i % 6]),
    [500, 6],
  );

  it('are about two in five, never CLS or padding, other ones for every caption and update', () => {
    const drawn = drawHidden(3, 7, tokens, isWord);
    const rows = Array.from({length: 500}, (_, row) => drawn.data.subarray(6 * row, 6 * row + 6));
    for (const row of rows) expect([row[0], row[5]]).to.deep.equal([0, 0]);
    // 2000 words at .4, and one of a caption that would have none: .4 + .6⁴/4 = .432, with a deviation of .011.
    expect(drawn.data.reduce((a, b) => a + b) / 2000).to.be.within(0.39, 0.475);
    expect(new Set(rows.map((row) => row.join())).size).to.be.greaterThan(12);
    expect(drawHidden(3, 7, tokens, isWord)).to.deep.equal(drawn);
    expect(drawHidden(3, 8, tokens, isWord)).not.to.deep.equal(drawn);
  });

  it('are one at least of a caption that has words, and none of one that has not', () => {
    const short = int32(
      Array.from({length: 200 * 2}, (_, i) => [9, i < 200 ? 4 : 0][i % 2]),
      [200, 2],
    );
    const {data} = drawHidden(3, 7, short, isWord);
    expect(data.reduce((a, b) => a + b)).to.equal(100);
    expect(data.subarray(200).every((x) => x === 0)).to.equal(true);
  });
});
