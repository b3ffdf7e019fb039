/**
 * Checks that `peerNetwork.ts` computes what the peer's dit.py computes: prediction, loss and every gradient. Not part of the
 * tests, since it needs PyTorch:
 *
 *   PEER=../shared/bench/peer PYTHON=../peer-venv/bin/python npx tsx bench/checkPeer.ts nano
 */
import * as tf from '@tensorflow/tfjs-core';
import {spawnSync} from 'node:child_process';
import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import '../src/autograd/index.js';
import {openOrtDevice} from '../src/engine/ortDevice.js';
import {int32, ndarray, type NdArray} from '../src/tensor/ndarray.js';
import {pack, packing, unpack, unpackArray} from '../src/tensor/pack.js';
import {leaves, unflatten, type Params} from '../src/tensor/tree.js';
import {denoisePeer, encodePeer, initialisePeer, peerLoss, presets} from './peerNetwork.js';

const preset = process.argv[2] ?? 'nano';
const config = presets[preset];
const folder = mkdtempSync(join(tmpdir(), 'rlft-peer-'));
try {
  const script = join(import.meta.dirname, 'peerExport.py');
  const {status} = spawnSync(
    process.env['PYTHON'] ?? 'python3',
    [script, process.env['PEER'] ?? '../shared/bench/peer', preset, folder],
    {stdio: 'inherit'},
  );
  if (status !== 0)
    throw new Error(`checkPeer: ${script} failed; set PYTHON to an interpreter with PyTorch and PEER to the peer's folder.`);
  const index = JSON.parse(readFileSync(join(folder, 'peer.json'), 'utf8')) as Record<string, {offset: number; shape: number[]}>;
  const floats = new Float32Array(new Uint8Array(readFileSync(join(folder, 'peer.bin'))).buffer);
  const read = (name: string): NdArray<'float32'> => {
    const entry = index[name];
    if (!entry) throw new Error(`checkPeer: the peer has no "${name}".`);
    const size = entry.shape.reduce((n, d) => n * d, 1);
    return ndarray('float32', entry.shape, floats.slice(entry.offset, entry.offset + size));
  };
  const paths = leaves(initialisePeer(config, 0)).map(([path]) => path);
  const params: Params = unflatten(paths.map((path) => [path, read(`parameter.${path}`)] as const));
  const unused = Object.keys(index).filter(
    (name) => name.startsWith('parameter.') && !paths.includes(name.slice('parameter.'.length)),
  );
  if (unused.length > 0) throw new Error(`checkPeer: not taken over: ${unused.join(', ')}.`);
  const layout = packing(params);
  const tokens = read('batch.tokens');
  const batch = {
    clean: read('batch.clean'),
    noise: read('batch.noise'),
    time: read('batch.time'),
    tokens: int32(tokens.data, tokens.shape),
    drop: read('batch.drop'),
  };

  const device = await openOrtDevice('cpu', {provider: 'cpu', threads: 1}, {});
  const check = device.jit('check', (inputs) => {
    const given = inputs['batch'] as Record<string, tf.Tensor>;
    const vector = inputs['vector'] as tf.Tensor;
    const {value, grad} = tf.valueAndGrad((p: tf.Tensor) => peerLoss(config, unpack(p, layout), given))(vector);
    const text = encodePeer(config, unpack(vector, layout), given['tokens']);
    return {
      loss: value,
      grad,
      states: text.states,
      predicted: denoisePeer(config, unpack(vector, layout), given['noise'], given['time'], text),
    };
  });
  const {outputs} = await check({vector: pack(params, layout), batch});
  const gradients = Object.fromEntries(
    leaves(unpackArray(outputs['grad'] as NdArray<'float32'>, layout)).map(([path, leaf]) => [`gradient.${path}`, leaf]),
  );
  const compared: Record<string, NdArray> = {
    loss: outputs['loss'] as NdArray,
    states: outputs['states'] as NdArray,
    predicted: outputs['predicted'] as NdArray,
    ...(gradients as Record<string, NdArray>),
  };
  let worst = 0;
  for (const [name, mine] of Object.entries(compared)) {
    const theirs = read(name).data;
    const largest = theirs.reduce((m, x) => Math.max(m, Math.abs(x)), 1e-12);
    const difference = theirs.reduce((m, x, i) => Math.max(m, Math.abs(x - mine.data[i])), 0) / largest;
    worst = Math.max(worst, difference);
    if (difference > 1e-4 || !name.startsWith('gradient.'))
      console.log(`${difference > 1e-4 ? 'DIFFERS' : 'agrees'}  ${difference.toExponential(1)}  ${name}`);
  }
  console.log(
    `checkPeer ${preset}: ${Object.keys(compared).length} arrays, largest difference ${worst.toExponential(1)} of an array's largest element.`,
  );
  if (!(worst < 1e-4)) process.exitCode = 1;
  await device.close();
} finally {
  rmSync(folder, {recursive: true, force: true});
}
