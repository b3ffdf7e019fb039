import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import type {CrossAttention} from '../../src/encoder.js';
import {videoTower, visibleTower} from '../../src/models/videoTower.js';
import {patchify} from '../../src/models/denoiser.js';
import {float32, rows, type NdArray} from '../../src/tensor/ndarray.js';
import {normals} from '../../src/tensor/random.js';
import {leaves, unflatten, type Branch, type Params} from '../../src/tensor/tree.js';
import {fluentClips} from '../../environments/fluentClips/fluentClips.js';
import {runEagerly} from '../support/eager.js';
import {expectNear} from '../support/near.js';
import {noiseClips, offZero, picoEncoders, picoShape, picoTexts} from '../support/pico.js';

const close = {rtol: 1e-5, atol: 1e-6};
const videos = noiseClips(picoTexts.length);

for (const [name, module] of Object.entries(picoEncoders)) {
  const {encoder} = module;
  const params = offZero(module.initialise(1));
  const width = {text: 12, video: name === 'a' ? 12 : 8};
  const inputs = {params, tokens: encoder.tokenize(picoTexts), videos};

  /** Everything that an encoder says of a batch. */
  const encode = (given: Params): Record<string, NdArray> =>
    runEagerly((x) => {
      const weights = x['params'] as Branch<tf.Tensor>;
      const text = encoder.encodeText(weights, x['tokens'] as tf.Tensor);
      const video = encoder.encodeVideo(weights, x['videos'] as tf.Tensor);
      return {
        textCls: text.cls,
        textStates: text.states,
        valid: text.valid,
        lexical: text.lexical,
        videoCls: video.cls,
        videoStates: video.states,
        logits: encoder.match(weights, text, video),
      };
    }, given) as Record<string, NdArray>;

  describe(`video-text encoder ${name}`, () => {
    const found = encode(inputs);
    const length = name === 'a' ? 5 : 4;

    it('has the shapes of the contract', () => {
      expect(Object.fromEntries(Object.entries(found).map(([key, a]) => [key, a.shape]))).to.deep.equal({
        textCls: [4, 6],
        textStates: [4, length, width.text],
        valid: [4, length],
        lexical: [4, length],
        videoCls: [4, 6],
        videoStates: [4, 13, width.video],
        logits: [4, 2],
      });
      expect([encoder.textLength, encoder.embeddingWidth, encoder.fusionLayers]).to.deep.equal([length, 6, 2]);
      expect(encoder.videoShape).to.deep.equal(picoShape);
    });

    it('embeds at unit length', () => {
      for (const {data} of [found['textCls'], found['videoCls']]) {
        for (let row = 0; row < 4; row++) {
          expect(Math.hypot(...data.subarray(row * 6, (row + 1) * 6))).to.be.closeTo(1, 1e-6);
        }
      }
    });

    it('marks tokens and, among them, words', () => {
      const words = [3, 2, 4, 3];
      const cls = name === 'a' ? 1 : 0;
      const mask = (first: number, ones: number): number[] =>
        Array.from({length}, (_, i) => (i >= first && i < first + ones ? 1 : 0));
      expect(Array.from(found['lexical'].data)).to.deep.equal(words.flatMap((n) => mask(cls, n)));
      expect(Array.from(found['valid'].data)).to.deep.equal(words.flatMap((n) => mask(0, n + cls)));
    });

    it('does not see padding', () => {
      const text = params['text'] as Record<string, NdArray>;
      const embedding = text['embedding'];
      const data = Float32Array.from(embedding.data, (x, i) => (i < width.text ? 50 + i : x));
      const changed = encode({...inputs, params: {...params, text: {...text, embedding: float32(data, embedding.shape)}}});
      for (const key of ['textCls', 'logits']) expect(changed[key].data).to.deep.equal(found[key].data);
      found['valid'].data.forEach((valid, token) => {
        const state = (a: NdArray): ArrayLike<number> => a.data.subarray(token * width.text, (token + 1) * width.text);
        if (valid === 1) expect(state(changed['textStates'])).to.deep.equal(state(found['textStates']));
        else expect(state(changed['textStates'])).not.to.deep.equal(state(found['textStates']));
      });
    });

    it('says of a pair alone what it says of it in a batch', () => {
      for (let row = 0; row < 4; row++) {
        const alone = encode({params, tokens: encoder.tokenize([picoTexts[row]]), videos: rows(videos, row, row + 1)});
        for (const [key, array] of Object.entries(found)) {
          expectNear(alone[key].data, rows(array, row, row + 1).data, close, `${key} of ${row}`);
        }
      }
    });

    it('places its tokens: CLS nowhere, then frame by frame from the top left', () => {
      const {frames, rows: down, columns} = encoder.geometry;
      const place = (i: number): number[] => [frames[i], down[i], columns[i]];
      expect([0, 1, 2, 3, 4, 6, 7, 12].map(place)).to.deep.equal([
        [-1, -1, -1],
        [0, 0, 0],
        [0, 0, 0.5],
        [0, 0, 1],
        [0, 1, 0],
        [0, 1, 1],
        [1, 0, 0],
        [1, 1, 1],
      ]);
      expect(frames).to.have.length(13);
    });

    it('has a state that depends on the pixels of its place most', () => {
      const data = videos.data.slice();
      const [frames, height, wide, channels] = picoShape;
      // The patch of rows 4-7 and columns 8-11 of frames 2 and 3: the last token.
      for (let f = 2; f < frames; f++) {
        for (let y = 4; y < height; y++)
          data.fill(1, ((f * height + y) * wide + 8) * channels, (f * height + y + 1) * wide * channels);
      }
      const changed = encode({...inputs, videos: float32(data, videos.shape)})['videoStates'];
      const moved = Array.from({length: 12}, (_, token) => {
        const at = (token + 1) * width.video;
        return Math.hypot(...changed.data.subarray(at, at + width.video).map((x, i) => x - found['videoStates'].data[at + i]));
      });
      const most = moved.indexOf(Math.max(...moved));
      // A convolution with stride 2 in time hands a frame to two tokens.
      if (name === 'a') expect(most).to.equal(11);
      else expect(most % 6).to.equal(5);
    });

    /** Logits, and what the hook was shown. */
    const refined = (refine: (attention: CrossAttention) => tf.Tensor): {logits: NdArray; seen: Record<string, NdArray>[]} => {
      const layers: number[] = [];
      const out = runEagerly((x) => {
        const weights = x['params'] as Branch<tf.Tensor>;
        const text = encoder.encodeText(weights, x['tokens'] as tf.Tensor);
        const video = encoder.encodeVideo(weights, x['videos'] as tf.Tensor);
        const seen: Record<string, Record<string, tf.Tensor>> = {};
        const logits = encoder.match(weights, text, video, (attention) => {
          layers.push(attention.layer);
          seen[attention.layer] = {weights: attention.weights, queries: attention.queries, keys: attention.keys};
          return refine(attention);
        });
        return {logits, seen};
      }, inputs);
      expect(layers).to.deep.equal([0, 1]);
      return {logits: out['logits'] as NdArray, seen: Object.values(out['seen'] as Record<string, Record<string, NdArray>>)};
    };

    it('shows a hook the attention of every head and layer: rows that sum to 1, made of its queries and keys', () => {
      const {logits, seen} = refined(({weights}) => weights);
      for (const {weights, queries, keys} of seen) {
        expect(weights.shape).to.deep.equal([4, 2, length, 13]);
        expect([queries.shape, keys.shape]).to.deep.equal([
          [4, length, width.text],
          [4, 13, width.text],
        ]);
        const [q, k] = [queries.data, keys.data] as Float32Array[];
        const d = width.text / 2;
        for (const data of [q, k]) {
          // Normalised within each head.
          for (let at = 0; at < data.length; at += d) {
            const head = data.subarray(at, at + d);
            expect(head.reduce((a, x) => a + x) / d).to.be.closeTo(0, 1e-5);
            expect(head.reduce((a, x) => a + x * x, 0) / d).to.be.closeTo(1, 1e-2);
          }
        }
        for (const [b, head, n] of [
          [0, 0, 0],
          [3, 1, 2],
          [2, 1, length - 1],
        ]) {
          const row = (weights as NdArray<'float32'>).data.subarray(
            ((b * 2 + head) * length + n) * 13,
            ((b * 2 + head) * length + n + 1) * 13,
          );
          expect(row.reduce((a, x) => a + x, 0)).to.be.closeTo(1, 1e-6);
          const scores = Array.from({length: 13}, (_, m) => {
            let dot = 0;
            for (let i = 0; i < d; i++) {
              dot += q[(b * length + n) * width.text + head * d + i] * k[(b * 13 + m) * width.text + head * d + i];
            }
            return Math.exp((2 * dot) / Math.sqrt(d));
          });
          const sum = scores.reduce((a, x) => a + x);
          expectNear(
            row,
            scores.map((s) => s / sum),
            {rtol: 1e-4, atol: 1e-6},
            'weights',
          );
        }
      }
      expectNear(logits.data, found['logits'].data, close, 'a hook that changes nothing');
    });

    it('matches by the weights that a hook returns, of the last layer too', () => {
      const uniform = refined(({weights}) => tf.fill(weights.shape, 1 / 13)).logits;
      const last = refined(({layer, weights, text}) => {
        const words = tf.reshape(text.lexical, [4, 1, length, 1]);
        const other = tf.add(tf.mul(weights, tf.sub(1, words)), tf.mul(tf.fill(weights.shape, 1 / 13), words));
        return layer === 1 ? other : weights;
      }).logits;
      for (const {data} of [uniform, last]) {
        for (let i = 0; i < 8; i++) expect(Math.abs(data[i] - found['logits'].data[i])).to.be.greaterThan(1e-5);
      }
    });

    it('has gradients that agree with finite differences, in every parameter', () => {
      const paths = leaves<NdArray>(params).map(([path]) => path);
      const projection = (purpose: string, n: number): tf.Tensor => tf.tensor1d(normals({seed: 8, purpose}, new Float32Array(n)));
      const loss = (weights: Branch<tf.Tensor>, x: Branch<tf.Tensor>): tf.Scalar => {
        const text = encoder.encodeText(weights, x['tokens'] as tf.Tensor);
        const video = encoder.encodeVideo(weights, x['videos'] as tf.Tensor);
        const logits = encoder.match(weights, text, video);
        const along = (t: tf.Tensor, key: string): tf.Tensor => tf.sum(tf.mul(tf.reshape(t, [-1]), projection(key, t.size)));
        return tf.add(
          tf.add(along(tf.mul(text.cls, encoder.similarityScale(weights)), 'text'), along(video.cls, 'video')),
          along(logits, 'logits'),
        );
      };
      const gradients = leaves<NdArray>(
        runEagerly((x) => {
          const flat = leaves(x['params'] as Branch<tf.Tensor>).map(([, t]) => t);
          const {grads} = tf.valueAndGrads((...ws: tf.Tensor[]) => loss(unflatten(paths.map((p, i) => [p, ws[i]] as const)), x))(
            flat,
          );
          return unflatten(paths.map((p, i) => [p, grads[i]] as const));
        }, inputs),
      );
      const valueAt = (path: string, step: number, direction: ArrayLike<number>): number => {
        const moved = unflatten(
          leaves<NdArray>(params).map(([p, leaf]) => [
            p,
            p === path
              ? float32(
                  Float32Array.from(leaf.data, (v, i) => v + step * direction[i]),
                  leaf.shape,
                )
              : leaf,
          ]),
        );
        const out = runEagerly((x) => ({loss: loss(x['params'] as Branch<tf.Tensor>, x)}), {...inputs, params: moved});
        return (out['loss'] as NdArray).data[0];
      };
      for (const [path, {data}] of gradients) {
        // Along the gradient itself, where the difference is largest against rounding.
        const norm = Math.hypot(...data);
        // A word that no caption here has and attention's indifference to a shift of all keys leave nothing to compare.
        if (path === 'video.pool.key.bias') {
          expect(norm, path).to.be.below(1e-4);
          continue;
        }
        expect(norm, path).to.be.greaterThan(1e-4);
        const direction = data.map((g) => g / norm);
        const slopeAt = (step: number): number => (valueAt(path, step, direction) - valueAt(path, -step, direction)) / (2 * step);
        const step = 1e-2 / Math.max(1, norm);
        const slope = (4 * slopeAt(step / 2) - slopeAt(step)) / 3;
        expect(slope / norm, path).to.be.closeTo(1, 0.05);
      }
    }).timeout(150_000);
  });
}

describe('video tower', () => {
  const module = picoEncoders.a;
  const config = {latentShape: picoShape, patch: [2, 4, 4], width: 12, depth: 2, heads: 2} as const;
  const params = (offZero(module.initialise(1)) as Record<string, Params>)['video'];
  const selection = (tubes: readonly number[]): NdArray<'float32'> => {
    const one = tubes.flatMap((tube) => Array.from({length: 6}, (_, i) => (i === tube ? 1 : 0)));
    return float32([...one, ...one, ...one, ...one], [4, tubes.length, 6]);
  };
  const visible = (clips: NdArray<'float32'>, tubes: readonly number[]): Record<string, NdArray> =>
    runEagerly(
      (x) => ({
        ...visibleTower(
          config,
          x['params'] as Branch<tf.Tensor>,
          patchify(config, x['clips'] as tf.Tensor),
          x['visible'] as tf.Tensor,
        ),
      }),
      {params, clips, visible: selection(tubes)},
    ) as Record<string, NdArray>;

  it('makes of all tubes what it makes of the whole clip', () => {
    const whole = runEagerly((x) => ({...videoTower(config, x['params'] as Branch<tf.Tensor>, x['clips'] as tf.Tensor)}), {
      params,
      clips: videos,
    }) as Record<string, NdArray>;
    const all = visible(videos, [0, 1, 2, 3, 4, 5]);
    for (const key of ['cls', 'tokens']) expectNear(all[key].data, whole[key].data, close, key);
  });

  it('does not see hidden tubes', () => {
    const data = videos.data.slice();
    // Columns 4 to 7 of rows 0 to 3 of every frame: tube 1.
    for (let frame = 0; frame < 16; frame++) {
      for (let y = 0; y < 4; y++) data.fill(0.5, ((frame * 8 + y) * 12 + 4) * 3, ((frame * 8 + y) * 12 + 8) * 3);
    }
    const changed = float32(data, videos.shape);
    expect(visible(changed, [0, 2, 5])).to.deep.equal(visible(videos, [0, 2, 5]));
    expect(visible(changed, [0, 1, 5])).not.to.deep.equal(visible(videos, [0, 1, 5]));
  });
});

describe('masked video modelling', () => {
  for (const [name, module] of Object.entries(picoEncoders)) {
    const {maskedVideo} = module;
    const masks = float32([0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0], [2, 1, 6]);
    const decoder = maskedVideo!.initialise(5);
    const lossOf = (change: Partial<Params>, clips = noiseClips(2)): number =>
      (
        runEagerly(
          (x) => ({
            loss: maskedVideo!.loss(
              x['params'] as Branch<tf.Tensor>,
              x['decoder'] as Branch<tf.Tensor>,
              x['clips'] as tf.Tensor,
              x['visible'] as tf.Tensor,
            ),
          }),
          {params: offZero(module.initialise(1)), decoder: {...decoder, ...change} as Params, clips, visible: masks},
        )['loss'] as NdArray
      ).data[0];

    it(`of ${name} is the mean squared error of the pixels of hidden tubes`, () => {
      // A decoder that paints everything in one grey.
      const out = decoder['out'] as Record<string, NdArray>;
      const grey = {
        out: {
          weight: float32(new Float32Array(out['weight'].data.length), out['weight'].shape),
          bias: float32(new Float32Array(out['bias'].data.length).fill(0.3), out['bias'].shape),
        },
      };
      const clips = noiseClips(2);
      const shown = [2, 4];
      let [sum, count] = [0, 0];
      const [frames, height, width, channels] = picoShape;
      clips.data.forEach((x, i) => {
        const [clip, at] = [Math.floor(i / (frames * height * width * channels)), Math.floor(i / channels) % (height * width)];
        const tube = Math.floor(Math.floor(at / width) / 4) * 3 + Math.floor((at % width) / 4);
        if (tube === shown[clip]) return;
        sum += (x - 0.3) ** 2;
        count++;
      });
      expect(count).to.equal((clips.data.length * 5) / 6);
      expect(lossOf(grey, clips)).to.be.closeTo(sum / count, 1e-5);
    });

    it(`of ${name} uses what is shown`, () => {
      const data = noiseClips(2).data.slice();
      const before = lossOf(offZero(decoder));
      const size = picoShape[1] * picoShape[2] * picoShape[3];
      // Tube 2 of the first clip: rows 0 to 3, columns 8 to 11.
      for (let f = 0; f < picoShape[0]; f++)
        for (let y = 0; y < 4; y++) data.fill(-1, f * size + (y * 12 + 8) * 3, f * size + (y + 1) * 36);
      expect(Math.abs(lossOf(offZero(decoder), float32(data, [2, ...picoShape])) - before)).to.be.greaterThan(1e-6);
    });

    it(`of ${name} shows a quarter of the tubes, and applies to a share of a batch`, () => {
      expect([maskedVideo!.tubes, maskedVideo!.visible]).to.deep.equal([6, 2]);
      expect(maskedVideo!.share).to.equal(name === 'a' ? 1 : 0.25);
      for (const mini of fluentClips('mini').encoders!) {
        expect([mini.maskedVideo!.tubes, mini.maskedVideo!.visible]).to.deep.equal([36, 9]);
      }
    });
  }
});

describe('masked language modelling', () => {
  for (const [name, module] of Object.entries(picoEncoders)) {
    const {encoder, maskedWords} = module;
    const tokens = encoder.tokenize(picoTexts);
    const [count, length] = tokens.shape as [number, number];
    // The last word of each caption.
    const last = Array.from({length: count}, (_, row) =>
      Array.from({length}, (_at, i) => i).findLast((i) => maskedWords!.isWord(tokens.data[row * length + i])),
    );
    const hidden = float32(
      Array.from({length: count * length}, (_, i) => Number(i % length === last[Math.floor(i / length)])),
      [count, length],
    );
    const decoder = maskedWords!.initialise(5);
    const params = offZero(module.initialise(1));
    const lossOf = (given: {tokens?: NdArray; decoder?: Params; clips?: NdArray}): number =>
      (
        runEagerly(
          (x) => {
            const weights = x['params'] as Branch<tf.Tensor>;
            const video = encoder.encodeVideo(weights, x['clips'] as tf.Tensor);
            return {
              loss: maskedWords!.loss(
                weights,
                x['decoder'] as Branch<tf.Tensor>,
                x['tokens'] as tf.Tensor,
                x['hidden'] as tf.Tensor,
                video,
              ),
            };
          },
          {params, hidden, tokens: given.tokens ?? tokens, decoder: given.decoder ?? decoder, clips: given.clips ?? videos},
        )['loss'] as NdArray
      ).data[0];
    /** A head that gives every word the same logits, whatever it saw. */
    const blind = (logit: (id: number) => number): Params => {
      const {weight, bias} = decoder['head'] as Record<string, NdArray>;
      return {
        ...decoder,
        head: {
          weight: float32(new Float32Array(weight.data.length), weight.shape),
          bias: float32(Array.from(bias.data, (_, id) => logit(id))),
        },
      };
    };
    const words = (decoder['head'] as Record<string, NdArray>)['bias'].data.length;

    it(`of ${name} is −log softmax of the hidden words alone`, () => {
      expect(lossOf({decoder: blind(() => 0)})).to.be.closeTo(Math.log(words), 1e-5);
      const logits = Array.from({length: words}, (_, id) => Math.sin(id));
      const sum = Math.log(logits.reduce((total, x) => total + Math.exp(x), 0));
      const wanted = last.map((i, row) => sum - logits[tokens.data[row * length + i!]]).reduce((a, b) => a + b) / count;
      expect(lossOf({decoder: blind((id) => logits[id])})).to.be.closeTo(wanted, 1e-5);
    });

    it(`of ${name} does not see what is hidden, and sees the clip and the other words`, () => {
      const change = (at: (row: number) => number): NdArray<'int32'> => {
        const data = Int32Array.from(tokens.data);
        for (let row = 0; row < count; row++) data[row * length + at(row)] = (data[row * length + at(row)] % (words - 1)) + 1;
        return {...tokens, data};
      };
      // With a head that does not tell words apart, only the states could change the loss.
      const even = offZero(decoder);
      const {weight} = even['head'] as Record<string, NdArray>;
      const [width] = weight.shape;
      const column = Float32Array.from({length: width}, (_, i) => weight.data[i * words]);
      const tilted: Params = {
        ...even,
        head: {
          weight: float32(
            // Word 0 is never hidden, and all others share one column.
            Array.from({length: width * words}, (_, i) => (i % words === 0 ? 0 : column[Math.floor(i / words)])),
            weight.shape,
          ),
          bias: float32(new Float32Array(words)),
        },
      };
      const before = lossOf({decoder: tilted});
      expect(lossOf({decoder: tilted, tokens: change((row) => last[row]!)})).to.equal(before);
      const first = name === 'a' ? 1 : 0;
      expect(Math.abs(lossOf({decoder: tilted, tokens: change(() => first)}) - before)).to.be.greaterThan(1e-6);
      const other = float32(
        Array.from(videos.data, (x) => -x),
        videos.shape,
      );
      expect(Math.abs(lossOf({decoder: tilted, clips: other}) - before)).to.be.greaterThan(1e-6);
    });
  }
});

describe('encoders of fluent clips', () => {
  for (const preset of ['nano', 'mini']) {
    it(`${preset}: a, then b; they read the world's clips and captions, and no shape of the two is the other's`, () => {
      const world = fluentClips(preset);
      const [a, b] = world.encoders!;
      expect([a.name, b.name]).to.deep.equal(['a', 'b']);
      for (const {encoder} of [a, b]) expect(encoder.videoShape).to.deep.equal(world.videoShape);
      const {text} = world.prompts('train', 1)[0];
      const words = world.policy.tokenize([text]).data;
      expect(Array.from(b.encoder.tokenize([text]).data)).to.deep.equal(Array.from(words));
      const [cls, ...rest] = a.encoder.tokenize([text]).data;
      expect(rest).to.deep.equal(Array.from(words));
      expect(Array.from(words)).not.to.include(cls);
      const [first, again, other] = [a.initialise(3), a.initialise(3), a.initialise(4)];
      expect(first).to.deep.equal(again);
      expect(first).not.to.deep.equal(other);
    });
  }
});
