import { ENTRIES_PER_TABLE, NIL, tableEnd, tableIndex } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import { mlockFolio, munlockFolio } from '../phys/mlock.js';
import { PG_HEAD } from '../phys/page_flags.js';
import { PTE_LEAF, PTE_PRESENT, PTE_SPECIAL, PTE_TABLE } from '../pgtable/pte.js';
import type { Vma } from '../vm/vma.js';
import { VM_HUGETLB } from '../vm/vm_flags.js';

/**
 * Lock or unlock events for the pages of [start, end) that are present (spec 97 §9, 98 §9.3): a
 * large folio is locked only if all its pages lie in the range, but unlocked by any of them.
 * @kernel mlock_vma_pages_range
 */
export function mlockVmaPages(
  kernel: Kernel,
  vma: Vma,
  start: number,
  end: number,
  isLock: boolean,
): void {
  if ((vma.flags & VM_HUGETLB) !== 0) return;
  const { pageTables, memory } = kernel;
  const { pgd } = vma.mm;
  let at = start;
  while (at < end) {
    const blockEnd = Math.min(tableEnd(at), end);
    const pmd = pageTables.findPmd(pgd, at);
    const pmdFlags = pmd === NIL ? 0 : pageTables.flags[pmd];
    if ((pmdFlags & PTE_LEAF) !== 0) {
      if ((pmdFlags & (PTE_PRESENT | PTE_SPECIAL)) === PTE_PRESENT) {
        const head = pageTables.payload[pmd];
        if (!isLock) munlockFolio(kernel, head);
        else if (blockEnd - at === ENTRIES_PER_TABLE) mlockFolio(kernel, head);
      }
    } else if ((pmdFlags & PTE_TABLE) !== 0) {
      const from = pageTables.payload[pmd] * ENTRIES_PER_TABLE + tableIndex(at);
      const to = from + (blockEnd - at);
      for (let entry = from; entry < to;) {
        if ((pageTables.flags[entry] & (PTE_PRESENT | PTE_SPECIAL)) !== PTE_PRESENT) {
          entry += 1;
          continue;
        }
        const head = memory.folioOf(pageTables.payload[entry]);
        const step = folioSteps(kernel, head, entry, to);
        if (isLock) {
          if (coversFolio(kernel, head, step)) mlockFolio(kernel, head);
        } else {
          munlockFolio(kernel, head);
        }
        entry += step;
      }
    }
    at = blockEnd;
  }
}

/** Consecutive entries, from this one, that map consecutive pages of the folio. */
function folioSteps(kernel: Kernel, head: number, entry: number, to: number): number {
  if ((kernel.memory.flags[head] & PG_HEAD) === 0) return 1;
  const { payload, flags } = kernel.pageTables;
  const pfn = payload[entry];
  const folioEnd = head + 2 ** kernel.large.order[kernel.memory.next[head + 1]];
  let count = 1;
  while (
    entry + count < to &&
    pfn + count < folioEnd &&
    (flags[entry + count] & PTE_PRESENT) !== 0 &&
    payload[entry + count] === pfn + count
  ) {
    count += 1;
  }
  return count;
}

function coversFolio(kernel: Kernel, head: number, count: number): boolean {
  if ((kernel.memory.flags[head] & PG_HEAD) === 0) return true;
  return count === 2 ** kernel.large.order[kernel.memory.next[head + 1]];
}
