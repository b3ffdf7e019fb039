/** Whether a world keeps the first contract. */
import * as tf from '@tensorflow/tfjs-core';
import '../autograd/index.js';
import type {Device} from '../engine/device.js';
import type {ClipSource, Environment, EnvironmentModule, Judge, Prompt} from '../environment.js';
import {ConfigError} from '../errors.js';
import {packPolicyFor, packedPolicy, networkTensors} from '../rollout/residentPolicy.js';
import {ndarray, sizeOf, take, type NdArray} from '../tensor/ndarray.js';
import {unpack} from '../tensor/pack.js';
import {leaves, mapTree, type Branch, type Params} from '../tensor/tree.js';
import {
  allFinite,
  findingsOf,
  isIdentifier,
  largestGap,
  sameData,
  sameShape,
  sameTree,
  shapeText,
  thrownBy,
  type Findings,
} from './findings.js';
import {checkEncoder} from './checkEncoder.js';
import {onDevice} from './onDevice.js';
import {testNoise} from './testNoise.js';

/** A word that no vocabulary has. */
const UNKNOWN = 'qqxzzyq';
/** Rows of a batch do not see each other; sums may be taken in another order. */
const ROW_SLACK = 1e-4;

/**
 * Runs every check of an environment.
 *
 * @param options.preset which of its sizes, a small one; default: the first.
 * @param options.device where to run it, for callers that check a lot; default: one of its own.
 * @throws ContractError that lists all faults.
 */
export async function checkEnvironment(
  module: EnvironmentModule,
  options: {readonly preset?: string; readonly device?: Device} = {},
): Promise<void> {
  const found = findingsOf(`environment "${module.name}"`);
  found.check(isIdentifier(module.name), `name: wanted an identifier such as gaussianToy; got "${module.name}"`);
  found.check(/^\S[^\n]*$/.test(module.summary), 'summary: wanted one line; got none, or several');
  found.check(module.presets.length > 0, 'presets: wanted at least one; got none');
  const refusal = thrownBy(() => module.open(UNKNOWN));
  found.check(
    refusal instanceof ConfigError && module.presets.every((p) => refusal.message.includes(p)),
    `open: wanted a ConfigError naming the presets ${module.presets.join(', ')} for an unknown one; got ${refusal ? `${refusal.name}: ${refusal.message}` : 'a world'}`,
  );
  const preset = options.preset ?? module.presets[0];
  const environment = await found.part('open', () => module.open(preset));
  if (!environment) return found.finish();

  found.check(environment.name === module.name, `name: wanted ${module.name}, as registered; got ${environment.name}`);
  found.check(environment.preset === preset, `preset: wanted ${preset}; got ${environment.preset}`);
  checkShapes(found, environment);
  const prompts = await found.part('prompts', () => checkPrompts(found, environment));
  if (prompts) await found.part('tokenize', () => checkTokenizer(found, environment, prompts));
  const params = await found.part('initialise', () => checkInitialise(found, environment));
  await found.part('decode', () => checkDecode(found, environment));
  if (environment.encode) await found.part('encode', () => checkEncode(found, environment));
  if (environment.decodeInGraph) {
    await onDevice(options.device, (device) => found.part('decodeInGraph', () => checkDecodeInGraph(found, environment, device)));
  }
  if (prompts && params) {
    await onDevice(options.device, (device) =>
      found.part('policy', () => checkPolicy(found, environment, prompts, params, device)),
    );
  }
  const {encoders = []} = environment;
  found.check(
    encoders[0]?.independent !== true,
    'encoders: wanted the one that rewards look through first; the first is independent, and is refused to them',
  );
  for (const encoder of encoders) {
    await found.part(`encoder ${encoder.name}`, () =>
      checkEncoder(
        encoder,
        environment.prompts('train', 4).map(({text}) => text),
        options,
      ),
    );
  }
  if (prompts && environment.openJudge) {
    const judge = environment.openJudge(1);
    await found.part('judge', () => checkJudge(found, environment, prompts, judge));
    await judge.close();
  }
  const {hardPairs} = environment;
  if (hardPairs) {
    const {from, until} = hardPairs;
    found.check(
      environment.openClips !== undefined && 0 <= from && from < until && until <= 1,
      `hardPairs: wanted a stretch 0 ≤ from < until ≤ 1 of a world with openClips; got ${from} to ${until}`,
    );
  }
  if (environment.openClips) {
    const source = environment.openClips('train', 1);
    await found.part('clips', () => checkClips(found, environment, source));
    await source.close();
  }
  found.finish();
}

function checkShapes(found: Findings, {latentShape, videoShape}: Environment): void {
  const positive = (shape: readonly number[]): boolean => shape.every((n) => Number.isInteger(n) && n > 0);
  found.check(
    latentShape.length > 0 && positive(latentShape),
    `latentShape: wanted positive integers; got ${shapeText(latentShape)}`,
  );
  found.check(
    videoShape.length === 4 && positive(videoShape) && [1, 3].includes(videoShape[3]),
    `videoShape: wanted [F, H, W, C] with C = 3 or 1; got ${shapeText(videoShape)}`,
  );
}

/** Checks the prompts, and returns some of the training split. */
function checkPrompts(found: Findings, environment: Environment): readonly Prompt[] {
  const {splits} = environment;
  for (const split of ['train', 'heldOut'])
    found.check(splits.includes(split), `splits: wanted ${split} among them; got ${splits.join(', ')}`);
  const text = (list: readonly Prompt[]): string => JSON.stringify(list);
  const ids: string[] = [];
  for (const split of splits) {
    const many = environment.prompts(split, 64);
    ids.push(...many.map((p) => p.id));
    found.check(many.length > 0 && many.length <= 64, `prompts: wanted 1 to 64 of ${split}; got ${many.length}`);
    found.check(
      text(environment.prompts(split, 64)) === text(many),
      `prompts: wanted the same of ${split} at every call; they changed`,
    );
    found.check(
      text(environment.prompts(split, 3)) === text(many.slice(0, 3)),
      `prompts: wanted the first 3 of ${split}; got others`,
    );
    found.check(
      many.every((p) => p.text.trim() !== ''),
      `prompts: wanted a caption for each of ${split}; one is empty`,
    );
  }
  const twice = ids.find((id, i) => ids.indexOf(id) !== i);
  found.check(
    twice === undefined,
    `prompts: wanted an id of its own for each prompt, over all splits; "${twice}" is there twice`,
  );
  found.check(
    thrownBy(() => environment.prompts(UNKNOWN, 1)) instanceof ConfigError,
    'prompts: wanted a ConfigError for an unknown split; got none',
  );
  return environment.prompts('train', 3);
}

function checkTokenizer(found: Findings, {policy}: Environment, prompts: readonly Prompt[]): void {
  const texts = prompts.map((p) => p.text);
  const tokens = policy.tokenize(texts);
  const wanted = [texts.length, policy.textLength];
  found.check(
    tokens.dtype === 'int32' && sameShape(tokens.shape, wanted),
    `tokenize: wanted int32 ${shapeText(wanted)}; got ${tokens.dtype} ${shapeText(tokens.shape)}`,
  );
  found.check(
    tokens.data.every((id) => id >= 0),
    'tokenize: wanted ids of at least 0, 0 being padding; got a negative one',
  );
  found.check(sameData(policy.tokenize(texts).data, tokens.data), 'tokenize: wanted the same ids at every call; they changed');
  const reversed = policy.tokenize([...texts].reverse());
  const back = take(
    reversed,
    texts.map((_, i) => texts.length - 1 - i),
  );
  found.check(
    sameData(back.data, tokens.data),
    'tokenize: wanted each caption to be read by itself; the order of the captions changes the ids',
  );
  const refusal = thrownBy(() => policy.tokenize([UNKNOWN]));
  found.check(
    refusal instanceof ConfigError && refusal.message.includes(UNKNOWN),
    `tokenize: wanted a ConfigError naming an unknown word; got ${refusal ? `${refusal.name}: ${refusal.message}` : 'ids'}`,
  );
}

function checkInitialise(found: Findings, environment: Environment): Params {
  const first = environment.initialise(1);
  const copy = mapTree(first, (a) => ({...a, data: a.data.slice()})) as Params;
  const all = leaves<NdArray>(first);
  found.check(
    all.every(([, a]) => a.dtype === 'float32'),
    'initialise: wanted float32 parameters; one is of another type',
  );
  found.check(
    all.every(([, a]) => allFinite(a.data)),
    'initialise: wanted finite parameters; one is not',
  );
  // Whoever gets them may write into them.
  for (const [, a] of all) a.data.fill(7);
  found.check(
    sameTree(environment.initialise(1), copy),
    'initialise: wanted a pure function of the seed; a second call gives other parameters',
  );
  const {isText} = environment.policy;
  found.check(
    all.some(([path]) => !isText(path)),
    'isText: wanted a parameter outside the text tower, to be trained; there is none',
  );
  found.check(
    all.some(([path]) => isText(path)),
    'isText: wanted a parameter of the text tower; there is none',
  );
  return copy;
}

/** Checks that videos become latents. How well they come back is the codec's affair. */
function checkEncode(found: Findings, environment: Environment): void {
  const videos = environment.decode(testNoise('encode', [2, ...environment.latentShape], 0.5));
  const latents = environment.encode!(videos);
  const wanted = [2, ...environment.latentShape];
  found.check(
    latents.dtype === 'float32' && sameShape(latents.shape, wanted),
    `encode: wanted float32 ${shapeText(wanted)}; got ${latents.dtype} ${shapeText(latents.shape)}`,
  );
  found.check(allFinite(latents.data), 'encode: wanted finite latents; got others');
}

/** Checks that latents become the same videos inside a graph, and that videos answer to latents there. */
async function checkDecodeInGraph(found: Findings, environment: Environment, device: Device): Promise<void> {
  const latents = testNoise('decodeInGraph', [2, ...environment.latentShape], 0.7);
  const run = device.jit('conformance/decode', (inputs) => {
    const decode = (x: tf.Tensor): tf.Tensor => environment.decodeInGraph!(x);
    const latent = inputs['latent'] as tf.Tensor;
    return {video: decode(latent), gradient: tf.grad((x: tf.Tensor) => tf.sum(decode(x)))(latent)};
  });
  const {video, gradient} = (await run({latent: latents})).outputs as Record<string, NdArray<'float32'>>;
  const wanted = environment.decode(latents);
  found.check(
    sameShape(video.shape, wanted.shape),
    `decodeInGraph: wanted ${shapeText(wanted.shape)}; got ${shapeText(video.shape)}`,
  );
  found.check(
    largestGap(video.data, wanted.data) < ROW_SLACK,
    `decodeInGraph: wanted the videos of decode; they differ by up to ${largestGap(video.data, wanted.data)}`,
  );
  found.check(
    allFinite(gradient.data) && gradient.data.some((g) => g !== 0),
    'decodeInGraph: wanted a finite gradient other than 0; got another',
  );
}

function checkDecode(found: Findings, environment: Environment): void {
  const {latentShape, videoShape} = environment;
  const latents = testNoise('decode', [2, ...latentShape], 3);
  const before = latents.data.slice();
  const videos = environment.decode(latents);
  const wanted = [2, ...videoShape];
  found.check(
    videos.dtype === 'float32' && sameShape(videos.shape, wanted),
    `decode: wanted float32 ${shapeText(wanted)}; got ${videos.dtype} ${shapeText(videos.shape)}`,
  );
  found.check(
    videos.data.every((x) => x >= -1 && x <= 1),
    'decode: wanted values in [-1, 1]; latents of deviation 3 lead outside',
  );
  found.check(sameData(latents.data, before), 'decode: wanted the latents untouched; it writes into them');
  const alone = environment.decode(take(latents, [1]));
  found.check(
    largestGap(alone.data, videos.data.subarray(videos.data.length / 2)) < ROW_SLACK,
    'decode: wanted each latent decoded by itself; the second one depends on the first',
  );
}

async function checkPolicy(
  found: Findings,
  environment: Environment,
  prompts: readonly Prompt[],
  fresh: Params,
  device: Device,
): Promise<void> {
  const {policy, latentShape} = environment;
  // Fresh networks often predict zero; a little noise makes every path count.
  const params = mapTree(fresh, (a: NdArray, path) => {
    const noise = testNoise(path, a.shape, 0.02);
    return {...noise, data: noise.data.map((x, i) => x + a.data[i])};
  }) as Params;
  const layout = packPolicyFor(environment, params);
  const {trained, frozen} = packedPolicy(params, layout);
  const n = prompts.length;

  const encode = device.jit('encode', (inputs) => ({
    text: policy.encode(unpack(inputs['frozen'] as tf.Tensor, layout.frozen), inputs['tokens'] as tf.Tensor),
    blank: policy.encodeNull(unpack(inputs['frozen'] as tf.Tensor, layout.frozen), n),
  }));
  const tokens = policy.tokenize(prompts.map((p) => p.text));
  const states = await found.part('encode, with the parameters that isText names', () => encode({frozen, tokens}));
  if (!states) return;
  const {text, blank} = states.outputs as {text: NdArray<'float32'>; blank: NdArray<'float32'>};
  found.check(text.shape.length === 3 && text.shape[0] === n, `encode: wanted [${n}, L, D]; got ${shapeText(text.shape)}`);
  found.check(allFinite(text.data), 'encode: wanted finite text states; got others');
  found.check(
    sameShape(blank.shape, text.shape),
    `encodeNull: wanted ${shapeText(text.shape)}, as encode gives; got ${shapeText(blank.shape)}`,
  );

  const predict = (inputs: Branch<tf.Tensor>, vector: tf.Tensor): tf.Tensor => {
    const {latent, time, text: given} = inputs as Record<string, tf.Tensor>;
    return policy.denoise(networkTensors({trained: vector}, layout), latent, time, given);
  };
  const denoise = device.jit('denoise', (inputs) => {
    const x0 = predict(inputs, inputs['trained'] as tf.Tensor);
    const gradient = tf.grad((p: tf.Tensor) => tf.sum(tf.square(predict(inputs, p))))(inputs['trained'] as tf.Tensor);
    return {x0, gradient};
  });
  const latent = testNoise('latent', [n, ...latentShape]);
  const time = ndarray(
    'float32',
    [n],
    Float32Array.from({length: n}, (_, i) => 1 - (0.95 * i) / Math.max(1, n - 1)),
  );
  const run = async (x: NdArray<'float32'>): Promise<{x0: NdArray<'float32'>; gradient: NdArray<'float32'>} | undefined> =>
    (await found.part('denoise, with the parameters that isText leaves', () => denoise({trained, latent: x, time, text})))
      ?.outputs as {x0: NdArray<'float32'>; gradient: NdArray<'float32'>} | undefined;
  const once = await run(latent);
  if (!once) return;
  found.check(
    sameShape(once.x0.shape, latent.shape),
    `denoise: wanted ${shapeText(latent.shape)}; got ${shapeText(once.x0.shape)}`,
  );
  found.check(allFinite(once.x0.data), 'denoise: wanted finite predictions for times from 1 to .05; got others');
  found.check(allFinite(once.gradient.data), 'denoise: wanted a finite gradient; got another');
  found.check(
    once.gradient.data.some((g) => g !== 0),
    'denoise: wanted a gradient for the trained parameters; it is 0',
  );
  found.check(sameTree((await run(latent)) ?? {}, once), 'denoise: wanted the same prediction at every call; it changed');
  if (n < 2) return;
  const size = sizeOf(latentShape);
  const others = {...latent, data: latent.data.map((x, i) => (i < size ? x : -2 * x))};
  const again = await run(others);
  found.check(
    again !== undefined && largestGap(again.x0.data.subarray(0, size), once.x0.data.subarray(0, size)) < ROW_SLACK,
    'denoise: wanted each latent predicted by itself; the first one depends on the others',
  );
}

async function checkJudge(found: Findings, environment: Environment, prompts: readonly Prompt[], judge: Judge): Promise<void> {
  const videos = environment.decode(testNoise('judge', [prompts.length, ...environment.latentShape], 0.5));
  const judgements = await judge.judge(videos, prompts);
  found.check(
    judgements.length === prompts.length,
    `judge: wanted ${prompts.length} judgements, one a clip; got ${judgements.length}`,
  );
  const inRange = (x: number | null): boolean => x === null || (x >= 0 && x <= 1);
  for (const judgement of judgements) {
    const unknown = Object.keys(judgement).find((key) => !judge.dimensions.includes(key));
    found.check(unknown === undefined, `judge: wanted only the dimensions it lists; got "${unknown}"`);
    found.check(Object.values(judgement).every(inRange), 'judge: wanted scores in [0, 1], or null; got another');
  }
  found.check(
    JSON.stringify(await judge.judge(videos, prompts)) === JSON.stringify(judgements),
    'judge: wanted the same judgements at every call; they changed',
  );
  const order = prompts.map((_, i) => prompts.length - 1 - i);
  const backwards = await judge.judge(
    take(videos, order),
    order.map((i) => prompts[i]),
  );
  found.check(
    JSON.stringify([...backwards].reverse()) === JSON.stringify(judgements),
    'judge: wanted each clip judged by itself; the order of the clips changes the judgements',
  );
  const totals = judge.aggregate(judgements);
  for (const key of ['quality', 'semantic', 'total']) {
    const value: number | undefined = totals[key];
    found.check(
      value !== undefined && value >= 0 && value <= 1,
      `judge: wanted aggregate to give ${key} in [0, 1]; got ${value}`,
    );
  }
}

async function checkClips(found: Findings, environment: Environment, source: ClipSource): Promise<void> {
  const {videos, texts} = await source.clips([0, 1], false);
  const wanted = [2, ...environment.videoShape];
  found.check(
    videos.dtype === 'uint8' && sameShape(videos.shape, wanted),
    `clips: wanted uint8 ${shapeText(wanted)}; got ${videos.dtype} ${shapeText(videos.shape)}`,
  );
  found.check(texts.length === 2, `clips: wanted a caption for each clip; got ${texts.length}`);
  const swapped = await source.clips([1, 0], false);
  found.check(
    sameData(take(swapped.videos, [1, 0]).data, videos.data) && swapped.texts[1] === texts[0],
    'clips: wanted a pure function of the index; clip 0 changed when it was asked for in another place',
  );
  await found.part('clips: captions', () => environment.policy.tokenize(texts));
}
