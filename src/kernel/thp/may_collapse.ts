import { PAGES_PER_PMD, PMD_ORDER } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import { isShmem } from '../vm/address_space.js';
import { isAnonymous, type Vma } from '../vm/vma.js';
import { VM_HUGETLB, VM_NOHUGEPAGE, VM_SPECIAL } from '../vm/vm_flags.js';
import { blockFitsVma } from './anon_order.js';

/**
 * Whether the VMA may hold collapsed blocks: it contains one, has no reason against it, and (for
 * anonymous memory) was written before.
 */
export function mayCollapseVma(kernel: Kernel, vma: Vma): boolean {
  if (!kernel.profile.transparentHugepage) return false;
  if ((vma.flags & (VM_NOHUGEPAGE | VM_HUGETLB | VM_SPECIAL)) !== 0) return false;
  if (vma.mm.thpDisabled || vma.isTemporaryStack) return false;
  const isAligned = isAnonymous(vma) || (vma.start - vma.pgoff) % PAGES_PER_PMD === 0;
  if (!isAligned || !blockFitsVma(vma, vma.end - PAGES_PER_PMD, PMD_ORDER)) return false;
  if (isAnonymous(vma)) return vma.anonVma !== undefined;
  return vma.file !== undefined && isShmem(vma.file.mapping);
}
