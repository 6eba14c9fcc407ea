import { VM_DROPPABLE, VM_HUGETLB, VM_MAYSHARE, VM_SHARED, VM_SPECIAL } from '../vm/vm_flags.js';

/** VMAs with any of these are never scanned by ksmd. */
const KSM_INCOMPATIBLE = VM_SPECIAL | VM_HUGETLB | VM_SHARED | VM_MAYSHARE | VM_DROPPABLE;

/** Whether a VMA with these flags can become mergeable. @kernel vma_ksm_compatible */
export function isKsmCompatible(flags: number): boolean {
  return (flags & KSM_INCOMPATIBLE) === 0;
}
