/** Runs that train an adapter: every algorithm, their files, and what is made of them. */
import {expect} from 'chai';
import {cpSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {brightness} from '../../rewards/brightness.js';
import {algorithms} from '../../src/builtins.js';
import type {Device} from '../../src/engine/device.js';
import {openDevice} from '../../src/engine/devices.js';
import {ConfigError, CorruptFileError} from '../../src/errors.js';
import {readAdapter, writeAdapter} from '../../src/run/adapterFiles.js';
import {listCheckpoints, loadCheckpoint} from '../../src/run/checkpoint.js';
import {hashParams} from '../../src/run/hashParams.js';
import {createRunFolder, runFolder, type RunFolder} from '../../src/run/runFolder.js';
import type {RunSummary} from '../../src/run/summary.js';
import {openWeights, readWeights, writeWeights} from '../../src/run/weights.js';
import {mergeAdapter} from '../../src/rollout/adapter.js';
import {packPolicyFor} from '../../src/rollout/residentPolicy.js';
import type {NdArray} from '../../src/tensor/ndarray.js';
import {leaves, mapTree, type Params} from '../../src/tensor/tree.js';
import {readPolicy} from '../../src/tune/policyWeights.js';
import {loraOf, optionsOf, tuneConfig} from '../../src/tune/schema.js';
import {tune} from '../../src/tune/tune.js';
import {bareContext} from '../support/bareContext.js';
import {rejection, temporaryFolder} from '../support/files.js';
import {expectClose} from '../support/golden.js';
import {nano, noisyWeights} from '../support/nano.js';
import {runCommand} from '../support/runCommand.js';

const start = noisyWeights(nano);
const settings = {
  environment: 'fluentClips',
  preset: 'nano',
  reward: 'brightness',
  threads: 1,
  evaluation: {prompts: 4, steps: 3},
  sampleEvery: 0,
  checkpointEvery: 1,
  learningRate: 0.01,
  tuning: 'lora',
  loraRank: 4,
  loraAlpha: 8,
};
type Settings = Readonly<Record<string, unknown>>;
/** The size of an iteration, from rollouts or from clips of the world. */
const sizesOf = (name: string): Settings =>
  name === 'sft' ? {clipsPerIteration: 4} : {promptsPerIteration: 2, samplesPerPrompt: 2, samplingSteps: 4};

describe('tune with an adapter', function () {
  this.timeout(240_000);
  const folder = temporaryFolder();
  const fresh = (name: string): Promise<RunFolder> => createRunFolder(join(folder(), name), {force: false});

  let device: Device;
  before(async () => {
    device = await openDevice('cpu', {threads: 1});
  });
  after(() => device.close());

  /** Runs in the nano world, from the same weights; they count as those that `policy` names. */
  async function run(
    name: string,
    into: RunFolder,
    change: Settings,
    {stopAfter, resume = false, params = start}: {stopAfter?: number; resume?: boolean; params?: Params} = {},
  ): Promise<RunSummary> {
    const algorithm = algorithms.get(name);
    const config = tuneConfig(algorithm, {...settings, ...sizesOf(name), ...change});
    const stop = new AbortController();
    return tune({
      config,
      folder: into,
      environment: nano,
      algorithm: algorithm.configure(optionsOf(algorithm, config), config),
      reward: await brightness.open(bareContext(nano, device)),
      rewardGradient: algorithm.needs.differentiableReward,
      judge: undefined,
      device,
      params,
      resume,
      signal: stop.signal,
      report: (event) => {
        if (event.kind === 'iteration' && event.iteration === stopAfter) stop.abort();
      },
    });
  }

  it('raises the reward on held-out prompts', async () => {
    const sizes = {samplesPerPrompt: 8, promptsPerIteration: 4, evaluation: {prompts: 8, steps: 4}};
    const options = {windowSize: 0, sharedStart: false, anchorCoefficient: 0, klCoefficient: 0, emaDecay: 0.5};
    const summary = await run('ddpo', await fresh('raised'), {...sizes, ...options, iterations: 8});
    expect(summary.evaluation?.metric).to.equal('reward/mean');
    // Samples of one prompt differ by 0.002.
    expect(summary.evaluation!.difference.low).to.be.above(0.004);
  });

  for (const name of algorithms.names) {
    it(`${name} goes on after Ctrl-C as if nothing had been, bit for bit, and learns the adapter alone`, async () => {
      const [whole, broken] = [await fresh('whole'), await fresh('broken')];
      const change = {iterations: 2, ...(name === 'nft' && {oldPolicy: 'lagging'})};
      await run(name, whole, change);
      await run(name, broken, change, {stopAfter: 1});
      await run(name, broken, change, {resume: true});
      for (const file of ['adapter', 'adapterConfig'] as const) {
        expect(readFileSync(whole[file]).equals(readFileSync(broken[file])), file).to.equal(true);
      }
      const newest = async (f: RunFolder): Promise<Params> =>
        (await loadCheckpoint((await listCheckpoints(f.checkpoints))[0].path)).state;
      const state = await newest(whole);
      expect(await newest(broken)).to.deep.equal(state);
      const {size} = packPolicyFor(
        nano,
        start,
        loraOf(tuneConfig(algorithms.get(name), {...settings, ...sizesOf(name), ...change})),
      ).trained;
      for (const [path, array] of leaves<NdArray>(state)) expect(array.shape, path).to.deep.equal([size]);
      const {adapter} = await readAdapter(whole.path);
      for (const [path, {data}] of leaves<NdArray>(adapter))
        expect(
          data.some((x) => x !== 0),
          path,
        ).to.equal(true);
    });
  }

  it('does not go on over other weights than those beneath the adapter', async () => {
    const into = await fresh('moved');
    await run('ddpo', into, {iterations: 2}, {stopAfter: 1});
    const other = mapTree(start, (a: NdArray) => ({...a, data: a.data.map((x) => x * 2)})) as Params;
    const error = await rejection(run('ddpo', into, {iterations: 2}, {resume: true, params: other}));
    expect(error).to.be.instanceOf(ConfigError);
    expect(error.message).to.match(/^policy: the weights beneath the adapter in .* are not those that it was trained on/);
  });

  describe('from the command line', () => {
    const words = (extra: readonly string[] = []): string[] => [
      ...['run', 'ddpo', '--preset', 'nano', '--policy', join(folder(), 'base.safetensors'), '--reward', 'brightness'],
      ...['--threads', '1', '--iterations', '1', '--prompts-per-iteration', '2', '--samples-per-prompt', '2'],
      ...['--sampling-steps', '4', '--evaluation-prompts', '2', '--evaluation-steps', '2', '--output-dir', join(folder(), 'run')],
      ...extra,
    ];
    const adapted = ['--tuning', 'lora', '--lora-rank', '4', '--lora-alpha', '6', '--learning-rate', '0.01'];

    it('leaves an adapter with the names and shapes of peft and a card, samples, exports, and lies beneath another', async () => {
      const base = join(folder(), 'base.safetensors');
      await writeWeights(base, start);
      const where = runFolder(join(folder(), 'run'));
      const targets = ['--lora-targets', '[attention.qkv, feedForward.out]'];
      const ran = await runCommand(words([...adapted, ...targets]));
      expect(ran.code, ran.stderr).to.equal(0);
      expect(ran.stderr).to.include(`next: rlft sample --policy ${where.path} `);
      expect(existsSync(where.policy)).to.equal(false);

      const file = await openWeights(where.adapter);
      const shapes = Object.fromEntries([...file.tensors].map(([name, {shape, type}]) => [name, [type, ...shape]]));
      const prefix = 'base_model.model.blocks';
      const layers = (block: number) => ({
        [`${prefix}.${block}.attention.qkv.lora_A.weight`]: ['F32', 4, 64],
        [`${prefix}.${block}.attention.qkv.lora_B.weight`]: ['F32', 192, 4],
        [`${prefix}.${block}.feedForward.out.lora_A.weight`]: ['F32', 4, 256],
        [`${prefix}.${block}.feedForward.out.lora_B.weight`]: ['F32', 64, 4],
      });
      expect(shapes).to.deep.equal({...layers(0), ...layers(1)});
      expect(JSON.parse(readFileSync(where.adapterConfig, 'utf8'))).to.include({
        peft_type: 'LORA',
        base_model_name_or_path: base,
        r: 4,
        lora_alpha: 6,
        lora_dropout: 0,
        bias: 'none',
        use_rslora: false,
      });

      // Merged here, in float64 and in torch's orientation, from nothing but the file's bytes.
      const {params: merged} = await readPolicy(nano, where.path);
      const weights = new Map(leaves<NdArray>(merged));
      for (const name of ['blocks.0.attention.qkv', 'blocks.1.feedForward.out']) {
        const [A, B] = await Promise.all(['A', 'B'].map((f) => file.read(`base_model.model.${name}.lora_${f}.weight`)));
        const [out, inputs] = [B.shape[0], A.shape[1]];
        const before = new Map(leaves<NdArray>(start)).get(`${name}.weight`)!;
        const wanted = before.data.map((w, at) => {
          const [i, o] = [Math.floor(at / out), at % out];
          return [0, 1, 2, 3].reduce((sum, k) => sum + (6 / 4) * B.data[o * 4 + k] * A.data[k * inputs + i], w);
        });
        expectClose(weights.get(`${name}.weight`)!.data, wanted, 1e-6);
        expect(Math.max(...wanted.map((w, i) => Math.abs(w - before.data[i])))).to.be.above(1e-4);
      }
      await file.close();

      const card = readFileSync(where.card, 'utf8');
      for (const part of [
        '# fluentClips nano, tuned by ddpo',
        'rank 4, α 6, dropout 0',
        '| reward/mean |',
        'lora]',
        '## Licence',
      ])
        expect(card).to.include(part);

      const sampled = await runCommand(
        ['sample', '--preset', 'nano', '--policy', where.path, '--sampling-steps', '2', '--threads', '1'].concat([
          ...['--output-dir', join(folder(), 'samples'), nano.prompts('heldOut', 1)[0].text],
        ]),
      );
      expect(sampled.code, sampled.stderr).to.equal(0);

      const out = {folder: join(folder(), 'out'), file: join(folder(), 'merged.safetensors')};
      const copied = await runCommand(['export', where.path, '--output', out.folder]);
      expect(copied.code, copied.stderr).to.equal(0);
      expect(readdirSync(out.folder).sort()).to.deep.equal(['README.md', 'adapter_config.json', 'adapter_model.safetensors']);
      const made = await runCommand(['export', out.folder, '--merge', '--output', out.file, '--json']);
      expect(made.code, made.stderr).to.equal(0);
      expect(JSON.parse(made.stdout)).to.deep.equal({files: [out.file]});
      expect((await readWeights(out.file)).params).to.deep.equal(merged);
      expect((await runCommand(['export', where.path, '--merge', '--output', out.file])).stderr).to.include(
        `--output ${out.file}: wanted a new file; it exists.`,
      );
      expect((await runCommand(['export', where.path, '--output', out.folder])).stderr).to.include(
        `--output ${out.folder}: wanted a new or empty folder; it holds 3 entries.`,
      );

      // An adapter over an adapter: what a run from this run's folder leaves.
      const upper = join(folder(), 'upper');
      mkdirSync(upper);
      const own = await readAdapter(where.path);
      await writeAdapter(upper, {...own, base: where.path, baseHash: hashParams(merged)}, {});
      const {params: twice, files} = await readPolicy(nano, upper);
      expect(files).to.deep.equal([runFolder(upper).adapter, where.adapter, base]);
      expect(twice).to.deep.equal(mergeAdapter(merged, own.adapter, 6 / 4));
    });

    it('leaves a card beside full weights, and exports them as they are', async () => {
      await writeWeights(join(folder(), 'base.safetensors'), start);
      const where = runFolder(join(folder(), 'run'));
      const ran = await runCommand(words());
      expect(ran.code, ran.stderr).to.equal(0);
      expect(readFileSync(where.card, 'utf8')).to.match(/all [\d,]+ parameters of the denoising network/);
      const out = join(folder(), 'out');
      expect((await runCommand(['export', where.path, '--output', out])).code).to.equal(0);
      expect(readdirSync(out).sort()).to.deep.equal(['README.md', 'policy.safetensors']);
      expect((await readPolicy(nano, out)).params).to.deep.equal((await readWeights(where.policy)).params);
      expect((await runCommand(['export', where.path, '--merge', '--output', join(folder(), 'm')])).stderr).to.equal(
        `rlft: --merge: ${where.path} holds full weights already, which need no merging; leave --merge out.\n`,
      );
    });

    for (const [what, flags, message] of [
      [
        'a rank without an adapter',
        ['--lora-rank', '8'],
        '--lora-rank loraRank: has no effect in this run: wanted tuning: lora.',
      ],
      [
        'targets without an adapter',
        ['--lora-targets', '[qkv]'],
        '--lora-targets loraTargets: has no effect in this run: wanted tuning: lora.',
      ],
      ['an unknown tuning', ['--tuning', 'lorra'], '--tuning: wanted one of full, lora; got "lorra"; did you mean "lora"?'],
      [
        'an unknown layer',
        ['--tuning', 'lora', '--lora-targets', '[feedForward.on]'],
        'loraTargets: no weight matrix of fluentClips nano is called "feedForward.on"; did you mean "feedForward.in"?',
      ],
      [
        'a rank that is too high',
        ['--tuning', 'lora', '--lora-rank', '100'],
        'loraRank: wanted at most 64, the smaller side of blocks.0.attention.qkv [64, 192]; got 100.',
      ],
    ] as const) {
      it(`refuses ${what} before a folder is made`, async () => {
        const {code, stderr} = await runCommand(words(flags));
        expect(stderr).to.equal(`rlft: ${message}\n`);
        expect(code).to.equal(2);
        expect(readdirSync(folder())).to.deep.equal([]);
      });
    }
  });

  describe('an adapter that was altered', () => {
    /** A run's adapter over `base.safetensors`, and a change to its configuration. */
    async function adapter(change: Settings = {}): Promise<string> {
      const base = join(folder(), 'base.safetensors');
      await writeWeights(base, start);
      const into = await fresh('run');
      await run('ddpo', into, {iterations: 1, policy: base});
      const config = JSON.parse(readFileSync(into.adapterConfig, 'utf8')) as object;
      writeFileSync(into.adapterConfig, JSON.stringify({...config, ...change}));
      return into.path;
    }

    it('is refused over other weights, in another world, beneath itself, and where it asks for more than LoRA', async () => {
      const where = await adapter();
      const config = JSON.parse(readFileSync(join(where, 'adapter_config.json'), 'utf8')) as object;
      const withConfig = (name: string, change: Settings): string => {
        const copy = join(folder(), name);
        cpSync(where, copy, {recursive: true});
        writeFileSync(join(copy, 'adapter_config.json'), JSON.stringify({...config, ...change}));
        return copy;
      };
      const refused = async (path: string, environment = nano): Promise<string> => {
        const error = await rejection(readPolicy(environment, path));
        expect(error.constructor).to.be.oneOf([ConfigError, CorruptFileError]);
        return error.message;
      };
      expect(await refused(where, {...nano, preset: 'mini'})).to.equal(
        `policy: ${where} holds an adapter of fluentClips nano; this is fluentClips mini. Use environment: fluentClips, preset: nano.`,
      );
      const own = withConfig('own', {base_model_name_or_path: join(folder(), 'own')});
      expect(await refused(own)).to.equal(`policy: ${own} names itself as the weights beneath its adapter.`);
      expect(await refused(withConfig('none', {base_model_name_or_path: null}))).to.match(/names no weights beneath its adapter/);
      expect(await refused(withConfig('dora', {use_dora: true}))).to.match(
        /adapter_config\.json: use_dora: .*; rlft reads plain LoRA adapters, such as those of tuning: lora\.$/,
      );
      expect(await refused(withConfig('rank', {r: 5}))).to.match(
        /wanted base_model\.model\.<layer>\.lora_A\.weight \[5, in\] or/,
      );
      const half = withConfig('half', {});
      const {params, metadata} = await readWeights(join(half, 'adapter_model.safetensors'));
      const some = leaves<NdArray>(params).slice(1);
      await writeWeights(join(half, 'adapter_model.safetensors'), Object.fromEntries(some), {metadata});
      expect(await refused(half)).to.match(/wanted both factors of each layer; "blocks\.0\.attention\.qkv\.A" is missing\.$/);
      await writeWeights(join(folder(), 'base.safetensors'), nano.initialise(5));
      expect(await refused(where)).to.match(
        /holds an adapter of other weights than ".*base\.safetensors" holds now; restore them/,
      );
    });
  });
});
