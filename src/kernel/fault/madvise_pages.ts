import { ENTRIES_PER_TABLE, tableEnd, tableIndex } from '../../base/units.js';
import { EACCES, EINVAL, ENOMEM } from '../errno.js';
import { punchHole } from '../file/truncate.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import type { MadviseAdvice } from '../operation.js';
import { drainMlock } from '../phys/mlock.js';
import { KIND_MARKER, KIND_MASK, MARKER_GUARD, PTE_PRESENT, PTE_TABLE } from '../pgtable/pte.js';
import { pageTablesSettled } from '../pgtable/settled.js';
import { madviseCold, madviseFree, madvisePageout } from '../reclaim/madvise_lru.js';
import { anonVmaPrepare } from '../rmap/anon_vma.js';
import { swapinWalk } from '../swap/swap_readahead.js';
import { linearPageIndex, type Vma } from '../vm/vma.js';
import { VM_MAYBE_GUARD, VM_MAYWRITE, VM_SHARED } from '../vm/vm_flags.js';
import { zapPageRange } from './zap.js';

/**
 * The part of an madvise call that touches pages of one VMA; the walk over VMAs and the refusals
 * of spec 97 §1.4 are the caller's. Returns 0 or a negative errno.
 */
export function* madvisePages(
  kernel: Kernel,
  vma: Vma,
  start: number,
  end: number,
  advice: MadviseAdvice,
): Op<number> {
  yield* pageTablesSettled(vma.mm);
  if (advice === 'dontneed' || advice === 'dontneed_locked') {
    zapPageRange(kernel, vma, start, end, {
      keepMarkers: true,
      evenCows: true,
      reclaimTables: true,
    });
    return 0;
  }
  if (advice === 'guard_install') return yield* guardInstall(kernel, vma, start, end);
  if (advice === 'guard_remove') {
    guardRemove(kernel, vma, start, end);
    return 0;
  }
  if (advice === 'remove') return yield* removeFileRange(kernel, vma, start, end);
  if (advice === 'cold') return yield* madviseCold(kernel, vma, start, end);
  if (advice === 'free') return yield* madviseFree(kernel, vma, start, end);
  if (advice === 'pageout') return yield* madvisePageout(kernel, vma, start, end);
  if (advice === 'willneed') {
    drainMlock(kernel);
    return yield* swapinWalk(kernel, vma, start, end);
  }
  return -EINVAL;
}

/** MADV_REMOVE punches a hole into the file. @kernel madvise_remove */
function* removeFileRange(kernel: Kernel, vma: Vma, start: number, end: number): Op<number> {
  if (vma.file === undefined) return -EINVAL;
  if ((vma.flags & (VM_SHARED | VM_MAYWRITE)) !== (VM_SHARED | VM_MAYWRITE)) return -EACCES;
  yield* punchHole(
    kernel,
    vma.file.mapping,
    linearPageIndex(vma, start),
    linearPageIndex(vma, end),
  );
  return 0;
}

/**
 * Marks the range as guard region: what is there is zapped, any access raises SIGSEGV. The flag
 * `gu` covers the whole VMA without splitting it (spec 97 §2, §3.3). @kernel madvise_guard_install
 */
function* guardInstall(kernel: Kernel, vma: Vma, start: number, end: number): Op<number> {
  if (vma.file === undefined) {
    const failed = yield* anonVmaPrepare(kernel, vma);
    if (failed !== 0) return -ENOMEM;
    yield* pageTablesSettled(vma.mm);
  }
  vma.flags |= VM_MAYBE_GUARD;
  zapPageRange(kernel, vma, start, end, {
    keepMarkers: true,
    evenCows: true,
    reclaimTables: false,
  });
  const { pageTables } = kernel;
  for (let vpn = start; vpn < end; vpn += 1) {
    const entry = pageTables.allocPte(vma.mm.pgd, vpn);
    pageTables.payload[entry] = MARKER_GUARD;
    pageTables.flags[entry] = KIND_MARKER;
  }
  return 0;
}

/** Removes guard markers, and nothing else. @kernel madvise_guard_remove */
function guardRemove(kernel: Kernel, vma: Vma, start: number, end: number): void {
  const { pageTables } = kernel;
  for (let vpn = start; vpn < end;) {
    const blockEnd = Math.min(tableEnd(vpn), end);
    const pmd = pageTables.findPmd(vma.mm.pgd, vpn);
    if (pmd >= 0 && (pageTables.flags[pmd] & PTE_TABLE) !== 0) {
      const from = pageTables.payload[pmd] * ENTRIES_PER_TABLE + tableIndex(vpn);
      for (let entry = from; entry < from + (blockEnd - vpn); entry += 1) {
        const pte = pageTables.flags[entry];
        const isMarker = (pte & (PTE_PRESENT | KIND_MASK)) === KIND_MARKER;
        if (isMarker && (pageTables.payload[entry] & MARKER_GUARD) !== 0) {
          pageTables.flags[entry] = 0;
        }
      }
    }
    vpn = blockEnd;
  }
}
