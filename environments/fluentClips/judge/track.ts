/** Objects through time, and which motion a track is. */
import type {Motion, Noun} from '../spec.js';
import {acceptedEvidence, type Detection} from './detect.js';
import type {ParsedClip} from './parse.js';

/** One object in every frame; `undefined` where it is not seen. */
export type Track = readonly (Detection | undefined)[];

/** The best accepted detection of a noun in every frame. */
export const trackOf = ({detections}: ParsedClip, noun: Noun): Track =>
  detections.map((found) => {
    let best: Detection | undefined;
    for (const d of found) {
      if (d.noun === noun && d.evidence >= acceptedEvidence && (best === undefined || d.evidence > best.evidence)) best = d;
    }
    return best;
  });

/** How a track was seen to move: a motion of the world, `shrink`, or `erratic` where no line fits its places. */
export type SeenMotion = Motion | 'shrink' | 'erratic';

/** Share of the frames in which an object must be seen for its motion to be told. */
const leastSeen = 0.6;
/** Change of the logarithm of the size over the clip from which it grows or shrinks. */
const leastGrowth = 0.35;
/** Path over the clip from which it moves, and scatter about the path from which there is no path, in 1/32 of the frame. */
const leastTravel = 3.2;
const mostScatter = 1.3;

/** A straight line through the values seen: its rise over the whole clip, and the root mean square about it. */
function line(track: Track, value: (d: Detection) => number): {rise: number; scatter: number} {
  let n = 0;
  let meanT = 0;
  let meanV = 0;
  track.forEach((d, t) => {
    if (d === undefined) return;
    n++;
    meanT += t;
    meanV += value(d);
  });
  meanT /= n;
  meanV /= n;
  let tt = 0;
  let tv = 0;
  let vv = 0;
  track.forEach((d, t) => {
    if (d === undefined) return;
    const v = value(d) - meanV;
    tt += (t - meanT) ** 2;
    tv += (t - meanT) * v;
    vv += v * v;
  });
  const slope = tt > 0 ? tv / tt : 0;
  return {rise: slope * (track.length - 1), scatter: Math.sqrt(Math.max(0, vv - slope * tv) / n)};
}

/** The motion of a track; `null` if it is seen too rarely. */
export function motionOf(track: Track, side: number): SeenMotion | null {
  if (track.filter((d) => d !== undefined).length < leastSeen * track.length) return null;
  const unit = 32 / side;
  const growth = line(track, (d) => Math.log(d.size)).rise;
  const x = line(track, (d) => d.x * unit);
  const y = line(track, (d) => d.y * unit);
  if (Math.hypot(x.scatter, y.scatter) > mostScatter) return 'erratic';
  if (Math.abs(growth) > leastGrowth) return growth > 0 ? 'grow' : 'shrink';
  if (Math.hypot(x.rise, y.rise) <= leastTravel) return 'still';
  if (Math.abs(x.rise) > Math.abs(y.rise)) return x.rise > 0 ? 'right' : 'left';
  return y.rise > 0 ? 'down' : 'up';
}
