/**
 * Finds the objects of a frame by matching pursuit: take the largest patch that is not explained, find the sprite that
 * explains it best, draw that sprite into the explanation, repeat. Touching and overlapping objects come apart this way.
 */
import type {Noun, Preset, Rgb} from '../spec.js';
import {Bank, sizeCount, stepsPerPixel, type LatticePoint} from './bank.js';
import {BlobFinder, type Blob} from './blobs.js';
import {fitTemplate, newFit, type Fit, type Picture} from './fit.js';
import type {Template} from './template.js';

/** One object that was found; places and sizes in pixels. */
export interface Detection {
  readonly noun: Noun;
  readonly x: number;
  readonly y: number;
  /** Longest side of the drawn shape. */
  readonly size: number;
  /** Share of the squared error under the sprite and around it that the sprite explains, at most 1. */
  readonly evidence: number;
  /** The colour it is painted with. */
  readonly color: Rgb;
}

/** Evidence from which an object counts as seen. */
export const acceptedEvidence = 0.55;

/** Objects that are looked for in a frame. */
const mostObjects = 3;
/** Evidence from which the object of the frame before is taken without looking for others. */
const certainEvidence = 0.9;
/** Evidence below which a wider search is worth its time. */
const poorEvidence = 0.8;
/** Every how many sizes of the lattice the coarse search looks at, and the largest of them. */
const coarseSizes = 4;
const largestCoarse = sizeCount - 3;
/** Nouns that are fitted finely, best first, and the share of the best one's gain that they need. */
const finalists = 4;
const finalistGain = 0.6;

/** A noun on the lattice and what it gains there. */
interface Candidate {
  readonly noun: number;
  gain: number;
  x: number;
  y: number;
  size: number;
}

/** A candidate at its best, off the lattice. */
interface Found {
  readonly gain: number;
  readonly template: Template;
  readonly detection: Detection;
}

/** Finds objects in frames of one preset. Not reentrant: it reuses its buffers. */
export class Detector {
  readonly #preset: Preset;
  readonly #bank: Bank;
  readonly #blobs: BlobFinder;
  readonly #fit: Fit = newFit();
  readonly #candidates: readonly Candidate[];
  /** The largest gain so far. */
  #most = -Infinity;

  constructor(preset: Preset) {
    this.#preset = preset;
    this.#bank = new Bank(preset);
    this.#blobs = new BlobFinder(preset.side);
    this.#candidates = preset.nouns.map((_, noun) => ({noun, gain: -Infinity, x: 0, y: 0, size: 0}));
  }

  /**
   * Objects of a frame in the order they were found, those with little evidence too.
   *
   * @param picture `seen` is the frame; `explained` is its backdrop on entry and the whole explanation on return.
   * @param expected objects of the frame before: the first guess.
   */
  detect(picture: Picture, expected: readonly Detection[]): Detection[] {
    const found: Detection[] = [];
    this.#blobs.reset();
    for (let pass = 0; pass < mostObjects; pass++) {
      picture.compare();
      const blob = this.#blobs.largest(picture);
      if (blob === undefined) break;
      const best = this.#again(picture, blob, expected) ?? this.#search(picture, blob);
      if (best === undefined || best.detection.evidence < acceptedEvidence) this.#blobs.discard(blob);
      if (best === undefined) continue;
      found.push(best.detection);
      this.#explain(picture, best);
    }
    return found;
  }

  /** The object of the frame before that lies in the patch, if it is certainly still there. */
  #again(picture: Picture, blob: Blob, expected: readonly Detection[]): Found | undefined {
    for (const {noun: name, x, y, size} of expected) {
      if (x < blob.left - 1 || x > blob.right + 2 || y < blob.top - 1 || y > blob.bottom + 2) continue;
      const noun = this.#preset.nouns.indexOf(name);
      const lattice = Math.round(this.#bank.sizeOf(size));
      const candidate: Candidate = {
        noun,
        gain: -Infinity,
        x: Math.round(x * stepsPerPixel),
        y: Math.round(y * stepsPerPixel),
        size: Math.max(0, Math.min(sizeCount - 1, lattice)),
      };
      candidate.gain = this.#gainAt(picture, candidate.noun, candidate.x, candidate.y, candidate.size);
      const found = this.#refine(picture, candidate, 4);
      if (found !== undefined && found.detection.evidence >= certainEvidence) return found;
    }
    return undefined;
  }

  /** The best noun for a patch: first about its middle and its size, then, if that is poor, everywhere in it. */
  #search(picture: Picture, blob: Blob): Found | undefined {
    const x = Math.floor((blob.left + blob.right) / 2);
    const y = Math.floor((blob.top + blob.bottom) / 2);
    const length = Math.max(blob.right - blob.left, blob.bottom - blob.top) + 1;
    this.#forget(-Infinity);
    for (let size = largestCoarse; size >= 0; size -= coarseSizes) {
      const pixels = this.#bank.pixels(size);
      if (pixels > 0.7 * length && pixels < 1.6 * length) this.#scan(picture, size, x - 2, x + 2, y - 2, y + 2, 1);
    }
    const near = this.#finest(picture);
    if (near !== undefined && near.detection.evidence >= poorEvidence) return near;
    this.#forget(near?.gain ?? -Infinity);
    for (let size = largestCoarse; size >= 0; size -= coarseSizes) {
      const step = Math.max(2, Math.round(this.#bank.pixels(size) / 5));
      this.#scan(picture, size, blob.left + 2, blob.right - 2, blob.top + 2, blob.bottom - 2, step);
    }
    const far = this.#finest(picture);
    return near === undefined || (far !== undefined && far.gain > near.gain) ? far : near;
  }

  /** Starts a search for something that gains about as much as `most`. */
  #forget(most: number): void {
    for (const candidate of this.#candidates) candidate.gain = -Infinity;
    this.#most = most;
  }

  /**
   * Tries all nouns of a size with their centres in the middle of the pixels of a grid, on every other pixel of the templates.
   * A place with less error than a candidate needs cannot gain enough and is passed over.
   */
  #scan(picture: Picture, size: number, left: number, right: number, top: number, bottom: number, step: number): void {
    const half = stepsPerPixel >> 1;
    const fit = this.#fit;
    for (const candidate of this.#candidates) {
      const template = this.#bank.thinned(candidate.noun, size);
      for (let y = top; y <= bottom; y += step) {
        for (let x = left; x <= right; x += step) {
          const within = picture.errorWithin(x + template.left, x + template.right, y + template.top, y + template.bottom);
          if (within < candidate.gain || within < finalistGain * this.#most) continue;
          fitTemplate(fit, template, x, y, picture);
          const gain = 2 * fit.gain;
          if (gain <= candidate.gain) continue;
          candidate.gain = gain;
          candidate.x = x * stepsPerPixel + half;
          candidate.y = y * stepsPerPixel + half;
          candidate.size = size;
          if (gain > this.#most) this.#most = gain;
        }
      }
    }
  }

  /** Fits the most promising nouns finely; the best of them. */
  #finest(picture: Picture): Found | undefined {
    const order = [...this.#candidates].sort((a, b) => b.gain - a.gain);
    const most = this.#most;
    let best: Found | undefined;
    for (const candidate of order.slice(0, finalists)) {
      if (candidate.gain === -Infinity || candidate.gain < finalistGain * most) break;
      candidate.gain = this.#gainAt(picture, candidate.noun, candidate.x, candidate.y, candidate.size);
      const found = this.#refine(picture, candidate, 4);
      if (found !== undefined && (best === undefined || found.gain > best.gain)) best = found;
    }
    return best;
  }

  #gainAt(picture: Picture, noun: number, x: number, y: number, size: number): number {
    if (size < 0 || size >= sizeCount) return -Infinity;
    // Arithmetic shift and mask: quarters below zero belong to the pixel on their left.
    const template = this.#bank.template(noun, size, x & (stepsPerPixel - 1), y & (stepsPerPixel - 1));
    fitTemplate(this.#fit, template, Math.floor(x / stepsPerPixel), Math.floor(y / stepsPerPixel), picture);
    return this.#fit.gain;
  }

  /** Climbs on the lattice with falling steps, then to the top of the parabolas through the neighbours. */
  #refine(picture: Picture, at: Candidate, firstStep: number): Found | undefined {
    if (at.gain === -Infinity) return undefined;
    const {noun} = at;
    const point = {x: 0, y: 0, size: 0};
    for (let step = firstStep; step >= 1; step >>= 1) {
      for (const axis of axes) {
        for (;;) {
          const lower = this.#gainAt(
            picture,
            noun,
            at.x - (axis === 'x' ? step : 0),
            at.y - (axis === 'y' ? step : 0),
            at.size - (axis === 'size' ? step : 0),
          );
          const upper = this.#gainAt(
            picture,
            noun,
            at.x + (axis === 'x' ? step : 0),
            at.y + (axis === 'y' ? step : 0),
            at.size + (axis === 'size' ? step : 0),
          );
          const gain = Math.max(lower, upper);
          const bend = lower + upper - 2 * at.gain;
          point[axis] =
            at[axis] + (bend < 0 && bend > -Infinity ? Math.max(-0.5, Math.min(0.5, (lower - upper) / (2 * bend))) * step : 0);
          if (gain <= at.gain) break;
          at[axis] += upper > lower ? step : -step;
          at.gain = gain;
        }
      }
    }
    const template = this.#bank.between(noun, point);
    fitTemplate(this.#fit, template, 0, 0, picture);
    const {gain, evidence, red, green, blue} = this.#fit;
    const detection = {
      noun: this.#preset.nouns[noun]!,
      x: point.x / stepsPerPixel,
      y: point.y / stepsPerPixel,
      size: this.#bank.pixels(point.size),
      evidence,
      color: [red, green, blue] as const,
    };
    return {gain, template, detection};
  }

  /** Draws an object into the explanation. */
  #explain({side, explained}: Picture, {template, detection}: Found): void {
    const {count, xs, ys, values} = template;
    for (let j = 0; j < count; j++) {
      const x = xs[j]!;
      const y = ys[j]!;
      if (x < 0 || y < 0 || x >= side || y >= side) continue;
      const tint = values[j * 5 + 3]!;
      const rest = 1 - values[j * 5 + 4]!;
      const at = (y * side + x) * 3;
      for (let c = 0; c < 3; c++) {
        explained[at + c] = values[j * 5 + c]! + tint * detection.color[c]! + rest * explained[at + c]!;
      }
      this.#blobs.cover(x, y);
    }
  }
}

const axes = ['x', 'y', 'size'] as const satisfies readonly (keyof LatticePoint)[];
