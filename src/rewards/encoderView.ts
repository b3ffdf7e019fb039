/** How a reward looks at videos through a video-text encoder: what it is given of each pair, and what it makes of it. */
import type {Tensor} from '@tensorflow/tfjs-core';
import type {EncodedText, EncodedVideo, FrozenEncoder, VideoTextEncoder} from '../encoder.js';
import type {Branch, Params} from '../tensor/tree.js';

/** Captions and videos as an encoder sees them, inside the graph. */
export interface SeenPairs {
  readonly encoder: VideoTextEncoder;
  /** Parameters of the encoder. */
  readonly params: Branch<Tensor>;
  readonly text: EncodedText;
  readonly video: EncodedVideo;
}

/** A score as a function of what an encoder sees. */
export interface EncoderView {
  readonly frozen: FrozenEncoder;
  /** Files that its weights came from, the encoder's first; for messages. */
  readonly files: readonly string[];
  /** Whether scores of one clip with several captions tell which is its own; if so, weights that do not are refused. */
  readonly comparesCaptions: boolean;
  /** What the score has of its own beside the encoder, such as a transport map. */
  readonly params: Params;
  /** `[B]`, differentiable in the video. */
  readonly scoreOf: (own: Branch<Tensor>, seen: SeenPairs) => Tensor;
}
