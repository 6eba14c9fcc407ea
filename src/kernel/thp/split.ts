import { fail } from '../../base/errors.js';
import { NIL } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { PTE_TABLE } from '../pgtable/pte.js';
import type { Vma } from '../vm/vma.js';
import { splitHugePmdLocked } from './split_pmd.js';

/** Splits the huge PMD that maps `vpn`, if one does: a VMA boundary will be there. @kernel split_huge_pmd_address */
export function splitHugePmdAddress(kernel: Kernel, vma: Vma, vpn: number): void {
  const { pageTables } = kernel;
  const pmd = pageTables.findPmd(vma.mm.pgd, vpn);
  if (pmd === NIL) return;
  const flags = pageTables.flags[pmd];
  if (flags === 0 || (flags & PTE_TABLE) !== 0) return;
  splitHugePmdLocked(kernel, vma, vpn, pmd, false);
}

/**
 * Splits a large folio into small ones (spec 50 §11, 98 §4.2). The caller holds one reference,
 * which stays on the page `keptPfn`. Returns 0, or a negative errno with nothing changed but
 * possibly PMDs split: -EAGAIN somebody else holds a reference, -EBUSY, -EINVAL.
 * @kernel split_huge_page_to_list_to_order
 */
export function* splitFolio(_kernel: Kernel, head: number, _keptPfn = head): Op<number> {
  fail(`split of folio ${head} is not written yet`);
}
