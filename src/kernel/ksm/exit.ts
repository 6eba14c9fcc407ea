import type { Kernel } from '../kernel.js';
import type { Mm } from '../vm/mm.js';

/**
 * An address space goes. Its items stay, with their hold on the anon_vmas, until the next pass,
 * which visits dead ones first; without items it leaves the list at once. @kernel ksm_exit
 */
export function ksmExit(kernel: Kernel, mm: Mm): void {
  if (!mm.ksmRegistered) return;
  mm.ksmRegistered = false;
  const { slots } = kernel.ksm;
  const index = slots.findIndex((slot) => slot.mm === mm);
  if (index < 0) return;
  const [slot] = slots.splice(index, 1);
  if (slot.items.length > 0) slots.unshift(slot);
}
