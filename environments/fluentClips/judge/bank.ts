/**
 * All templates of a preset on a lattice of sizes and quarter pixels, made when they are first asked for.
 */
import type {Preset} from '../spec.js';
import {thin, TemplateMaker, type Template} from './template.js';

/** Steps of the lattice a pixel. */
export const stepsPerPixel = 4;
/** Ratio of neighbouring sizes, and the range of sizes in 1/32 of the frame. */
const sizeRatio = 1.05;
const smallest = 7;
const largest = 25;
/** How many sizes the lattice has. */
export const sizeCount = Math.ceil(Math.log(largest / smallest) / Math.log(sizeRatio)) + 1;

/** A place on the lattice: quarter pixels, and an index of a size (which may be fractional between two). */
export interface LatticePoint {
  readonly x: number;
  readonly y: number;
  readonly size: number;
}

/** The templates of a preset. */
export class Bank {
  readonly #preset: Preset;
  readonly #maker: TemplateMaker;
  readonly #templates: (Template | undefined)[];
  readonly #thinned: (Template | undefined)[];

  constructor(preset: Preset) {
    this.#preset = preset;
    this.#maker = new TemplateMaker(preset.side);
    this.#templates = new Array<Template | undefined>(preset.nouns.length * sizeCount * stepsPerPixel ** 2);
    this.#thinned = new Array<Template | undefined>(preset.nouns.length * sizeCount);
  }

  /** Pixels of a size. */
  pixels(size: number): number {
    return ((smallest * this.#preset.side) / 32) * sizeRatio ** size;
  }

  /** The size, as a fractional index, of a shape of so many pixels. */
  sizeOf(pixels: number): number {
    return Math.log((pixels * 32) / this.#preset.side / smallest) / Math.log(sizeRatio);
  }

  /** The template of a noun at one of the sizes, with its centre `phaseX` and `phaseY` quarters into pixel (0, 0). */
  template(noun: number, size: number, phaseX: number, phaseY: number): Template {
    const index = ((noun * sizeCount + size) * stepsPerPixel + phaseY) * stepsPerPixel + phaseX;
    return (this.#templates[index] ??= this.between(noun, {x: phaseX, y: phaseY, size}));
  }

  /** Every other pixel, as on a chessboard, of the template with its centre in the middle of pixel (0, 0). */
  thinned(noun: number, size: number): Template {
    const half = stepsPerPixel >> 1;
    return (this.#thinned[noun * sizeCount + size] ??= thin(this.template(noun, size, half, half)));
  }

  /** A template of a noun at any point between those of the lattice. */
  between(noun: number, {x, y, size}: LatticePoint): Template {
    return this.#maker.make(this.#preset.nouns[noun], x / stepsPerPixel, y / stepsPerPixel, this.pixels(size));
  }
}
