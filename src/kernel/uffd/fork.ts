import type { Vma } from '../vm/vma.js';
import { VM_UFFD_FLAGS } from './context.js';

/**
 * A VMA was copied for a fork child: it stays registered only if the parent's context follows
 * forks; then the child has a context of its own. Before page tables are copied, for those keep
 * protections only in a registered VMA. @kernel dup_userfaultfd
 */
export function dupUserfaultfd(child: Vma, parent: Vma): void {
  const context = parent.mm.uffd;
  if (context?.hasEventFork === true) child.mm.uffd = context;
  else child.flags &= ~VM_UFFD_FLAGS;
}
