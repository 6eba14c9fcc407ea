import { fail } from '../../base/errors.js';
import { swapType } from '../pgtable/pte.js';
import { AnonRun } from '../reclaim/anon_run.js';
import { FolioSlots } from './folio_slots.js';
import type { SwapDevice } from './swap_device.js';
import { SwapReadahead } from './swap_readahead_state.js';

/** Swap areas and the swap cache of one machine. */
export class SwapState {
  /** By type; undefined for a type that is off. Areas with a lower type are filled first. */
  readonly devices: Array<SwapDevice | undefined> = [];
  readonly folioSlots = new FolioSlots();
  readonly readahead = new SwapReadahead();
  /** Folios that are on their way out together. */
  readonly run = new AnonRun();

  /** Area of a swap entry. */
  deviceOf(entry: number): SwapDevice {
    const device = this.devices[swapType(entry)];
    if (device === undefined) fail(`swap entry ${entry} names an area that is off`);
    return device;
  }

  /** @kernel get_nr_swap_pages */
  get freeSlots(): number {
    let free = 0;
    for (const device of this.devices) {
      if (device?.acceptsWrites === true) free += device.freeSlots;
    }
    return free;
  }

  /** More than half is in use: swap-in gives slots back at once. @kernel vm_swap_full */
  get isFull(): boolean {
    let free = 0;
    let total = 0;
    for (const device of this.devices) {
      if (device === undefined) continue;
      free += device.freeSlots;
      total += device.slotCount - 1;
    }
    return free * 2 < total;
  }
}
