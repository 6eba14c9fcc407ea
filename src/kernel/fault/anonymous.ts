import { NIL } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import { canInterleave, type Op } from '../op/prims.js';
import { folioGet, folioPut } from '../phys/folio.js';
import { folioAddLruVma } from '../phys/mlock.js';
import { PTE_SPECIAL } from '../pgtable/pte.js';
import { pageTablesSettled } from '../pgtable/settled.js';
import { folioAddNewAnonRmap } from '../rmap/folio_rmap.js';
import { anonFaultOrder, MIN_ANON_ORDER } from '../thp/anon_order.js';
import { handleUserfault, isUserfaultMissing } from '../uffd/userfault.js';
import { MM_ANONPAGES } from '../vm/mm.js';
import type { Vma } from '../vm/vma.js';
import { VM_WRITE } from '../vm/vm_flags.js';
import { allocUserFolio } from './alloc.js';
import { vmfAnonPrepare } from './anon_prepare.js';
import { FAULT_WRITE, VM_FAULT_OOM } from './fault_flags.js';
import { presentFlags, writtenFlags } from './pte_values.js';

/**
 * Fault on an empty entry of private anonymous memory: a read maps the zero page, a write a new
 * folio of the highest order that fits (spec 30 §3, 98 §3).
 *
 * @param known The PTE of `vpn`, or NIL if it has no table yet.
 * @kernel do_anonymous_page
 */
export function* doAnonymousPage(
  kernel: Kernel,
  vma: Vma,
  vpn: number,
  known: number,
  faultFlags: number,
): Op<number> {
  const { memory, pageTables } = kernel;
  const { mm } = vma;
  if ((faultFlags & FAULT_WRITE) === 0) {
    const entry = known === NIL ? pageTables.allocPte(mm.pgd, vpn) : known;
    if (isUserfaultMissing(vma, vpn)) return handleUserfault(vma);
    pageTables.payload[entry] = memory.zeroPfn;
    pageTables.flags[entry] = presentFlags(vma) | PTE_SPECIAL;
    return 0;
  }
  const failed = yield* vmfAnonPrepare(kernel, vma, faultFlags);
  if (failed !== 0) return failed;
  // Where others can come in, they may have freed the empty table meanwhile.
  const isKnown = known !== NIL && !canInterleave;
  const entry = isKnown ? known : pageTables.allocPte(mm.pgd, vpn);
  let order = anonFaultOrder(kernel, vma, vpn, entry);
  let head = yield* allocUserFolio(kernel, mm, order);
  while (head === NIL && order > 0) {
    order = order === MIN_ANON_ORDER ? 0 : order - 1;
    head = yield* allocUserFolio(kernel, mm, order);
  }
  if (head === NIL) return VM_FAULT_OOM;
  yield* pageTablesSettled(mm);
  if (canInterleave && pageTables.flags[entry] !== 0) {
    // Another fault was faster: the access looks again.
    folioPut(kernel, head);
    return 0;
  }
  if (isUserfaultMissing(vma, vpn)) {
    // What the page needs has been made all the same; the anon_vma stays.
    folioPut(kernel, head);
    return handleUserfault(vma);
  }
  const behind = vpn & ((1 << order) - 1);
  mapNewAnonFolio(kernel, vma, head, order, vpn - behind, entry - behind);
  return 0;
}

/**
 * Maps a fresh folio exclusively by PTEs and puts it on the LRU lists. A forced write to a VMA
 * without write permission leaves the entries clean (spec 97 §6.1).
 */
export function mapNewAnonFolio(
  kernel: Kernel,
  vma: Vma,
  head: number,
  order: number,
  firstVpn: number,
  firstEntry: number,
): void {
  const { payload, flags } = kernel.pageTables;
  const pages = 1 << order;
  folioAddNewAnonRmap(kernel, head, vma, firstVpn, true);
  folioAddLruVma(kernel, head, vma);
  if (pages > 1) folioGet(kernel, head, pages - 1);
  const pteFlags = (vma.flags & VM_WRITE) !== 0 ? writtenFlags(vma) : presentFlags(vma);
  for (let i = 0; i < pages; i += 1) {
    payload[firstEntry + i] = head + i;
    flags[firstEntry + i] = pteFlags;
  }
  vma.mm.rss[MM_ANONPAGES] += pages;
}
