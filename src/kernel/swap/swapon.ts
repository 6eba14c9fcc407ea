import { fail } from '../../base/errors.js';
import type { Kernel } from '../kernel.js';
import type { SwapKind } from './swap_device.js';

/** Switches a new swap area on. Returns 0 or a negative errno. @kernel swapon */
export function swapOn(_kernel: Kernel, kind: SwapKind): number {
  fail(`swapon ${kind} is not written yet`);
}
