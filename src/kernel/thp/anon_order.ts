import { NIL, PMD_ORDER, tableEnd } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import type { Knobs } from '../profile.js';
import { isUffdArmed } from '../uffd/context.js';
import type { Vma } from '../vm/vma.js';
import { VM_HUGEPAGE, VM_NOHUGEPAGE } from '../vm/vm_flags.js';

/** Smallest order of a large anonymous folio. */
export const MIN_ANON_ORDER = 2;

/** Works out the masks of allowed orders after a knob was turned. */
export function updateAnonMasks(knobs: Knobs): void {
  knobs.anonMask = 0;
  knobs.advisedAnonMask = 0;
  for (let order = MIN_ANON_ORDER; order <= PMD_ORDER; order += 1) {
    const mode = knobs.anonOrders[order];
    const effective = mode === 'inherit' ? knobs.thp : mode;
    if (effective === 'always') knobs.anonMask |= 1 << order;
    if (effective !== 'never') knobs.advisedAnonMask |= 1 << order;
  }
}

/**
 * Orders that a fault in the VMA may use, as a bit mask (spec 50 §4, 98 §3); a replayed fault uses
 * the one that was recorded.
 * @kernel thp_vma_allowable_orders
 */
export function allowableAnonOrders(kernel: Kernel, vma: Vma): number {
  const { givenOrder, knobs } = kernel;
  if (givenOrder !== NIL) return givenOrder < MIN_ANON_ORDER ? 0 : 1 << givenOrder;
  const mask = (vma.flags & VM_HUGEPAGE) !== 0 ? knobs.advisedAnonMask : knobs.anonMask;
  if (mask === 0 || !kernel.profile.transparentHugepage) return 0;
  if ((vma.flags & VM_NOHUGEPAGE) !== 0 || vma.mm.thpDisabled || vma.isTemporaryStack) return 0;
  return mask;
}

/** Whether the aligned block of 2^order pages around `vpn` lies in the VMA. */
export function blockFitsVma(vma: Vma, vpn: number, order: number): boolean {
  const pages = 2 ** order;
  const first = vpn - (vpn % pages);
  return first >= vma.start && first + pages <= vma.end;
}

/**
 * Order of the folio that a write fault at an empty PTE gets: the highest allowed order below PMD
 * whose aligned block lies in the VMA and has only empty entries; 0 if none.
 */
export function anonFaultOrder(kernel: Kernel, vma: Vma, vpn: number, entry: number): number {
  // A userfaultfd sees every page by itself.
  if (isUffdArmed(vma)) return 0;
  const mask = allowableAnonOrders(kernel, vma) & ((1 << PMD_ORDER) - 1);
  if (mask === 0) return 0;
  for (let order = PMD_ORDER - 1; order >= MIN_ANON_ORDER; order -= 1) {
    if ((mask & (1 << order)) === 0 || !blockFitsVma(vma, vpn, order)) continue;
    if (isBlockEmpty(kernel, entry - (vpn % 2 ** order), 2 ** order)) return order;
  }
  return 0;
}

function isBlockEmpty(kernel: Kernel, from: number, count: number): boolean {
  const { flags } = kernel.pageTables;
  const end = Math.min(from + count, tableEnd(from));
  for (let entry = from; entry < end; entry += 1) {
    if (flags[entry] !== 0) return false;
  }
  return true;
}
