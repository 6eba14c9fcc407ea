import type { Kernel } from '../kernel.js';
import type { Mm } from '../vm/mm.js';
import { KsmMmSlot } from './ksm_types.js';

/**
 * Puts an address space at the end of ksmd's list when it first becomes mergeable; nothing to do
 * if it is there. @kernel __ksm_enter
 */
export function ksmEnter(kernel: Kernel, mm: Mm): void {
  if (mm.ksmRegistered || !kernel.profile.ksm) return;
  mm.ksmRegistered = true;
  kernel.ksm.slots.push(new KsmMmSlot(mm));
}
