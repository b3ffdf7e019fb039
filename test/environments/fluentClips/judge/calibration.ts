/**
 * The calibration of the judge: clips of the renderer, spoilt in known ways, and the scores they get.
 *
 * `npx tsx test/environments/fluentClips/judge/calibration.ts 100` prints the table of docs/world.md.
 */
import {pathToFileURL} from 'node:url';
import {drawsFor, normal, type Draw} from '../../../../environments/fluentClips/draws.js';
import {factsOf} from '../../../../environments/fluentClips/caption.js';
import {aggregate, judgementOf} from '../../../../environments/fluentClips/judge/aggregate.js';
import {scoreClip} from '../../../../environments/fluentClips/judge/metrics.js';
import {clipParser} from '../../../../environments/fluentClips/judge/parse.js';
import {promptSpec} from '../../../../environments/fluentClips/streams.js';
import {render} from '../../../../environments/fluentClips/render.js';
import {colors, nouns, presets, type ClipSpec, type Color, type ObjectSpec} from '../../../../environments/fluentClips/spec.js';

const preset = presets.mini;
const {side, frames} = preset;
const frameSize = side * side * 3;

/** One prompt with the clip it was written for, `[F, H, W, 3]` in [0, 1]. */
interface Truth {
  readonly index: number;
  readonly spec: ClipSpec;
  readonly text: string;
  readonly clip: Float32Array;
}

const draw = (spec: ClipSpec): Float32Array => Float32Array.from(render(preset, spec), (v) => v / 255);
const repaint = ({spec}: Truth, edit: (o: ObjectSpec, i: number) => ObjectSpec): Float32Array =>
  draw({...spec, objects: spec.objects.map(edit)});
const draws = ({index}: Truth, what: string): Draw => drawsFor(`calibration/${what}`, index);

/** The clip with its frames in another order. */
const reorder = ({clip}: Truth, order: (t: number) => number): Float32Array =>
  clip.map((_, i) => clip[order(Math.floor(i / frameSize)) * frameSize + (i % frameSize)]);

const noisy = (truth: Truth, sigma: number): Float32Array => {
  const noise = draws(truth, 'noise');
  return truth.clip.map((v, i) => v + sigma * normal(noise, 'value', i));
};

/** Mean over 3x3 pixels; the edges repeat. */
const box = (clip: Float32Array): Float32Array =>
  clip.map((_, i) => {
    const at = i % frameSize;
    const [y, x, c] = [Math.floor(at / 3 / side), Math.floor(at / 3) % side, at % 3];
    const clamp = (v: number): number => Math.max(0, Math.min(side - 1, v));
    let sum = 0;
    for (let dy = -1; dy <= 1; dy++) {
      for (let dx = -1; dx <= 1; dx++) sum += clip[i - at + (clamp(y + dy) * side + clamp(x + dx)) * 3 + c];
    }
    return sum / 9;
  });

const nextColor = (color: Color, scene: string): Color => {
  const next = colors[(colors.indexOf(color) + 1) % colors.length];
  return next === 'white' && scene === 'night' ? 'red' : next;
};

/** The ways to spoil a clip; each gets the clip and all clips. */
export const treatments: Readonly<Record<string, (truth: Truth, all: readonly Truth[]) => Float32Array>> = {
  'ground truth': (t) => t.clip,
  'noise σ .05': (t) => noisy(t, 0.05),
  'noise σ .15': (t) => noisy(t, 0.15),
  'blur 3×3 twice': (t) => box(box(t.clip)),
  'brightness ± 12 %': (t) => {
    const flicker = draws(t, 'flicker');
    return t.clip.map((v, i) => v * (1 + 0.24 * (flicker('gain', Math.floor(i / frameSize)) - 0.5)));
  },
  'frames shuffled': (t) => {
    const shuffle = draws(t, 'shuffle');
    const order = Array.from({length: frames}, (_, i) => i).sort((a, b) => shuffle('key', a) - shuffle('key', b));
    return reorder(t, (i) => order[i]);
  },
  'frozen first frame': (t) => reorder(t, () => 0),
  'reversed in time': (t) => reorder(t, (i) => frames - 1 - i),
  'object vanishes at half': (t) => {
    const empty = draw({...t.spec, objects: []});
    return t.clip.map((v, i) => (i < t.clip.length / 2 ? v : empty[i]));
  },
  'empty scene': (t) => draw({...t.spec, objects: []}),
  'colours changed': (t) => repaint(t, (o) => ({...o, color: o.color === null ? null : nextColor(o.color, t.spec.scene)})),
  'nouns changed': (t) =>
    repaint(t, (o, i) => {
      const others = nouns.filter((n) => t.spec.objects.every((p) => p.noun !== n));
      return {...o, noun: others[(nouns.indexOf(o.noun) + i) % others.length]};
    }),
  'objects swapped': (t) => repaint(t, (o, i) => ({...o, x: t.spec.objects.at(i - 1)!.x, y: t.spec.objects.at(i - 1)!.y})),
  "another prompt's clip": (t, all) => all[(t.index + 1) % all.length].clip,
  'mean of 8 clips': (t, all) =>
    t.clip.map((_, i) => {
      let sum = 0;
      for (let k = 0; k < 8; k++) sum += all[(t.index + 3 * k) % all.length].clip[i];
      return sum / 8;
    }),
  'pure noise': (t) => {
    const noise = draws(t, 'pure');
    return t.clip.map((_, i) => noise('value', i));
  },
};

/** Aggregate scores of the first `count` held-out prompts under every treatment. */
export function calibrate(count: number): Record<string, Readonly<Record<string, number>>> {
  const all = Array.from({length: count}, (_, index) => {
    const {spec, text} = promptSpec(preset, 'heldOut', index);
    return {index, spec, text, clip: draw(spec)};
  });
  const parse = clipParser(preset);
  return Object.fromEntries(
    Object.entries(treatments).map(([name, treat]) => [
      name,
      aggregate(
        all.map((truth) => {
          const values = treat(truth, all).map((v) => 2 * v - 1);
          return judgementOf(scoreClip(parse(values), factsOf(truth.text)));
        }),
      ),
    ]),
  );
}

/** Columns of the table and the scores they show. */
const columns = {
  subj: 'subjectConsistency',
  backgr: 'backgroundConsistency',
  flick: 'temporalFlickering',
  smooth: 'motionSmoothness',
  dyn: 'dynamicDegree',
  aesth: 'aestheticQuality',
  imag: 'imagingQuality',
  '**Q**': 'quality',
  class: 'objectClass',
  multi: 'multipleObjects',
  motion: 'motion',
  colour: 'color',
  spatial: 'spatialRelationship',
  scene: 'scene',
  overall: 'overallConsistency',
  '**S**': 'semantic',
  strict: 'strict',
  '**Total**': 'total',
};

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const table = calibrate(Number(process.argv[2] ?? 24));
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |\n`;
  process.stdout.write(line(['clip', ...Object.keys(columns)]) + line(['---', ...Object.keys(columns).map(() => '---')]));
  for (const [name, scores] of Object.entries(table)) {
    process.stdout.write(line([name, ...Object.values(columns).map((c) => scores[c]?.toFixed(2) ?? '–')]));
  }
}
