import type { Kernel } from '../kernel.js';

/** Turns a KSM knob as `config` names it; returns false for a key that is not one. */
export function setKsmKnob(kernel: Kernel, key: string, value: string | number): boolean {
  if (key === 'ksm_zero') {
    kernel.knobs.ksmZeroPages = Number(value) !== 0;
    return true;
  }
  if (key !== 'ksm_max_sharing') return false;
  kernel.knobs.ksmMaxSharing = Number(value);
  return true;
}
