import {expect} from 'chai';
import {openClips} from '../../../environments/fluentClips/clips.js';
import {clipStreams, specOf, type ClipStream} from '../../../environments/fluentClips/streams.js';
import {presets, nouns} from '../../../environments/fluentClips/spec.js';
import {take} from '../../../src/tensor/ndarray.js';

const preset = presets.mini;
const streamNames = Object.keys(clipStreams) as ClipStream[];

describe('openClips', () => {
  it('makes every clip from its index alone, whatever the batch and its order', async () => {
    const source = openClips(preset, 'train', 0);
    const all = await source.clips([5, 6, 7, 1000000], false);
    expect(all.videos.shape).to.deep.equal([4, 8, 24, 24, 3]);
    const some = await source.clips([1000000, 6], false);
    expect(some.videos).to.deep.equal(take(all.videos, [3, 1]));
    expect(some.texts).to.deep.equal([all.texts[3], all.texts[1]]);
  });

  it('cuts stills out of the clips at even frames, with the same captions', async () => {
    const source = openClips(preset, 'train', 0);
    const indices = Array.from({length: 60}, (_, i) => i);
    const stills = await source.clips(indices, true);
    const clips = await source.clips(indices, false);
    expect(stills.videos.shape).to.deep.equal([60, 2, 24, 24, 3]);
    expect(stills.texts).to.deep.equal(clips.texts);
    const frameSize = 24 * 24 * 3;
    const starts = indices.map((i) => {
      const still = Buffer.from(stills.videos.data.slice(i * 2 * frameSize, (i + 1) * 2 * frameSize));
      const clip = Buffer.from(clips.videos.data.slice(i * 8 * frameSize, (i + 1) * 8 * frameSize));
      const even = [0, 2, 4, 6].filter((t) => clip.subarray(t * frameSize, (t + 2) * frameSize).equals(still));
      expect(even, `clip ${i}`).not.to.deep.equal([]);
      return even.length === 1 ? even[0] : undefined;
    });
    expect(new Set(starts.filter((s) => s !== undefined)).size).to.equal(4);
  });

  it('gives the same clips from worker threads', async () => {
    const indices = Array.from({length: 7}, (_, i) => 11 * i);
    const threaded = openClips(preset, 'train', 2);
    try {
      expect(await threaded.clips(indices, false)).to.deep.equal(await openClips(preset, 'train', 0).clips(indices, false));
      expect((await threaded.clips([3], true)).videos.shape).to.deep.equal([1, 2, 24, 24, 3]);
    } finally {
      await threaded.close();
    }
  });

  it('shows head nouns more often than tail nouns in pre-training, and all alike in curated', () => {
    const share = (stream: 'train' | 'curated', noun: string): number => {
      let n = 0;
      for (let i = 0; i < 4000; i++) if (specOf(preset, stream, i).spec.objects[0].noun === noun) n++;
      return n / 4000;
    };
    expect(share('train', nouns[0]) / share('train', nouns[5])).to.be.above(2);
    expect(share('curated', nouns[0]) / share('curated', nouns[5])).to.be.within(0.7, 1.4);
  });

  it('shares no clip between its streams', () => {
    const specs = streamNames.flatMap((stream) =>
      Array.from({length: 500}, (_, i) => JSON.stringify(specOf(preset, stream, i).spec)),
    );
    expect(new Set(specs).size).to.equal(500 * streamNames.length);
  });
});
