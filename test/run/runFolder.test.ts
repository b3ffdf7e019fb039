import {expect} from 'chai';
import {existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {ConfigError, RlftError} from '../../src/errors.js';
import {claimRunFolder, createRunFolder, fileName, openRunFolder} from '../../src/run/runFolder.js';
import {rejection, temporaryFolder} from '../support/files.js';

describe('run/runFolder', () => {
  const folder = temporaryFolder();

  it('makes a new folder with its parents, and takes an empty one', async () => {
    const path = join(folder(), 'a', 'b');
    const run = await createRunFolder(path, {force: false});
    expect(readdirSync(path)).to.deep.equal(['checkpoints', 'samples']);
    expect(run.metrics).to.equal(join(path, 'metrics.jsonl'));
    mkdirSync(join(folder(), 'empty'));
    await createRunFolder(join(folder(), 'empty'), {force: false});
  });

  it('refuses a folder that holds anything, in one line, and touches nothing', async () => {
    writeFileSync(join(folder(), 'thesis.txt'), 'x');
    const error = await rejection(createRunFolder(folder(), {force: false}));
    expect(error).to.be.instanceOf(ConfigError);
    expect(error.message).to.match(
      /^--output-dir .*: wanted a new or empty folder; it holds 1 entries\. Use another, --resume .*, or --force/,
    );
    expect(readdirSync(folder())).to.deep.equal(['thesis.txt']);
  });

  it('with --force removes what a run left, and nothing else', async () => {
    for (const name of ['thesis.txt', 'config.yaml', 'metrics.jsonl', 'events.out.tfevents.1.rlft'])
      writeFileSync(join(folder(), name), 'x');
    mkdirSync(join(folder(), 'checkpoints'));
    writeFileSync(join(folder(), 'checkpoints', '00000001.safetensors'), 'x');
    await createRunFolder(folder(), {force: true});
    expect(readdirSync(folder())).to.deep.equal(['checkpoints', 'samples', 'thesis.txt']);
    expect(readdirSync(join(folder(), 'checkpoints'))).to.deep.equal([]);
    expect(readFileSync(join(folder(), 'thesis.txt'), 'utf8')).to.equal('x');
  });

  it('says in one line that a file stands in the way', async () => {
    const path = join(folder(), 'file');
    writeFileSync(path, '');
    const error = await rejection(createRunFolder(path, {force: true}));
    expect(error).to.be.instanceOf(RlftError);
    expect(error.message).to.equal(`cannot use ${path}: a part of the path is not a folder.`);
  });

  it('finds a run by its config.yaml', async () => {
    expect((await rejection(openRunFolder(folder()))).message).to.equal(
      `${folder()}: wanted the folder of a run; it holds no config.yaml.`,
    );
    expect(await rejection(openRunFolder(join(folder(), 'none')))).to.be.instanceOf(ConfigError);
    writeFileSync(join(folder(), 'config.yaml'), '');
    expect((await openRunFolder(folder())).path).to.equal(folder());
  });

  it('says what becomes of a run that was killed before it had its config.yaml', async () => {
    const {path} = await createRunFolder(join(folder(), 'run'), {force: false});
    expect((await rejection(openRunFolder(path))).message).to.equal(
      `${path}: wanted the folder of a run; it holds no config.yaml. A run that was killed while it started is begun anew with --force.`,
    );
  });

  it('claims different folders for runs that start together', async () => {
    const claimed = await Promise.all(Array.from({length: 8}, () => claimRunFolder(folder(), 'ddpo')));
    expect(new Set(claimed.map((run) => run.path)).size).to.equal(8);
    expect(existsSync(join(folder(), 'ddpo-8', 'samples'))).to.equal(true);
  });

  it('makes file names that stay in their folder', () => {
    expect(fileName('../../etc/passwd')).to.equal('etc-passwd');
    expect(fileName('a red boat, é')).to.equal('a-red-boat-e');
    expect(fileName('..')).to.equal('unnamed');
    expect(fileName('x'.repeat(500))).to.have.length(60);
  });
});
