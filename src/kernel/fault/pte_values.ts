import {
  PTE_DIRTY,
  PTE_PRESENT,
  PTE_PROTNONE,
  PTE_WRITE,
  PTE_YOUNG,
} from '../pgtable/pte.js';
import type { Vma } from '../vm/vma.js';
import { VM_ACCESS_FLAGS, VM_WRITE } from '../vm/vm_flags.js';

/** Flags of a young read-only entry with the VMA's protection. @kernel vm_page_prot */
export function presentFlags(vma: Vma): number {
  return (vma.flags & VM_ACCESS_FLAGS) === 0
    ? PTE_PRESENT | PTE_YOUNG | PTE_PROTNONE
    : PTE_PRESENT | PTE_YOUNG;
}

/** Adds the write bit if the VMA allows writing. @kernel maybe_mkwrite */
export function maybeMkwrite(flags: number, vma: Vma): number {
  return (vma.flags & VM_WRITE) !== 0 ? flags | PTE_WRITE : flags;
}

/** Flags of a new page that was just written. */
export function writtenFlags(vma: Vma): number {
  return maybeMkwrite(presentFlags(vma) | PTE_DIRTY, vma);
}
