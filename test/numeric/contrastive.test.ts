import * as tf from '@tensorflow/tfjs-core';
import {expect} from 'chai';
import '../../src/autograd/index.js';
import {contrastiveLoss, hardNegatives, matchingCrossEntropy, pushed, type Embedded} from '../../src/numeric/contrastive.js';
import {normals, uniforms} from '../../src/tensor/random.js';
import '../support/eager.js';

const WIDTH = 3;
let calls = 0;
/** Rows of unit length. */
const unit = (n: number): number[][] => {
  const z = normals({seed: 4, purpose: 'unit', sample: calls++}, new Float32Array(n * WIDTH));
  return Array.from({length: n}, (_, i) => {
    const row = Array.from(z.subarray(i * WIDTH, (i + 1) * WIDTH));
    return row.map((x) => x / Math.hypot(...row));
  });
};
interface Plain {
  readonly text: number[][];
  readonly video: number[][];
  readonly captions: number[];
}
const plain = (captions: number[]): Plain => ({text: unit(captions.length), video: unit(captions.length), captions});
const tensors = ({text, video, captions}: Plain): Embedded => ({
  text: tf.tensor2d(text),
  video: tf.tensor2d(video),
  captions: tf.tensor1d(captions, 'int32'),
});
const dot = (a: number[], b: number[]): number => a.reduce((sum, x, i) => sum + x * b[i], 0);

/** The loss by its definition, in float64. */
function reference(batch: Plain, keys: Plain, scale: number, queue?: Plain): number {
  const n = batch.captions.length;
  const side = (from: number[][], own: number[][], earlier: number[][]): number => {
    let total = 0;
    for (let i = 0; i < n; i++) {
      let sum = 0;
      for (let j = 0; j < n; j++) {
        if (j === i || batch.captions[j] !== batch.captions[i]) sum += Math.exp(scale * dot(from[i], own[j]));
      }
      earlier.forEach((candidate, j) => {
        const caption = queue!.captions[j];
        if (caption !== 0 && caption !== batch.captions[i]) sum += Math.exp(scale * dot(from[i], candidate));
      });
      total += Math.log(sum) - scale * dot(from[i], own[i]);
    }
    return total / n;
  };
  return (side(batch.video, keys.text, queue?.text ?? []) + side(batch.text, keys.video, queue?.video ?? [])) / 2;
}

describe('contrastive loss', () => {
  before(async () => {
    await tf.setBackend('cpu');
  });
  const batch = plain([7, 8, 9, 8]);
  const loss = (keys: Plain, scale: number, queue?: Plain): number =>
    contrastiveLoss(tensors(batch), tensors(keys), tf.scalar(scale), queue && tensors(queue)).dataSync()[0];

  it('within a batch is its definition, with equal captions left out', () => {
    expect(loss(batch, 5)).to.be.closeTo(reference(batch, batch, 5), 1e-5);
    const all = {...batch, captions: [1, 2, 3, 4]};
    expect(reference(all, all, 5)).not.to.be.closeTo(reference(batch, batch, 5), 1e-3);
  });

  it('with keys and a queue is its definition; empty places and equal captions of the queue do not count', () => {
    const [keys, queue] = [plain(batch.captions), plain([0, 9, 5, 0, 7, 6])];
    expect(loss(keys, 3, queue)).to.be.closeTo(reference(batch, keys, 3, queue), 1e-5);
    const empty = {...queue, captions: [0, 0, 0, 0, 0, 0]};
    expect(loss(keys, 3, empty)).to.be.closeTo(reference(batch, keys, 3), 1e-5);
  });

  it('has a wrong caption as one more candidate of its own video, where there is one', () => {
    const wrong = unit(4);
    const exists = [1, 0, 1, 0];
    const found = contrastiveLoss(tensors(batch), tensors(batch), tf.scalar(5), undefined, {
      text: tf.tensor2d(wrong),
      exists: tf.tensor1d(exists),
    }).dataSync()[0];
    // By the definition: row i's sum of exponentials grows by that of its wrong caption.
    const grown = batch.video.map((video, i) => {
      const others = batch.text.filter((_, j) => j === i || batch.captions[j] !== batch.captions[i]);
      const sum = others.reduce((total, text) => total + Math.exp(5 * dot(video, text)), 0);
      return Math.log1p((exists[i] * Math.exp(5 * dot(video, wrong[i]))) / sum);
    });
    expect(found).to.be.closeTo(reference(batch, batch, 5) + grown.reduce((a, b) => a + b) / 4 / 2, 1e-5);
  });

  it('is small where pairs coincide and all others are far, and log of the candidates where all are alike', () => {
    const axes = [
      [1, 0, 0],
      [0, 1, 0],
      [0, 0, 1],
    ];
    const apart = tensors({text: axes, video: axes, captions: [1, 2, 3]});
    expect(contrastiveLoss(apart, apart, tf.scalar(20)).dataSync()[0]).to.be.closeTo(Math.log(1 + 2 * Math.exp(-20)), 1e-6);
    const alike = tensors({text: [axes[0], axes[0], axes[0]], video: [axes[0], axes[0], axes[0]], captions: [1, 2, 3]});
    expect(contrastiveLoss(alike, alike, tf.scalar(20), alike).dataSync()[0]).to.be.closeTo(Math.log(5), 1e-5);
  });

  it('draws a pair together: a step against its gradient lowers it', () => {
    const {text, video, captions} = tensors(batch);
    const f = (t: tf.Tensor, v: tf.Tensor): tf.Scalar => {
      const moved = {text: t, video: v, captions};
      return contrastiveLoss(moved, moved, tf.scalar(5));
    };
    const {value, grads} = tf.valueAndGrads(f)([text, video]);
    const next = f(tf.sub(text, tf.mul(grads[0], 0.01)), tf.sub(video, tf.mul(grads[1], 0.01))).dataSync()[0];
    const slope = grads.reduce((sum, g) => sum + tf.sum(tf.square(g)).dataSync()[0], 0);
    expect(value.dataSync()[0] - next).to.be.closeTo(0.01 * slope, 0.002 * slope);
  });
});

describe('queue', () => {
  it('drops its oldest entries and appends the newest', () => {
    const [queue, batch] = [plain([1, 2, 3, 4, 5]), plain([6, 7])];
    const next = pushed(tensors(queue), tensors(batch));
    expect(Array.from(next.captions.dataSync())).to.deep.equal([3, 4, 5, 6, 7]);
    for (const side of ['text', 'video'] as const) {
      const wanted = [...queue[side].slice(2), ...batch[side]];
      expect(next[side].arraySync()).to.deep.equal(tf.tensor2d(wanted).arraySync());
    }
    expect(next.captions.dtype).to.equal('int32');
  });

  it('of the length of a batch holds the last batch', () => {
    const batch = plain([6, 7]);
    expect(Array.from(pushed(tensors(plain([1, 2])), tensors(batch)).captions.dataSync())).to.deep.equal([6, 7]);
  });
});

describe('hard negatives', () => {
  const logits = tf.tensor2d([
    [9, 1, 2, 8],
    [3, 9, 1, 0],
    [0, 2, 9, 1],
    [5, 4, 3, 9],
  ]);
  const none = tf.zeros([4, 4]);

  it('without noise are the best partners with another caption', () => {
    const {index, exists} = hardNegatives(logits, tf.tensor1d([1, 2, 3, 1], 'int32'), none);
    expect(Array.from(index.dataSync())).to.deep.equal([2, 0, 1, 1]);
    expect(Array.from(exists.dataSync())).to.deep.equal([1, 1, 1, 1]);
  });

  it('do not exist where all captions are equal', () => {
    const {exists} = hardNegatives(logits, tf.tensor1d([5, 5, 5, 5], 'int32'), none);
    expect(Array.from(exists.dataSync())).to.deep.equal([0, 0, 0, 0]);
  });

  it('are drawn in proportion to exp of the logits', () => {
    const draws = 1500;
    const counts = new Array<number>(4).fill(0);
    const u = uniforms({seed: 2, purpose: 'gumbel'}, new Float32Array(draws * 16));
    for (let d = 0; d < draws; d++) {
      const gumbel = Float32Array.from(u.subarray(d * 16, (d + 1) * 16), (x) => -Math.log(-Math.log(x)));
      const {index} = hardNegatives(tf.div(logits, 2), tf.tensor1d([1, 2, 3, 4], 'int32'), tf.tensor2d(gumbel, [4, 4]));
      counts[index.dataSync()[3]]++;
    }
    const weights = [5, 4, 3].map((x) => Math.exp(x / 2));
    const sum = weights.reduce((a, b) => a + b);
    // Three standard deviations of a share of so many draws.
    weights.forEach((w, j) => expect(counts[j] / draws).to.be.closeTo(w / sum, 3 * Math.sqrt(0.25 / draws)));
    expect(counts[3]).to.equal(0);
  });
});

describe('matching cross-entropy', () => {
  it('is −log softmax of the label, weighted', () => {
    const logits = [
      [0.5, 2],
      [1, -1],
      [3, 3],
    ];
    const weights = [1, 0, 1];
    for (const label of [0, 1] as const) {
      const each = logits.map((row) => Math.log(Math.exp(row[0]) + Math.exp(row[1])) - row[label]);
      const found = matchingCrossEntropy(tf.tensor2d(logits), label, tf.tensor1d(weights)).dataSync()[0];
      expect(found).to.be.closeTo((each[0] + each[2]) / 2, 1e-6);
    }
  });

  it('of nothing is 0, and large logits do not overflow', () => {
    expect(matchingCrossEntropy(tf.tensor2d([[1, 2]]), 0, tf.tensor1d([0])).dataSync()[0]).to.equal(0);
    expect(matchingCrossEntropy(tf.tensor2d([[-500, 500]]), 0, tf.tensor1d([1])).dataSync()[0]).to.be.closeTo(1000, 1e-3);
  });
});
