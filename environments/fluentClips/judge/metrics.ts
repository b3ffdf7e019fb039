/**
 * The scores of one clip, in closed form: VBench's dimensions, with exact measurements where VBench has networks.
 *
 * @source Huang et al. 2024, "VBench: Comprehensive Benchmark Suite for Video Generative Models": the dimensions and their
 * weights. docs/world.md tells how each is measured here.
 */
import type {Facts} from '../caption.js';
import {colors, colorValues, type Color, type Noun, type Relation} from '../spec.js';
import {acceptedEvidence, type Detection} from './detect.js';
import {colorDistance, oklab} from './oklab.js';
import type {ParsedClip} from './parse.js';
import {motionOf, trackOf, type Track} from './track.js';

/** Scores of a clip whatever was asked for; `dynamicDegree` is null where no motion was. */
export const qualityDimensions = [
  'subjectConsistency',
  'backgroundConsistency',
  'temporalFlickering',
  'motionSmoothness',
  'dynamicDegree',
  'aestheticQuality',
  'imagingQuality',
] as const;

/** Scores of what was asked for; null where the prompt does not ask. */
export const semanticDimensions = [
  'objectClass',
  'multipleObjects',
  'motion',
  'color',
  'spatialRelationship',
  'scene',
  'overallConsistency',
] as const;

/** One of the quality dimensions. */
export type QualityDimension = (typeof qualityDimensions)[number];
/** One of the semantic dimensions. */
export type SemanticDimension = (typeof semanticDimensions)[number];
/** Every dimension of a clip, and whether all that was asked for is there. */
export type ClipScores = Readonly<Record<QualityDimension | SemanticDimension | 'strict', number | null>>;

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
const meanOrNull = (values: readonly number[]): number | null => (values.length === 0 ? null : mean(values));
const positive = (v: number): number => (v > 0 ? v : 0);
/** Share of the frames for which something holds. */
const share = (track: Track, holds: (d: Detection, t: number) => boolean): number =>
  track.reduce((n, d, t) => n + (d !== undefined && holds(d, t) ? 1 : 0), 0) / track.length;

/** How alike two sightings of an object are: its colour, and how well it is drawn. Pose, place and size are free. */
function likeness(a: Detection | undefined, b: Detection | undefined): number {
  if (a === undefined || b === undefined) return 0;
  const color = positive(1 - colorDistance(oklab(a.color), oklab(b.color)) / 0.25);
  return color * Math.min(1, Math.min(a.evidence, b.evidence) / 0.95);
}

/** Mean over the later frames of how well each agrees with the one before and with the first. */
function consistency(frames: number, agree: (t: number, s: number) => number): number {
  let sum = 0;
  for (let t = 1; t < frames; t++) sum += (agree(t, t - 1) + agree(t, 0)) / 2;
  return sum / (frames - 1);
}

/** Smoothness of a track: how near each place and size is to the middle of its neighbours; 0 where one is missing. */
function smoothness(track: Track, side: number): number {
  const scores: number[] = [];
  for (let t = 1; t < track.length - 1; t++) {
    const [a, b, c] = [track[t - 1], track[t], track[t + 1]];
    if (a === undefined || b === undefined || c === undefined) {
      scores.push(0);
      continue;
    }
    const bend = (Math.hypot(b.x - (a.x + c.x) / 2, b.y - (a.y + c.y) / 2) * 32) / side;
    const swell = Math.abs(Math.log(b.size) - (Math.log(a.size) + Math.log(c.size)) / 2);
    scores.push(Math.exp(-(((bend + 2 * swell) / 1.5) ** 2)));
  }
  return scores.length === 0 ? 1 : mean(scores);
}

/** Scores of the objects that are there, whichever they are, weighted by how often they are seen. */
function subjectScores(clip: ParsedClip): {subjectConsistency: number; motionSmoothness: number; moves: boolean} {
  const sightings = new Map<Noun, number>();
  for (const d of clip.detections.flat()) {
    if (d.evidence >= acceptedEvidence) sightings.set(d.noun, (sightings.get(d.noun) ?? 0) + 1);
  }
  const seen = [...sightings].filter(([, count]) => count >= 2);
  const all = seen.reduce((sum, [, count]) => sum + count, 0);
  const scores = {subjectConsistency: 0, motionSmoothness: 0, moves: false};
  for (const [noun, count] of seen) {
    const track = trackOf(clip, noun);
    scores.subjectConsistency += (count / all) * consistency(track.length, (t, s) => likeness(track[t], track[s]));
    scores.motionSmoothness += (count / all) * smoothness(track, clip.side);
    const motion = motionOf(track, clip.side);
    if (motion !== null && motion !== 'still' && motion !== 'erratic') scores.moves = true;
  }
  return scores;
}

/** 1 where no object is near, `[side, side]` for every frame. */
function uncovered({side, detections}: ParsedClip): Uint8Array[] {
  return detections.map((found) => {
    const open = new Uint8Array(side * side).fill(1);
    for (const {x, y, size} of found) {
      const reach = 0.62 * size + 1.5;
      const left = Math.max(0, Math.floor(x - reach));
      const right = Math.min(side - 1, Math.floor(x + reach));
      for (let row = Math.max(0, Math.floor(y - reach)); row <= Math.min(side - 1, y + reach); row++) {
        open.fill(0, row * side + left, row * side + right + 1);
      }
    }
    return open;
  });
}

/** Scores of the backdrop over time, where no object covers it. */
function backdropScores(clip: ParsedClip): {backgroundConsistency: number; temporalFlickering: number} {
  const {frames} = clip;
  const open = uncovered(clip);
  const pixels = clip.side ** 2;

  const agree = (t: number, s: number): number => {
    const [a, b, openA, openB] = [frames[t], frames[s], open[t], open[s]];
    let difference = 0;
    let n = 0;
    for (let p = 0, i = 0; p < pixels; p++, i += 3) {
      if ((openA[p] & openB[p]) === 0) continue;
      difference += Math.abs(a[i] - b[i]) + Math.abs(a[i + 1] - b[i + 1]) + Math.abs(a[i + 2] - b[i + 2]);
      n += 3;
    }
    return n === 0 ? 0 : positive(1 - difference / n / 0.15);
  };

  let bend = 0;
  let n = 0;
  for (let t = 1; t < frames.length - 1; t++) {
    const [a, b, c] = [frames[t - 1], frames[t], frames[t + 1]];
    const [openA, openB, openC] = [open[t - 1], open[t], open[t + 1]];
    for (let p = 0, i = 0; p < pixels; p++, i += 3) {
      if ((openA[p] & openB[p] & openC[p]) === 0) continue;
      bend +=
        Math.abs(a[i] - 2 * b[i] + c[i]) +
        Math.abs(a[i + 1] - 2 * b[i + 1] + c[i + 1]) +
        Math.abs(a[i + 2] - 2 * b[i + 2] + c[i + 2]);
      n += 3;
    }
  }
  return {
    backgroundConsistency: consistency(frames.length, agree),
    temporalFlickering: n === 0 ? 0 : positive(1 - bend / 2 / n / 0.1),
  };
}

/** Bins of the histogram of Laplacians; they reach from 0 to 8. */
const laplacianBins = 8192;
const histogram = new Uint16Array(laplacianBins);

/** Median and 95th percentile of the absolute Laplacian of a frame, edges left out. */
function laplacian(frame: Float32Array, side: number): {median: number; high: number} {
  histogram.fill(0);
  const row = 3 * side;
  let n = 0;
  for (let y = 1; y < side - 1; y++) {
    for (let i = y * row + 3; i < (y + 1) * row - 3; i++, n++) {
      const v = Math.abs(4 * frame[i] - frame[i - 3] - frame[i + 3] - frame[i - row] - frame[i + row]);
      histogram[Math.min(laplacianBins - 1, Math.floor((v * laplacianBins) / 8))]++;
    }
  }
  const quantile = (q: number): number => {
    let left = Math.floor(q * n);
    let bin = 0;
    while (left >= histogram[bin]) left -= histogram[bin++];
    return ((bin + 0.5) * 8) / laplacianBins;
  };
  return {median: quantile(0.5), high: quantile(0.95)};
}

/** Scores of the frames one by one, against what the renderer would have drawn. */
function frameScores({side, frames, explanations, backdrop}: ParsedClip): {aestheticQuality: number; imagingQuality: number} {
  let aesthetic = 0;
  let imaging = 0;
  frames.forEach((frame, t) => {
    const explanation = explanations[t];
    let difference = 0;
    for (let i = 0; i < frame.length; i++) difference += Math.abs(frame[i] - explanation[i]);
    aesthetic += positive(1 - difference / backdrop.gain / frame.length / 0.1);
    const seen = laplacian(frame, side);
    const ideal = laplacian(explanation, side);
    const noise = positive(1 - positive(seen.median - ideal.median) / 0.2);
    const sharpness = (seen.high + 0.02) / (ideal.high + 0.02);
    imaging += (noise + Math.min(1, sharpness, 1.25 / sharpness)) / 2;
  });
  return {aestheticQuality: aesthetic / frames.length, imagingQuality: imaging / frames.length};
}

const palette = colors.map((name) => ({name, lab: oklab(colorValues[name])}));

/** The nearest colour word of a sighting, if one is near. */
function colorWord({color}: Detection): Color | null {
  const lab = oklab(color);
  let best: Color | null = null;
  let least = 0.28;
  for (const {name, lab: other} of palette) {
    const distance = colorDistance(lab, other);
    if (distance < least) {
      least = distance;
      best = name;
    }
  }
  return best;
}

/** Where `a` is, seen from `b`: along the axis on which they are further apart. */
function relationOf(a: Detection, b: Detection): Relation {
  const [dx, dy] = [a.x - b.x, a.y - b.y];
  if (Math.abs(dx) > Math.abs(dy)) return dx < 0 ? 'left of' : 'right of';
  return dy < 0 ? 'above' : 'below';
}

/** Backdrop errors up to which a scene is told, and how much better it must fit than any other. */
const mostSceneError = 0.1;
const leastSceneMargin = 0.004;

/** Scores a parsed clip against what its caption promised. */
export function scoreClip(clip: ParsedClip, facts: Facts): ClipScores {
  const {moves, ...subject} = subjectScores(clip);
  const tracks = facts.objects.map((o) => trackOf(clip, o.noun));
  const present = tracks.map((track) => share(track, () => true));
  const colored = facts.objects.flatMap(({color}, i) =>
    color === null ? [] : [share(tracks[i], (d) => colorWord(d) === color)],
  );
  const moved = facts.objects.flatMap(({motion}, i) =>
    motion === null ? [] : [motionOf(tracks[i], clip.side) === motion ? 1 : 0],
  );
  const [first, second] = tracks;
  const together = second === undefined ? null : share(second, (_, t) => first[t] !== undefined);
  const {relation} = facts;
  const related =
    second === undefined || relation === null
      ? null
      : share(second, (d, t) => first[t] !== undefined && relationOf(first[t], d) === relation);
  const {backdrop} = clip;
  const placed =
    facts.scene === null
      ? null
      : backdrop.scene === facts.scene && backdrop.error < mostSceneError && backdrop.margin > leastSceneMargin
        ? 1
        : 0;
  const promises = [...present, ...moved, ...colored, placed, related].filter((v) => v !== null);
  const motionAsked = facts.objects.some((o) => o.motion !== null && o.motion !== 'still');
  return {
    ...subject,
    ...backdropScores(clip),
    dynamicDegree: motionAsked ? (moves ? 1 : 0) : null,
    ...frameScores(clip),
    objectClass: mean(present),
    multipleObjects: together,
    motion: meanOrNull(moved),
    color: meanOrNull(colored),
    spatialRelationship: related,
    scene: placed,
    overallConsistency: mean(promises),
    strict: promises.every((v) => v >= 0.75) ? 1 : 0,
  };
}
