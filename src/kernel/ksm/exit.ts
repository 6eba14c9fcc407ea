import type { Kernel } from '../kernel.js';
import type { Mm } from '../vm/mm.js';

/**
 * An address space goes. Its items stay, with their hold on the anon_vmas, until ksmd comes to
 * them, which is before all others; without items it leaves the list at once. @kernel ksm_exit
 */
export function ksmExit(kernel: Kernel, mm: Mm): void {
  if (!mm.ksmRegistered) return;
  mm.ksmRegistered = false;
  const { ksm } = kernel;
  const { slots } = ksm;
  const index = slots.findIndex((slot) => slot.mm === mm);
  if (index < 0) return;
  const slot = slots[index];
  slot.isExiting = true;
  // ksmd stands here and removes the slot itself.
  if (slot === ksm.current) return;
  slots.splice(index, 1);
  if (slot.items.length === 0) return;
  const { current } = ksm;
  slots.splice(current === undefined ? 0 : slots.indexOf(current) + 1, 0, slot);
}
