/** Videos for captions: what `rlft sample` does. */
import {join} from 'node:path';
import {environments} from '../builtins.js';
import {openDevice} from '../engine/devices.js';
import {ConfigError} from '../errors.js';
import {animatedWebp, clipOf, contactSheet} from '../report/pictures.js';
import {createGenerator} from '../rollout/generate.js';
import {noiseless} from '../rollout/noiseless.js';
import {packPolicyFor, putPolicy} from '../rollout/residentPolicy.js';
import {fileName} from '../run/runFolder.js';
import {writeAtomically} from '../run/writeAtomically.js';
import {toBytes} from '../tensor/pixels.js';
import {readPolicy} from './policyWeights.js';

/** What to sample and where to put it. */
export interface SampleRequest {
  readonly environment: string;
  readonly preset: string;
  /** A safetensors file, the folder of a run or of an adapter, or `shipped`. */
  readonly policy: string;
  readonly texts: readonly string[];
  /** Videos a caption. */
  readonly count: number;
  readonly steps: number;
  readonly guidanceScale: number;
  readonly seed: number;
  readonly device: string;
  readonly threads: number;
  readonly outputDir: string;
}

/** A sampled video. */
export interface SampleFile {
  readonly text: string;
  readonly file: string;
}

/**
 * Samples without noise in the steps, and writes one animated WebP a video and one sheet of all.
 *
 * @throws ConfigError naming a word that the policy does not know, before anything is computed.
 */
export async function sample(request: SampleRequest): Promise<{videos: SampleFile[]; sheet: string}> {
  const environment = environments.get(request.environment).open(request.preset);
  if (request.texts.length === 0) throw new ConfigError('sample: wanted a caption; got none.');
  environment.policy.tokenize(request.texts);
  const {params} = await readPolicy(environment, request.policy);
  const device = await openDevice(request.device, {threads: request.threads});
  try {
    const layout = packPolicyFor(environment, params);
    const generate = createGenerator(environment, device, layout, 'gaussian', request.guidanceScale);
    const prompts = request.texts.map((text) => ({id: text, text}));
    const made = await generate(
      await putPolicy(device, params, layout),
      noiseless({prompts, samples: request.count, steps: request.steps, seed: request.seed, purpose: 'sample'}),
    );
    const bytes = toBytes(made.videos);
    const videos: SampleFile[] = [];
    for (const [i, {text}] of made.prompts.entries()) {
      const file = join(request.outputDir, `${fileName(text)}-${i % request.count}.webp`);
      await writeAtomically(file, [(await animatedWebp(clipOf(bytes, i))).bytes]);
      videos.push({text, file});
    }
    const sheet = join(request.outputDir, 'sheet.png');
    const rows = made.prompts.map(({text}, i) => ({caption: text, clips: [clipOf(bytes, i)]}));
    await writeAtomically(sheet, [(await contactSheet(rows)).bytes]);
    return {videos, sheet};
  } finally {
    await device.close();
  }
}
