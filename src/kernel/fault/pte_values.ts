import type { Kernel } from '../kernel.js';
import { PG_DIRTY } from '../phys/page_flags.js';
import { PTE_DIRTY, PTE_PRESENT, PTE_PROTNONE, PTE_WRITE, PTE_YOUNG } from '../pgtable/pte.js';
import type { Vma } from '../vm/vma.js';
import { VM_ACCESS_FLAGS, VM_SHARED, VM_UFFD_WP, VM_WRITE } from '../vm/vm_flags.js';

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

/**
 * Whether writes to a shared mapping must fault: the file system tracks dirty pages, or a
 * userfaultfd protects some. @kernel vma_wants_writenotify
 */
export function tracksWrites(vma: Vma): boolean {
  return vma.file?.mapping.kind === 'tmp' || (vma.flags & VM_UFFD_WP) !== 0;
}

/**
 * Shared memory whose writes nobody watches but a userfaultfd: a change of protection takes the
 * write permission from every entry, and only a fault gives it back.
 */
export function isWatchedMemory(vma: Vma): boolean {
  const watched = VM_SHARED | VM_UFFD_WP;
  return (vma.flags & watched) === watched && vma.file?.mapping.kind !== 'tmp';
}

/** Flags of a new page that was just written. */
export function writtenFlags(vma: Vma): number {
  return maybeMkwrite(presentFlags(vma) | PTE_DIRTY, vma);
}

/**
 * Flags of a PTE that maps a page-cache page (spec 97 §6.3): a shared writable mapping of memory
 * without dirty tracking is writable at once, and dirty if the folio is.
 */
export function cachedPageFlags(kernel: Kernel, vma: Vma, head: number, isWrite: boolean): number {
  if (isWrite) return writtenFlags(vma);
  const flags = presentFlags(vma);
  if ((vma.flags & (VM_SHARED | VM_WRITE)) !== (VM_SHARED | VM_WRITE)) return flags;
  if (tracksWrites(vma)) return flags;
  const isDirty = (kernel.memory.flags[head] & PG_DIRTY) !== 0;
  return flags | PTE_WRITE | (isDirty ? PTE_DIRTY : 0);
}
