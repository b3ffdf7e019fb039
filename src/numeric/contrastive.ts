/**
 * Losses that bring captions and videos together: contrast within a batch and a queue of earlier ones, and the choice of hard
 * negatives. Captions that say the same are never each other's negatives: in a small world they are common.
 */
import * as tf from '@tensorflow/tfjs-core';

/** Logit of what must not count. */
const NEVER = -1e9;

/** Embeddings of a batch or of a queue, and what tells equal captions. */
export interface Embedded {
  /** `[B, E]`, unit length. */
  readonly text: tf.Tensor;
  /** `[B, E]`, unit length. */
  readonly video: tf.Tensor;
  /** `[B]` int32: equal where captions are equal; 0 where a queue has no entry yet. */
  readonly captions: tf.Tensor;
}

/** For each video of a batch a caption that is wrong. */
export interface WrongCaptions {
  /** `[B, E]`, unit length. */
  readonly text: tf.Tensor;
  /** `[B]`: 0 where there is none. */
  readonly exists: tf.Tensor;
}

/** `[A, B]`: 1 where two captions are equal. */
const sameCaption = (a: tf.Tensor, b: tf.Tensor): tf.Tensor =>
  tf.cast(tf.equal(tf.reshape(a, [-1, 1]), tf.reshape(b, [1, -1])), 'float32');

const identity = (n: number): tf.Tensor2D =>
  tf.tensor2d(
    Array.from({length: n * n}, (_, i) => (i % (n + 1) === 0 ? 1 : 0)),
    [n, n],
  );

/** `[B, Q]`: 1 where a queue's entry may not be a negative: an equal caption, or nothing there. */
const excluded = (batch: Embedded, queue: Embedded): tf.Tensor =>
  tf.maximum(
    sameCaption(batch.captions, queue.captions),
    tf.cast(tf.equal(tf.reshape(queue.captions, [1, -1]), tf.scalar(0, 'int32')), 'float32'),
  );

/** Mean of −log softmax of the diagonal: `logits [B, B + Q]`. */
function diagonalCrossEntropy(logits: tf.Tensor): tf.Scalar {
  const batch = logits.shape[0];
  const own = tf.sum(tf.mul(tf.slice(logits, [0, 0], [batch, batch]), identity(batch)), 1);
  const largest = tf.max(logits, 1, true);
  const logSum = tf.add(tf.log(tf.sum(tf.exp(tf.sub(logits, largest)), 1)), tf.reshape(largest, [batch]));
  return tf.mean(tf.sub(logSum, own));
}

/**
 * Video-text contrast: each video has to find its caption among candidates, and each caption its video.
 *
 *   L = ½·mean_i −log softmax_j(s·v_i·t_j)[i] + ½·mean_i −log softmax_j(s·t_i·v_j)[i]
 *
 * @param keys the candidates of the same pairs: `batch` itself, or the same as a slower copy of the network sees them.
 * @param scale s, the inverse temperature; a scalar.
 * @param wrong `[B, E]`: a wrong caption of each video, one more candidate for that video alone, and `[B]`: 1 where there is one.
 * @param queue further candidates, of earlier batches; they must come from where the keys come from, or the network could tell
 * them from its own by their age.
 * @source Radford et al. 2021, CLIP, arXiv:2103.00020, figure 3; keys and queue: He et al. 2020, MoCo, arXiv:1911.05722, section 3.
 * A wrong caption per video: Yuksekgonul et al. 2023, NegCLIP, arXiv:2210.01936.
 * @deviation equal captions are left out.
 */
export function contrastiveLoss(
  batch: Embedded,
  keys: Embedded,
  scale: tf.Tensor,
  queue?: Embedded,
  wrong?: WrongCaptions,
): tf.Scalar {
  const n = batch.captions.size;
  const among = tf.sub(sameCaption(batch.captions, batch.captions), identity(n));
  const barred = tf.mul(queue ? tf.concat([among, excluded(batch, queue)], 1) : among, NEVER);
  const towards = (from: tf.Tensor, side: 'text' | 'video'): tf.Scalar => {
    const candidates = queue ? tf.concat([keys[side], queue[side]]) : keys[side];
    const logits = tf.add(tf.mul(tf.matMul(from, candidates, false, true), scale), barred);
    if (side === 'video' || !wrong) return diagonalCrossEntropy(logits);
    const own = tf.mul(tf.sum(tf.mul(from, wrong.text), 1, true), scale);
    return diagonalCrossEntropy(tf.concat([logits, tf.add(own, tf.mul(tf.sub(1, tf.reshape(wrong.exists, [n, 1])), NEVER))], 1));
  };
  return tf.mul(tf.add(towards(batch.video, 'text'), towards(batch.text, 'video')), 0.5);
}

/** A queue with a batch pushed in at the end and as many pushed out in front. */
export function pushed(queue: Embedded, batch: Embedded): Embedded {
  const push = (old: tf.Tensor, fresh: tf.Tensor): tf.Tensor => {
    const [size, ...rest] = old.shape;
    const kept = size - fresh.shape[0];
    return tf.concat([tf.slice(old, [fresh.shape[0], ...rest.map(() => 0)], [kept, ...rest]), fresh]);
  };
  return {
    text: push(queue.text, batch.text),
    video: push(queue.video, batch.video),
    captions: push(queue.captions, batch.captions),
  };
}

/** For each row, a partner that does not belong to it. */
export interface Negatives {
  /** `[B]` int32: index of the partner. */
  readonly index: tf.Tensor;
  /** `[B]`: 0 where there is none, because all captions are equal. */
  readonly exists: tf.Tensor;
}

/**
 * Draws hard negatives: partner j of row i with probability proportional to exp(logits[i, j]), equal captions left out.
 *
 * @param logits `[B, B]`, without gradient.
 * @param gumbel `[B, B]` standard Gumbel numbers, −log(−log u).
 * @source Li et al. 2021, ALBEF, arXiv:2107.07651, section 3.2; the draw is the Gumbel-max trick.
 */
export function hardNegatives(logits: tf.Tensor, captions: tf.Tensor, gumbel: tf.Tensor): Negatives {
  const same = sameCaption(captions, captions);
  const index = tf.argMax(tf.add(tf.add(logits, gumbel), tf.mul(same, NEVER)), 1);
  return {index, exists: tf.sub(1, tf.min(same, 1))};
}

/**
 * Weighted mean of −log softmax(logits)[label] for two classes.
 *
 * @param logits `[B, 2]`: no match, match. @param label 1 for a match, 0 for none. @param weights `[B]`.
 */
export function matchingCrossEntropy(logits: tf.Tensor, label: 0 | 1, weights: tf.Tensor): tf.Scalar {
  const [no, yes] = tf.unstack(logits, 1);
  const losses = tf.softplus(label === 1 ? tf.sub(no, yes) : tf.sub(yes, no));
  return tf.div(tf.sum(tf.mul(losses, weights)), tf.maximum(tf.sum(weights), 1));
}
