import { ENOSYS, EPERM } from '../errno.js';
import type { Kernel } from '../kernel.js';
import { SwapDevice, type SwapKind } from './swap_device.js';

/** Types that a swap entry can name. @kernel MAX_SWAPFILES */
const MAX_SWAPFILES = 23;
/** 64 MiB, the size of the areas that the scenario format switches on. */
export const DEFAULT_SWAP_PAGES = 16_384;

/** Switches a new swap area on. Returns 0 or a negative errno. @kernel swapon */
export function swapOn(kernel: Kernel, kind: SwapKind, pages = DEFAULT_SWAP_PAGES): number {
  if (!kernel.profile.swap) return -ENOSYS;
  const { devices } = kernel.swap;
  let type = devices.indexOf(undefined);
  if (type < 0) type = devices.length;
  if (type >= MAX_SWAPFILES) return -EPERM;
  devices[type] = new SwapDevice(type, kind, pages);
  return 0;
}
