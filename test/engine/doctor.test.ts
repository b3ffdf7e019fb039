import {expect} from 'chai';
import {diagnose} from '../../src/engine/doctor.js';

describe('doctor', () => {
  it('measures the compiling device and finds its gradients right', async () => {
    const {versions, cores, threads, devices} = await diagnose(['cpu', 'tfjs:cpu']);
    expect(versions).to.deep.equal({node: process.version, onnxruntime: '1.30.0', tfjs: '4.22.0'});
    expect(threads).to.be.within(1, cores);
    const [cpu, yardstick] = devices;
    expect(cpu).to.deep.include({name: 'cpu', available: true, whole: true});
    expect(cpu.gflops).to.be.greaterThan(0.1);
    expect(cpu.gradientError).to.be.within(1e-9, 1e-5);
    expect(yardstick).to.deep.equal({name: 'tfjs:cpu', available: true, gradientError: 0});
  });
});
