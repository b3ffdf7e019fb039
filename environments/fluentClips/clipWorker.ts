/** Worker thread that renders clips. */
import {serve} from '../../src/plugin.js';
import {renderBatch, type ClipReply, type ClipRequest, type ClipSetup} from './clips.js';

serve<ClipRequest, ClipReply, ClipSetup>(
  (setup) => (request) => renderBatch(setup, request),
  (reply) => [reply.pixels.buffer],
);
