import { NIL } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import type { Vma } from '../vm/vma.js';
import { allocHugeEntry, findHugeEntry } from './entry.js';
import { hugeOrderOf } from './reserve.js';

/** mremap of huge entries: values travel unchanged. @kernel move_hugetlb_page_tables */
export function moveHugetlbPageTables(
  kernel: Kernel,
  oldVma: Vma,
  oldStart: number,
  newVma: Vma,
  newStart: number,
  lengthPages: number,
): void {
  const { pageTables } = kernel;
  const order = hugeOrderOf(oldVma);
  for (let done = 0; done < lengthPages; done += 2 ** order) {
    const from = findHugeEntry(kernel, oldVma.mm, order, oldStart + done);
    if (from === NIL || pageTables.flags[from] === 0) continue;
    const to = allocHugeEntry(kernel, newVma.mm, order, newStart + done);
    pageTables.payload[to] = pageTables.payload[from];
    pageTables.flags[to] = pageTables.flags[from];
    pageTables.flags[from] = 0;
  }
}
