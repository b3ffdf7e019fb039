/** Where plug-ins are tried out. */
import type {Device} from '../engine/device.js';
import {openDevice} from '../engine/devices.js';

/** Runs on the given device, or on one that is opened for it and closed after it. */
export async function onDevice(given: Device | undefined, run: (device: Device) => Promise<unknown>): Promise<void> {
  const device = given ?? (await openDevice('cpu', {threads: 1}));
  try {
    await run(device);
  } finally {
    if (device !== given) await device.close();
  }
}
