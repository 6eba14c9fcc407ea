import { PAGES_PER_PMD, tableStart } from '../../base/units.js';
import { EAGAIN, EINVAL, ENOMEM } from '../errno.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { drainMlock } from '../phys/mlock.js';
import { findVmaIndex, type Mm } from '../vm/mm.js';
import type { Vma } from '../vm/vma.js';
import { collapseBlock } from './collapse_block.js';
import { mayCollapseVma } from './may_collapse.js';
import { SCAN_MADVISE, type ScanResult } from './scan_result.js';

export { khugepagedScan } from './khugepaged.js';

/**
 * MADV_COLLAPSE of [start, end): every aligned 2 MiB block in it becomes one folio mapped by a PMD
 * (spec 98 §5.3). Does not ask the knobs. No lock is held on entry. Returns 0 or a negative errno:
 * a VMA that fails ends the call, holes make the result -ENOMEM. @kernel madvise_collapse
 */
export function* madviseCollapse(kernel: Kernel, mm: Mm, start: number, end: number): Op<number> {
  drainMlock(kernel);
  let at = start;
  let hasHole = false;
  while (at < end) {
    const vma = mm.vmas[findVmaIndex(mm, at)];
    if (vma === undefined || vma.start >= end) {
      hasHole = true;
      break;
    }
    if (vma.start > at) hasHole = true;
    const from = Math.max(at, vma.start);
    at = Math.min(vma.end, end);
    const failed = yield* collapseVma(kernel, vma, from, at);
    if (failed !== 0) return failed;
  }
  return hasHole ? -ENOMEM : 0;
}

/** The errno of the last block that failed; the others are done. */
function* collapseVma(kernel: Kernel, vma: Vma, start: number, end: number): Op<number> {
  if (!mayCollapseVma(kernel, vma)) return -EINVAL;
  const first = Math.ceil(start / PAGES_PER_PMD) * PAGES_PER_PMD;
  const last = tableStart(end);
  let failed = first > last ? -EINVAL : 0;
  for (let at = first; at < last; at += PAGES_PER_PMD) {
    const result = yield* collapseBlock(kernel, vma.mm, at, SCAN_MADVISE);
    if (result === 'succeed' || result === 'pmdMapped') continue;
    failed = errnoOf(result);
    if (!CONTINUES_AFTER.has(result)) break;
  }
  return failed;
}

/** After these the next block is tried; others end the call. */
const CONTINUES_AFTER: ReadonlySet<ScanResult> = new Set<ScanResult>([
  'pmdNull',
  'nonPresent',
  'uffdWp',
  'pageCount',
  'pageLock',
  'pageCompound',
  'pageLru',
]);

/** @kernel madvise_collapse_errno */
function errnoOf(result: ScanResult): number {
  switch (result) {
    case 'allocFailed':
      return -ENOMEM;
    case 'pageCount':
    case 'pageLock':
    case 'pageLru':
      return -EAGAIN;
    default:
      return -EINVAL;
  }
}
