import { ENTRIES_PER_TABLE, NIL, tableIndex } from '../../base/units.js';
import { moveHugetlbPageTables } from '../hugetlb/move.js';
import type { Kernel } from '../kernel.js';
import { downWrite, upWrite, type Op } from '../op/prims.js';
import { moveDepositedTable } from '../pgtable/deposit.js';
import { copyWords, fillFlags, flagsAlike } from '../pgtable/entry_run.js';
import {
  KIND_MARKER,
  KIND_MASK,
  MARKER_UFFD_WP,
  PTE_PRESENT,
  PTE_SOFT_DIRTY,
  PTE_TABLE,
  PTE_UFFD_WP,
} from '../pgtable/pte.js';
import { pageTablesSettled } from '../pgtable/settled.js';
import { flushTlbBatchedPending } from '../rmap/tlb_batch.js';
import { flushTlbRange } from '../rmap/tlb_model.js';
import { splitHugePmdLocked } from '../thp/split_pmd.js';
import { isAnonymous, type Vma } from '../vm/vma.js';
import { VM_HUGETLB } from '../vm/vm_flags.js';

/**
 * Moves the entries of `lengthPages` pages from `oldStart` to `newStart`. Values travel unchanged;
 * counts, references and exclusivity stay. Whole aligned 2 MiB blocks move as one table or leaf,
 * always under the rmap locks; single entries only when a walker could miss them (spec 10 §9.6).
 * @kernel move_page_tables
 */
export function* movePageTables(
  kernel: Kernel,
  oldVma: Vma,
  oldStart: number,
  newVma: Vma,
  newStart: number,
  lengthPages: number,
  needRmapLocks: boolean,
): Op<void> {
  if ((oldVma.flags & VM_HUGETLB) !== 0) {
    moveHugetlbPageTables(kernel, oldVma, oldStart, newVma, newStart, lengthPages);
    flushTlbRange(kernel, oldVma.mm, oldStart, oldStart + lengthPages);
    return;
  }
  const { pageTables } = kernel;
  const oldPgd = oldVma.mm.pgd;
  const newPgd = newVma.mm.pgd;
  let done = 0;
  while (done < lengthPages) {
    const from = oldStart + done;
    const to = newStart + done;
    const extent = Math.min(
      lengthPages - done,
      ENTRIES_PER_TABLE - tableIndex(from),
      ENTRIES_PER_TABLE - tableIndex(to),
    );
    const pmd = pageTables.findPmd(oldPgd, from);
    if (pmd === NIL || pageTables.flags[pmd] === 0) {
      done += Math.min(lengthPages - done, ENTRIES_PER_TABLE - tableIndex(from));
      continue;
    }
    if (extent === ENTRIES_PER_TABLE) {
      const target = pageTables.allocPmd(newPgd, to);
      if (pageTables.flags[target] === 0) {
        yield* lockRmap(oldVma);
        yield* pageTablesSettled(oldVma.mm);
        const source = pageTables.findPmd(oldPgd, from);
        pageTables.payload[target] = pageTables.payload[source];
        pageTables.flags[target] = movedFlags(kernel, pageTables.flags[source]);
        pageTables.flags[source] = 0;
        const isHuge = (pageTables.flags[target] & PTE_TABLE) === 0;
        if (isHuge && isAnonymous(oldVma)) moveDepositedTable(kernel, source, target);
        // Before the locks go: else a walk through the new place would not reach these.
        flushTlbRange(kernel, oldVma.mm, from, from + extent);
        yield* unlockRmap(oldVma);
        done += extent;
        continue;
      }
    }
    yield* pageTablesSettled(oldVma.mm);
    if ((pageTables.flags[pmd] & PTE_TABLE) === 0) {
      splitHugePmdLocked(kernel, oldVma, from, pmd, false);
    }
    if (needRmapLocks) yield* lockRmap(oldVma);
    yield* pageTablesSettled(oldVma.mm);
    flushTlbBatchedPending(kernel, oldVma.mm);
    movePtes(kernel, oldPgd, from, newPgd, to, extent);
    flushTlbRange(kernel, oldVma.mm, from, from + extent);
    if (needRmapLocks) yield* unlockRmap(oldVma);
    done += extent;
  }
}

/** @kernel move_ptes */
function movePtes(
  kernel: Kernel,
  oldPgd: number,
  from: number,
  newPgd: number,
  to: number,
  count: number,
): void {
  const { pageTables } = kernel;
  const source = pageTables.findPte(oldPgd, from);
  if (source === NIL) return;
  const target = pageTables.allocPte(newPgd, to);
  const { payload, flags } = pageTables;
  for (let i = 0; i < count; i += 1) {
    const pte = flags[source + i];
    if (pte === 0) continue;
    if ((pte & PTE_PRESENT) !== 0) {
      // Neighbours mostly have the same flags: then they travel together.
      const length = flagsAlike(kernel.pageTables, source + i, source + count, pte);
      copyWords(payload, source + i, target + i, length);
      fillFlags(flags, movedFlags(kernel, pte), target + i, length);
      fillFlags(flags, 0, source + i, length);
      i += length - 1;
      continue;
    }
    flags[source + i] = 0;
    if ((pte & KIND_MASK) === KIND_MARKER) {
      // A write-protect marker loses its meaning with the move; others travel.
      const kept = payload[source + i] & ~MARKER_UFFD_WP;
      if (kept === 0) continue;
      payload[target + i] = kept;
      flags[target + i] = pte;
      continue;
    }
    payload[target + i] = payload[source + i];
    flags[target + i] = movedFlags(kernel, pte);
  }
}

function movedFlags(kernel: Kernel, pte: number): number {
  if ((pte & PTE_TABLE) !== 0) return pte;
  const moved = pte & ~PTE_UFFD_WP;
  return kernel.profile.softDirty ? moved | PTE_SOFT_DIRTY : moved;
}

/** @kernel take_rmap_locks */
function* lockRmap(vma: Vma): Op<void> {
  if (vma.file !== undefined) yield* downWrite(vma.file.mapping.iMmapRwsem);
  if (vma.anonVma !== undefined) yield* downWrite(vma.anonVma.root.rwsem);
}

/** @kernel drop_rmap_locks */
function* unlockRmap(vma: Vma): Op<void> {
  if (vma.anonVma !== undefined) yield* upWrite(vma.anonVma.root.rwsem);
  if (vma.file !== undefined) yield* upWrite(vma.file.mapping.iMmapRwsem);
}
