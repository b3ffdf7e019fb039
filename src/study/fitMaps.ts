/** Maps of all kinds, fitted to the same pairs. */
import type {Device} from '../engine/device.js';
import {fitMap, isTrained, type SolvedMapOptions} from '../fit/fitMap.js';
import {openMapTrainer, type EmbeddedPairs, type MapPlan} from '../fit/trainMap.js';
import {mapNames, transportMap, type MapName, type TransportMap} from '../transport/maps/transportMap.js';
import type {StudyProgress} from './study.js';

/** How maps are fitted. */
export interface MapsPlan {
  /** Of the kinds that are trained. */
  readonly trained: MapPlan;
  /** Of the kinds that are solved. */
  readonly solved: SolvedMapOptions;
  readonly seed: number;
}

/** Fits a map of each kind. Those that are trained are taken as they are after the last step: no checkpoint is chosen. */
export async function fitMaps(
  device: Device,
  pairs: EmbeddedPairs,
  {trained, solved, seed}: MapsPlan,
  report: (progress: StudyProgress) => void,
): Promise<ReadonlyMap<MapName, TransportMap>> {
  const width = pairs.text.shape[1];
  const maps = new Map<MapName, TransportMap>();
  for (const name of mapNames) {
    if (!isTrained(name)) {
      maps.set(name, transportMap(name, fitMap(name, pairs, solved).params, width, name));
      continue;
    }
    const trainer = await openMapTrainer(device, name, trained, pairs, {seed});
    try {
      for (let step = 1; step <= trainer.totalUpdates; step++) {
        await trainer.update();
        report({stage: `fitting ${name}`, done: step, total: trainer.totalUpdates});
      }
      maps.set(name, transportMap(name, await trainer.params(), width, name));
    } finally {
      await trainer.close();
    }
  }
  return maps;
}
