import type { Kernel } from '../kernel.js';

/** Placeholder list while the claims are written. */
export function checkInvariants(_kernel: Kernel): void {}
