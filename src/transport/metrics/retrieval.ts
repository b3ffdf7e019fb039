/** Whether a mapped caption finds its own video, and videos that show what it says. */
import {ShapeError} from '../../errors.js';
import {sizeOfRows, type Rows} from '../../numeric/moments.js';
import {mostSimilar} from './distances.js';

/**
 * Retrieval at rank 1: the share of queries whose most similar row of the gallery, by cosine, is their own.
 *
 * @param queries `[n, E]` and
 * @param gallery `[n, E]`: row i of both is a pair.
 * @param labels of the pairs, such as captions; a pair found under the same label counts as one's own. Default: all differ.
 * @returns in [0, 1]; by chance 1/n. It falls as n grows, so compare at equal n.
 * @throws ShapeError if the shapes differ, or the labels are fewer than the pairs.
 */
export function retrievalAtOne(queries: Rows, gallery: Rows, labels?: readonly string[]): number {
  const hits = retrievalHits(queries, gallery, labels);
  return hits.reduce((sum, hit) => sum + hit, 0) / hits.length;
}

/**
 * Whether each query finds its own: 1 or 0, `[n]`, whose mean is {@link retrievalAtOne}.
 *
 * @throws ShapeError as `retrievalAtOne`.
 */
export function retrievalHits(queries: Rows, gallery: Rows, labels?: readonly string[]): Float64Array {
  const {count} = sizeOfRows('retrievalAtOne', queries);
  if (gallery.shape[0] !== count || (labels && labels.length !== count)) {
    throw new ShapeError(
      `retrievalAtOne: wanted ${count} pairs; got ${gallery.shape[0]} rows in the gallery and ${labels?.length ?? count} labels.`,
    );
  }
  return Float64Array.from(mostSimilar(queries, gallery), (j, i) => (j === i || (labels && labels[i] === labels[j]) ? 1 : 0));
}

/** What a caption says, by attribute: `{noun: 'cat', color: 'red'}`. An attribute that it does not mention is left out. */
export type Attributes = Readonly<Record<string, string>>;

/** How often one attribute of a caption is the one of the video that the caption finds. */
export interface AttributeRetrieval {
  /** Captions that mention the attribute. */
  readonly count: number;
  /** Share of them that find a video with it. */
  readonly accuracy: number;
  /** One entry for each caption: 1 right, 0 wrong, null not mentioned; for paired intervals. */
  readonly hits: readonly (0 | 1 | null)[];
}

/**
 * Attribute by attribute, whether captions find videos that show what they say.
 *
 * @param queries `[n, E]`, captions, mapped or not. @param gallery `[m, E]`, videos.
 * @param said attributes of the n captions. @param shown attributes of the m videos.
 * @throws ShapeError if there are fewer attributes than rows.
 */
export function attributeRetrieval(
  queries: Rows,
  gallery: Rows,
  said: readonly Attributes[],
  shown: readonly Attributes[],
): Readonly<Record<string, AttributeRetrieval>> {
  if (said.length !== queries.shape[0] || shown.length !== gallery.shape[0]) {
    throw new ShapeError(
      `attributeRetrieval: wanted attributes of ${queries.shape[0]} captions and ${gallery.shape[0]} videos; got ${said.length} and ${shown.length}.`,
    );
  }
  const found = mostSimilar(queries, gallery);
  const names = [...new Set(said.flatMap((attributes) => Object.keys(attributes)))];
  return Object.fromEntries(
    names.map((name) => {
      const hits = said.map((attributes, i) =>
        attributes[name] === undefined ? null : shown[found[i]][name] === attributes[name] ? 1 : 0,
      );
      const mentioned = hits.filter((hit) => hit !== null);
      const right = mentioned.reduce<number>((sum, hit) => sum + hit, 0);
      return [name, {count: mentioned.length, accuracy: right / mentioned.length, hits}];
    }),
  );
}

/** What a map did to the retrieval of one attribute. */
export interface AttributeShift {
  readonly count: number;
  /** Share of right videos found by the captions as they were, and after the map. */
  readonly before: number;
  readonly after: number;
  /** Captions that the map led to a wrong video, and to a right one. */
  readonly lost: number;
  readonly gained: number;
}

/**
 * Whether a map exchanges attributes. Transport sees two distributions and no pairs: where colours are about equally frequent,
 * a map that sends "red" to the blue videos is as good a transport as the right one, and a reward made of it would teach the
 * wrong colours. `after` clearly below `before` is the sign of it.
 *
 * @param text `[n, E]` captions, @param mapped `[n, E]` the same after the map, @param videos `[m, E]`.
 * @param said attributes of the captions. @param shown attributes of the videos.
 * @throws ShapeError as `attributeRetrieval`.
 */
export function attributeShift(
  text: Rows,
  mapped: Rows,
  videos: Rows,
  said: readonly Attributes[],
  shown: readonly Attributes[],
): Readonly<Record<string, AttributeShift>> {
  const [before, after] = [text, mapped].map((queries) => attributeRetrieval(queries, videos, said, shown));
  return Object.fromEntries(
    Object.entries(before).map(([name, {count, accuracy, hits}]) => {
      const then = after[name].hits;
      const turned = (from: 0 | 1): number => hits.filter((hit, i) => hit === from && then[i] === 1 - from).length;
      return [name, {count, before: accuracy, after: after[name].accuracy, lost: turned(1), gained: turned(0)}];
    }),
  );
}
