/** Attention as a picture: a row for each word, in each panel a cell for each frame, in the cell the places of the frame. */
import type {NdArray} from '../tensor/ndarray.js';
import {canvas, clipSize, drawFrame, drawText, fillRectangle, ink, paper, wrapText} from './canvas.js';
import {glyph} from './font.js';
import {heatColour} from './heatMap.js';
import {png, type Picture} from './pictures.js';

/** A word and where it looks. */
export interface WordAttention {
  readonly word: string;
  /** `[frames][rows][columns]` ≥ 0, of token frames; at least one of each. */
  readonly cells: readonly (readonly (readonly number[])[])[];
}

/** A clip, its caption, and what its words look at under several kinds of attention. */
export interface AttentionExample {
  readonly caption: string;
  /** `[F, H, W, C]`. */
  readonly clip: NdArray<'uint8'>;
  /** All with the same words and frames. */
  readonly panels: readonly {readonly title: string; readonly words: readonly WordAttention[]}[];
}

const side = 60;
const gap = 3;
const wide = 40;
const left = 130;
const letter = 2;
const line = (glyph.height + 2) * letter;

/** Draws an example. The largest weight of a word in a panel is the lightest, so that words and panels can be compared in form. */
export async function attentionSheet({caption, clip, panels}: AttentionExample): Promise<Picture> {
  const {frames: shots, height} = clipSize(clip);
  const frames = panels[0].words[0].cells.length;
  const {length: words} = panels[0].words;
  const panelWidth = frames * (side + gap) + wide;
  const top = 2 * line + 16;
  const on = canvas(left + panels.length * panelWidth, top + (words + 1) * (side + gap) + 8, paper);
  const [written = ''] = wrapText(caption, on.width - 16, letter, 1);
  drawText(on, written, 8, 8, letter, ink);
  const scale = Math.max(1, Math.floor(side / height));
  panels.forEach(({title, words: own}, p) => {
    const x = left + p * panelWidth;
    drawText(on, title, x, 8 + line, letter, ink);
    for (let f = 0; f < frames; f++) {
      // The first of the frames that a token spans.
      drawFrame(on, clip, Math.floor((f * shots) / frames), x + f * (side + gap), top, scale);
    }
    own.forEach(({word, cells}, w) => {
      const y = top + (w + 1) * (side + gap);
      if (p === 0) drawText(on, word, 8, y + side / 2 - glyph.height, letter, ink);
      const most = Math.max(...cells.flat(2), 1e-12);
      cells.forEach((cell, f) => {
        const [high, across] = [Math.floor(side / cell.length), Math.floor(side / cell[0].length)];
        cell.forEach((row, r) =>
          row.forEach((value, c) =>
            fillRectangle(on, x + f * (side + gap) + c * across, y + r * high, across, high, heatColour(value / most)),
          ),
        );
      });
    });
  });
  return png(on);
}
