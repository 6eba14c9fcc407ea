import type { SwapDevice } from './swap_device.js';

/** Swap areas of one machine; `devices[type]` is undefined for a type that is off. */
export class SwapState {
  readonly devices: Array<SwapDevice | undefined> = [];
}
