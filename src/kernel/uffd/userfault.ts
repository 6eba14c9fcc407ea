import { VM_FAULT_SIGBUS, VM_FAULT_USERFAULT } from '../fault/fault_flags.js';
import { findCachedPage } from '../file/page_cache.js';
import { NIL } from '../../base/units.js';
import { PTE_UFFD_WP } from '../pgtable/pte.js';
import { isShmem } from '../vm/address_space.js';
import { linearPageIndex, type Vma } from '../vm/vma.js';
import { VM_UFFD_MISSING, VM_UFFD_WP } from '../vm/vm_flags.js';

/**
 * A fault that user space has to resolve. Nobody answers within an operation, so the access ends:
 * by SIGBUS if the context wants that, else where it would wait. @kernel handle_userfault
 */
export function handleUserfault(vma: Vma): number {
  return vma.mm.uffd?.hasSigbus === true ? VM_FAULT_SIGBUS : VM_FAULT_USERFAULT;
}

/** Whether a fault at an empty entry is an event: memory, or the file's page, is missing. */
export function isUserfaultMissing(vma: Vma, vpn: number): boolean {
  if ((vma.flags & VM_UFFD_MISSING) === 0) return false;
  const mapping = vma.file?.mapping;
  if (mapping === undefined) return true;
  const index = linearPageIndex(vma, vpn);
  const tracksHoles = isShmem(mapping) || mapping.kind === 'hugetlb';
  if (!tracksHoles || index >= mapping.sizePages) return false;
  return findCachedPage(mapping, index) === NIL && !mapping.swapped.has(index);
}

/**
 * Whether a userfaultfd protects what an entry with these flags maps: in a VMA that is registered
 * for it no more the mark means nothing, and stays. @kernel userfaultfd_pte_wp
 */
export function isUserfaultProtected(vma: Vma, pte: number): boolean {
  return (vma.flags & VM_UFFD_WP) !== 0 && (pte & PTE_UFFD_WP) !== 0;
}

/** Whether a write to a protected entry of the VMA is an event. @kernel userfaultfd_wp_async */
export function isUserfaultWp(vma: Vma): boolean {
  return (vma.flags & VM_UFFD_WP) !== 0 && vma.mm.uffd?.isWpAsync !== true;
}
