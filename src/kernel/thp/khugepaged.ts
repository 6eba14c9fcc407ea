import { PAGES_PER_PMD } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import { downRead, upRead, type Op } from '../op/prims.js';
import { drainMlock } from '../phys/mlock.js';
import type { Mm } from '../vm/mm.js';
import { collapseBlock, isPmdOrderEnabled } from './collapse_block.js';
import { mayCollapseVma } from './may_collapse.js';
import type { ScanLimits } from './scan_result.js';

/** Swap entries that one block may have. @kernel khugepaged_max_ptes_swap */
const MAX_SWAP = 64;
/** Pages that one block may share with other mms. @kernel khugepaged_max_ptes_shared */
const MAX_SHARED = 256;

/**
 * One pass of khugepaged over an mm: every block that the knobs allow and that is within the limits
 * is collapsed (spec 50 §10). Returns the number of blocks collapsed. @kernel khugepaged_scan_mm_slot
 */
export function* khugepagedScan(kernel: Kernel, mm: Mm): Op<number> {
  const limits: ScanLimits = {
    isForced: false,
    maxNone: kernel.knobs.maxPtesNone,
    maxSwap: MAX_SWAP,
    maxShared: MAX_SHARED,
  };
  drainMlock(kernel);
  let collapsed = 0;
  for (const at of yield* listBlocks(kernel, mm)) {
    const result = yield* collapseBlock(kernel, mm, at, limits);
    if (result === 'succeed') collapsed += 1;
  }
  return collapsed;
}

/** Start pages of all aligned blocks that lie in a VMA which may have huge pages. */
function* listBlocks(kernel: Kernel, mm: Mm): Op<number[]> {
  yield* downRead(mm.mmapLock);
  const blocks: number[] = [];
  for (const vma of mm.vmas) {
    if (!mayCollapseVma(kernel, vma) || !isPmdOrderEnabled(kernel, vma)) continue;
    let at = Math.ceil(vma.start / PAGES_PER_PMD) * PAGES_PER_PMD;
    for (; at + PAGES_PER_PMD <= vma.end; at += PAGES_PER_PMD) blocks.push(at);
  }
  yield* upRead(mm.mmapLock);
  return blocks;
}
