import { EFAULT } from '../errno.js';
import type { Kernel } from '../kernel.js';
import { folioAnonVma, folioMapping, isAnonFolio } from '../phys/folio.js';
import type { Vma } from '../vm/vma.js';

/**
 * Page of the VMA where the pages [pgoff, pgoff + pageCount) of its mapping begin: the VMA's start
 * if the range begins before it. -EFAULT if they do not overlap. @kernel vma_address
 */
export function vmaAddress(vma: Vma, pgoff: number, pageCount: number): number {
  if (pgoff >= vma.pgoff) {
    const vpn = vma.start + (pgoff - vma.pgoff);
    return vpn < vma.end ? vpn : -EFAULT;
  }
  return pgoff + pageCount - 1 >= vma.pgoff ? vma.start : -EFAULT;
}

/**
 * First page behind those pages in the VMA. `vpn` is where the range begins there: the answer for
 * a single page, whose pgoff may be unknown (KSM). @kernel vma_address_end
 */
export function vmaAddressEnd(vma: Vma, vpn: number, pgoff: number, pageCount: number): number {
  if (pageCount === 1) return vpn + 1;
  return Math.min(vma.start + (pgoff + pageCount - vma.pgoff), vma.end);
}

/**
 * Where the VMA would map the page `pfn` of folio `head`, which says nothing of whether it does.
 * -EFAULT if it cannot. The caller keeps the folio and its mapping stable.
 * @kernel page_address_in_vma
 */
export function pageAddressInVma(kernel: Kernel, head: number, pfn: number, vma: Vma): number {
  if (isAnonFolio(kernel, head)) {
    const anonVma = folioAnonVma(kernel, head);
    if (vma.anonVma === undefined || anonVma?.root !== vma.anonVma.root) return -EFAULT;
  } else {
    const mapping = folioMapping(kernel, head);
    if (mapping === undefined || vma.file?.mapping !== mapping) return -EFAULT;
  }
  return vmaAddress(vma, kernel.memory.index[head] + (pfn - head), 1);
}
