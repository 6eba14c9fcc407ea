/** Sizes of an address space by kind, as `VmSize`, `VmLck`, `VmData` and `VmStk` show them. */
import type { Mm } from './mm.js';
import { VM_EXEC, VM_GROWSDOWN, VM_LOCKED, VM_SHARED, VM_WRITE } from './vm_flags.js';

/**
 * Counts pages of a VMA with these flags that came (or, if negative, went). A VMA is a stack, or
 * private data that may be written, or code that may not, or nothing of these.
 * @kernel vm_stat_account is_exec_mapping is_stack_mapping is_data_mapping
 */
export function vmStatAccount(mm: Mm, flags: number, pages: number): void {
  mm.totalPages += pages;
  if ((flags & VM_GROWSDOWN) !== 0) mm.stackPages += pages;
  else if ((flags & (VM_WRITE | VM_SHARED)) === VM_WRITE) mm.dataPages += pages;
  else if ((flags & (VM_EXEC | VM_WRITE)) === VM_EXEC) mm.execPages += pages;
}

/** The same, and whether they are locked: for pages that are mapped or unmapped. */
export function accountPages(mm: Mm, flags: number, pages: number): void {
  vmStatAccount(mm, flags, pages);
  if ((flags & VM_LOCKED) !== 0) mm.lockedPages += pages;
}

/**
 * What a fork's child begins with: the sizes of the parent, nothing locked. VMAs that the child
 * does not get are subtracted one by one.
 */
export function inheritSizes(child: Mm, parent: Mm): void {
  child.totalPages = parent.totalPages;
  child.dataPages = parent.dataPages;
  child.execPages = parent.execPages;
  child.stackPages = parent.stackPages;
}
