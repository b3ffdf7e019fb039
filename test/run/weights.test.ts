import {expect} from 'chai';
import {existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {pathToFileURL} from 'node:url';
import {openWeights, readWeights, writeWeights} from '../../src/run/weights.js';
import {CorruptFileError, RlftError} from '../../src/errors.js';
import {float32, int32} from '../../src/tensor/ndarray.js';
import {rejection, temporaryFolder} from '../support/files.js';

describe('run/weights', () => {
  const folder = temporaryFolder();
  const params = {a: {'0': float32([1, 2, 3])}, b: int32([4])};

  it('writes a tree and reads it back, from a path and from a URL', async () => {
    const path = join(folder(), 'w.safetensors');
    await writeWeights(path, params, {metadata: {made: 'test'}});
    for (const from of [path, pathToFileURL(path)]) {
      expect(await readWeights(from)).to.deep.equal({params, metadata: {made: 'test'}});
    }
    expect(readdirSync(folder())).to.deep.equal(['w.safetensors']);
  });

  it('reads one tensor of a file whose other tensors lie in a hole of a terabyte', async () => {
    const path = join(folder(), 'sparse.safetensors');
    const far = 2 ** 40;
    const json = JSON.stringify({
      big: {dtype: 'U8', shape: [far], data_offsets: [0, far]},
      small: {dtype: 'U8', shape: [2], data_offsets: [far, far + 2]},
    });
    const head = Buffer.alloc(8);
    head.writeBigUInt64LE(BigInt(json.length));
    writeFileSync(path, Buffer.concat([head, Buffer.from(json)]));
    truncateSync(path, 8 + json.length + far + 2);
    const file = await openWeights(path);
    expect([...(await file.read('small')).data]).to.deep.equal([0, 0]);
    await file.close();
  });

  it('names the file and the tensor that it does not hold', async () => {
    const path = join(folder(), 'w.safetensors');
    await writeWeights(path, params);
    const file = await openWeights(path);
    expect((await rejection(file.read('c'))).message).to.equal(`${path}: holds no tensor "c".`);
    await file.close();
  });

  it('refuses a file that is truncated at any byte', async () => {
    const path = join(folder(), 'w.safetensors');
    await writeWeights(path, params);
    const bytes = readFileSync(path);
    for (let length = 0; length < bytes.length; length++) {
      writeFileSync(path, bytes.subarray(0, length));
      const error = await rejection(readWeights(path));
      expect(error, `${length} bytes`).to.be.instanceOf(CorruptFileError);
      expect(error.message.startsWith(`${path}: `)).to.equal(true);
    }
  });

  it('says in one line that a file is missing or is a folder', async () => {
    const missing = join(folder(), 'none.safetensors');
    expect((await rejection(readWeights(missing))).message).to.equal(`cannot read ${missing}: there is no such file or folder.`);
    expect((await rejection(readWeights(folder()))).message).to.equal(`cannot read ${folder()}: it is a folder.`);
  });

  it('leaves the old file and no other when the new one cannot be written', async function () {
    if (!existsSync('/dev/full')) return this.skip();
    const path = join(folder(), 'w.safetensors');
    await writeWeights(path, params);
    symlinkSync('/dev/full', join(folder(), `.w.safetensors.${process.pid}.tmp`));
    const error = await rejection(writeWeights(path, {a: float32([9])}));
    expect(error).to.be.instanceOf(RlftError);
    expect(error.message).to.match(/^cannot write .*w\.safetensors: no space is left on the device; free some/);
    expect(readdirSync(folder())).to.deep.equal(['w.safetensors']);
    expect((await readWeights(path)).params).to.deep.equal(params);
  });

  it('names the file when a folder stands in its place', async () => {
    const path = join(folder(), 'w.safetensors');
    mkdirSync(path);
    expect((await rejection(writeWeights(path, params))).message).to.match(/^cannot write .*w\.safetensors: it is a folder\.$/);
  });
});
