import {expect} from 'chai';
import {createHash} from 'node:crypto';
import {readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {CorruptFileError} from '../../src/errors.js';
import {
  removeDrafts,
  listCheckpoints,
  loadCheckpoint,
  loadForResume,
  saveCheckpoint,
  type Snapshot,
} from '../../src/run/checkpoint.js';
import {readWeights} from '../../src/run/weights.js';
import {float32, int32} from '../../src/tensor/ndarray.js';
import {onTinyDisk, rejection, temporaryFolder} from '../support/files.js';

describe('run/checkpoint', () => {
  const folder = temporaryFolder();
  const at = (iteration: number): Snapshot => ({
    state: {params: {'0': float32([iteration, 1e-45, -0, NaN])}, adam: {step: int32([iteration], [])}},
    meta: {seed: 42, trackers: {'a red boat': [0.1 + 0.2, -0.5]}, window: null},
  });

  it('gives back state and meta exactly', async () => {
    const path = await saveCheckpoint(folder(), 7, at(7), 3);
    expect(await loadCheckpoint(path)).to.deep.equal({...at(7), iteration: 7});
  });

  it('is an ordinary safetensors file', async () => {
    const {params, metadata} = await readWeights(await saveCheckpoint(folder(), 7, at(7), 3));
    expect(params).to.deep.equal(at(7).state);
    expect(metadata['iteration']).to.equal('7');
  });

  it('carries the sha256 of the file with that value taken as zeros', async () => {
    const path = await saveCheckpoint(folder(), 1, at(1), 3);
    const written = (await readWeights(path)).metadata['sha256'];
    const zeroed = readFileSync(path, 'latin1').replace(written, '0'.repeat(64));
    const independent = createHash('sha256').update(Buffer.from(zeroed, 'latin1')).digest('hex');
    expect(written).to.equal(independent);
  });

  it('keeps the newest and leaves no other file', async () => {
    for (const i of [1, 2, 10, 11]) await saveCheckpoint(folder(), i, at(i), 2);
    expect((await listCheckpoints(folder())).map((c) => c.iteration)).to.deep.equal([11, 10]);
    expect(readdirSync(folder())).to.have.length(2);
  });

  it('refuses a change of any single byte, by name', async () => {
    const path = await saveCheckpoint(folder(), 3, at(3), 3);
    const bytes = readFileSync(path);
    for (let i = 0; i < bytes.length; i++) {
      const altered = Buffer.from(bytes);
      altered[i] ^= 1;
      writeFileSync(path, altered);
      const error = await rejection(loadCheckpoint(path));
      expect(error, `byte ${i}`).to.be.instanceOf(CorruptFileError);
      expect(error.message).to.equal(`${path}: this checkpoint is torn or altered (its checksum does not match).`);
    }
  });

  it('refuses a file torn at any length', async () => {
    const path = await saveCheckpoint(folder(), 3, at(3), 3);
    const bytes = readFileSync(path);
    for (let length = 0; length < bytes.length; length += 7) {
      writeFileSync(path, bytes.subarray(0, length));
      expect(await rejection(loadCheckpoint(path))).to.be.instanceOf(CorruptFileError);
    }
  });

  it('resumes from the newest', async () => {
    for (const i of [1, 2, 3]) await saveCheckpoint(folder(), i, at(i), 5);
    expect((await loadForResume(folder())).iteration).to.equal(3);
  });

  it('offers the newest good one before a torn one', async () => {
    const paths = [];
    for (const i of [1, 2, 3]) paths.push(await saveCheckpoint(folder(), i, at(i), 5));
    for (const path of paths.slice(1)) writeFileSync(path, readFileSync(path).subarray(0, 100));
    const error = await rejection(loadForResume(folder()));
    expect(error.message).to.equal(
      `${paths[2]}: this checkpoint is torn or altered (its checksum does not match). ` +
        '00000001.safetensors, after 1 iterations, is good: delete the newer ones to resume from it.',
    );
    writeFileSync(paths[0], 'x');
    expect((await rejection(loadForResume(folder()))).message).to.match(/No earlier checkpoint is good\.$/);
  });

  it('says that an empty or missing folder holds none', async () => {
    expect((await rejection(loadForResume(join(folder(), 'none')))).message).to.match(/^resume: .*none holds no checkpoint\.$/);
  });

  it('removes half-written files and nothing else', async () => {
    for (const i of [1, 2]) await saveCheckpoint(folder(), i, at(i), 5);
    writeFileSync(join(folder(), '.00000003.safetensors.1.tmp'), 'half');
    await removeDrafts(folder());
    expect(readdirSync(folder())).to.deep.equal(['00000001.safetensors', '00000002.safetensors']);
  });

  it('names what JSON would bend instead of bending it', async () => {
    const error = await rejection(saveCheckpoint(folder(), 1, {state: {}, meta: {loss: NaN}}, 1));
    expect(error.message).to.equal('internal: checkpoint: "loss" is NaN, which JSON does not hold.');
  });

  it('on a full disk says so, and keeps the earlier checkpoint', async function () {
    await onTinyDisk(this, folder(), async (disk) => {
      await saveCheckpoint(disk, 1, at(1), 2);
      const large = {state: {w: float32(new Float32Array(200_000))}, meta: null};
      const error = await rejection(saveCheckpoint(disk, 2, large, 2));
      expect(error.message).to.match(/^cannot write .*00000002\.safetensors: no space is left on the device/);
      expect(readdirSync(disk)).to.deep.equal(['00000001.safetensors']);
      expect((await loadForResume(disk)).iteration).to.equal(1);
    });
  });
});
