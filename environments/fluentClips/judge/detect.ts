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
/** Every how many sizes of the lattice the coarse search looks at. */
const coarseSizes = 4;
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
  /** The top of the parabolas through its neighbours, between the points of the lattice. */
  readonly top: {-readonly [K in keyof LatticePoint]: number};
}

/** A noun that stands nowhere yet. */
const newCandidate = (noun: number): Candidate => ({noun, gain: -Infinity, x: 0, y: 0, size: 0, top: {x: 0, y: 0, size: 0}});

/** A candidate at its best. */
interface Found {
  readonly gain: number;
  readonly template: Template;
  readonly detection: Detection;
}

/** Finds objects in frames of one preset. Not reentrant: it reuses its buffers. */
export class Detector {
  readonly #preset: Preset;
  readonly #bank: Bank;
  /** Sizes of the coarse search, the largest first: what gains much early rules out more of the rest. */
  readonly #coarse = Array.from({length: Math.floor(sizeCount / coarseSizes)}, (_, i) => sizeCount - 3 - i * coarseSizes);
  readonly #blobs: BlobFinder;
  readonly #fit: Fit = newFit();
  readonly #candidates: readonly Candidate[];
  /** The largest gain so far. */
  #most = -Infinity;

  constructor(preset: Preset) {
    this.#preset = preset;
    this.#bank = new Bank(preset);
    this.#blobs = new BlobFinder(preset.side);
    this.#candidates = preset.nouns.map((_, noun) => newCandidate(noun));
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
      const candidate = newCandidate(this.#preset.nouns.indexOf(name));
      candidate.x = Math.round(x * stepsPerPixel);
      candidate.y = Math.round(y * stepsPerPixel);
      candidate.size = Math.max(0, Math.min(sizeCount - 1, Math.round(this.#bank.sizeOf(size))));
      this.#climb(picture, candidate);
      const found = this.#settle(picture, candidate);
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
    // A low contrast can hide parts of an object, so it may be larger than its patch.
    const sizes = this.#coarse.filter((size) => this.#bank.pixels(size) < 1.6 * length);
    for (const size of sizes) {
      if (this.#bank.pixels(size) > 0.7 * length) this.#scan(picture, size, x - 2, x + 2, y - 2, y + 2, 1);
    }
    const near = this.#finest(picture);
    if (near !== undefined && near.detection.evidence >= poorEvidence) return near;
    this.#forget(near?.gain ?? -Infinity);
    for (const size of sizes) {
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
    let best: Candidate | undefined;
    for (const candidate of order.slice(0, finalists)) {
      if (candidate.gain === -Infinity || candidate.gain < finalistGain * most) break;
      this.#climb(picture, candidate);
      if (best === undefined || candidate.gain > best.gain) best = candidate;
    }
    return best && this.#settle(picture, best);
  }

  #gainAt(picture: Picture, noun: number, x: number, y: number, size: number): number {
    if (size < 0 || size >= sizeCount) return -Infinity;
    // Arithmetic shift and mask: quarters below zero belong to the pixel on their left.
    const template = this.#bank.template(noun, size, x & (stepsPerPixel - 1), y & (stepsPerPixel - 1));
    fitTemplate(this.#fit, template, Math.floor(x / stepsPerPixel), Math.floor(y / stepsPerPixel), picture);
    return this.#fit.gain;
  }

  /** Climbs on the lattice with falling steps, and finds the top between its points. */
  #climb(picture: Picture, at: Candidate): void {
    const {noun, top} = at;
    at.gain = this.#gainAt(picture, noun, at.x, at.y, at.size);
    if (at.gain === -Infinity) return;
    for (let step = stepsPerPixel; step >= 1; step >>= 1) {
      for (const axis of axes) {
        const dx = axis === 'x' ? step : 0;
        const dy = axis === 'y' ? step : 0;
        const ds = axis === 'size' ? step : 0;
        for (;;) {
          const lower = this.#gainAt(picture, noun, at.x - dx, at.y - dy, at.size - ds);
          const upper = this.#gainAt(picture, noun, at.x + dx, at.y + dy, at.size + ds);
          const gain = Math.max(lower, upper);
          if (gain <= at.gain) {
            // The parabola through the three has its top within half a step; at the end of the lattice there is none.
            const bend = lower + upper - 2 * at.gain;
            top[axis] = at[axis] + (bend < 0 && bend > -Infinity ? (step * (lower - upper)) / (2 * bend) : 0);
            break;
          }
          at[axis] += upper > lower ? step : -step;
          at.gain = gain;
        }
      }
    }
  }

  /** What a candidate is at its top. */
  #settle(picture: Picture, {noun, gain, top}: Candidate): Found | undefined {
    if (gain === -Infinity) return undefined;
    const template = this.#bank.between(noun, top);
    fitTemplate(this.#fit, template, 0, 0, picture);
    const {evidence, red, green, blue} = this.#fit;
    const detection = {
      noun: this.#preset.nouns[noun],
      x: top.x / stepsPerPixel,
      y: top.y / stepsPerPixel,
      size: this.#bank.pixels(top.size),
      evidence,
      color: [red, green, blue] as const,
    };
    return {gain: this.#fit.gain, template, detection};
  }

  /** Draws an object into the explanation. */
  #explain({side, explained}: Picture, {template, detection}: Found): void {
    const {count, xs, ys, values} = template;
    for (let j = 0; j < count; j++) {
      const x = xs[j];
      const y = ys[j];
      if (x < 0 || y < 0 || x >= side || y >= side) continue;
      const tint = values[j * 5 + 3];
      const rest = 1 - values[j * 5 + 4];
      const at = (y * side + x) * 3;
      for (let c = 0; c < 3; c++) {
        explained[at + c] = values[j * 5 + c] + tint * detection.color[c] + rest * explained[at + c];
      }
      this.#blobs.cover(x, y);
    }
  }
}

const axes = ['x', 'y', 'size'] as const satisfies readonly (keyof LatticePoint)[];
