/** Connected patches of a frame that are not explained yet. */
import type {Picture} from './fit.js';

/** A patch: how many pixels, and its box (inclusive). */
export interface Blob {
  readonly label: number;
  readonly pixels: number;
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** Largest difference of a channel that still counts as explained. */
const tolerance = 0.14;
/** Smallest patch, in pixels of a frame of 32. */
const leastPixels = 8;

/** Finds patches of frames of one size; reuses its buffers. */
export class BlobFinder {
  readonly #side: number;
  readonly #least: number;
  /** 1 where an object was found already, or a patch given up. */
  readonly #done: Uint8Array;
  /** 0 explained, -1 not yet labelled, otherwise the label of a patch. */
  readonly #labels: Int16Array;
  readonly #stack: Int16Array;

  constructor(side: number) {
    this.#side = side;
    this.#least = Math.max(4, leastPixels * (side / 32) ** 2);
    this.#done = new Uint8Array(side * side);
    this.#labels = new Int16Array(side * side);
    this.#stack = new Int16Array(side * side);
  }

  /** Starts a new frame. */
  reset(): void {
    this.#done.fill(0);
  }

  /** Takes a pixel out of the search. */
  cover(x: number, y: number): void {
    this.#done[y * this.#side + x] = 1;
  }

  /** Takes a patch of the last search out of the search. */
  discard({label}: Blob): void {
    for (let p = 0; p < this.#labels.length; p++) if (this.#labels[p] === label) this.#done[p] = 1;
  }

  /** The largest patch (8-connected), or undefined if none is large enough. */
  largest({seen, explained}: Picture): Blob | undefined {
    const labels = this.#labels;
    for (let p = 0; p < labels.length; p++) {
      const i = 3 * p;
      const difference = Math.max(
        Math.abs(seen[i] - explained[i]),
        Math.abs(seen[i + 1] - explained[i + 1]),
        Math.abs(seen[i + 2] - explained[i + 2]),
      );
      labels[p] = difference > tolerance && this.#done[p] === 0 ? -1 : 0;
    }
    let best: Blob | undefined;
    let label = 0;
    for (let p = 0; p < labels.length; p++) {
      if (labels[p] !== -1) continue;
      const blob = this.#fill(p, ++label);
      if (best === undefined || blob.pixels > best.pixels) best = blob;
    }
    return best !== undefined && best.pixels >= this.#least ? best : undefined;
  }

  #fill(seed: number, label: number): Blob {
    const side = this.#side;
    const labels = this.#labels;
    const stack = this.#stack;
    let pixels = 0;
    let left = side;
    let right = -1;
    let top = side;
    let bottom = -1;
    let depth = 0;
    stack[depth++] = seed;
    labels[seed] = label;
    while (depth > 0) {
      const p = stack[--depth];
      const x = p % side;
      const y = (p - x) / side;
      pixels++;
      if (x < left) left = x;
      if (x > right) right = x;
      if (y < top) top = y;
      if (y > bottom) bottom = y;
      for (let ny = Math.max(0, y - 1); ny <= Math.min(side - 1, y + 1); ny++) {
        for (let nx = Math.max(0, x - 1); nx <= Math.min(side - 1, x + 1); nx++) {
          const n = ny * side + nx;
          if (labels[n] !== -1) continue;
          labels[n] = label;
          stack[depth++] = n;
        }
      }
    }
    return {label, pixels, left, right, top, bottom};
  }
}
