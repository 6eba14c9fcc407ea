import { fail } from '../../base/errors.js';
import { NIL } from '../../base/units.js';
import { EAGAIN, EBUSY, EEXIST, EFAULT, ENOENT } from '../errno.js';
import { presentFlags, writtenFlags } from '../fault/pte_values.js';
import type { Kernel } from '../kernel.js';
import { downWrite, fullBarrier, readPoint, upWrite, writePoint, type Op } from '../op/prims.js';
import { folioAnonVma, folioGet, folioMaybeDmaPinned, folioPut } from '../phys/folio.js';
import { PG_ANON_EXCLUSIVE } from '../phys/page_flags.js';
import { moveDepositedTable } from '../pgtable/deposit.js';
import {
  isMigration,
  KIND_MASK,
  KIND_SWAP,
  PTE_DIRTY,
  PTE_LEAF,
  PTE_PRESENT,
  PTE_SOFT_DIRTY,
  PTE_SPECIAL,
  PTE_SWP_EXCLUSIVE,
} from '../pgtable/pte.js';
import { folioMoveAnonRmap } from '../rmap/folio_rmap.js';
import { findSwapCachePage } from '../swap/swap_cache.js';
import { splitFolio } from '../thp/split.js';
import { linearPageIndex, type Vma } from '../vm/vma.js';

/** Where one entry goes: page `from` of `source` becomes page `to` of `target`. */
export interface MovePlace {
  readonly source: Vma;
  readonly target: Vma;
  readonly from: number;
  readonly to: number;
}

/**
 * Moves one PTE; both tables exist. A large folio is split first. Returns 0 or a negative errno.
 * @kernel move_pages_pte
 */
export function* movePte(kernel: Kernel, place: MovePlace, allowHoles: boolean): Op<number> {
  const { pageTables, memory } = kernel;
  const { source, from, to } = place;
  const { pgd } = source.mm;
  const entry = pageTables.findPte(pgd, from);
  const targetEntry = pageTables.findPte(pgd, to);
  if (pageTables.flags[targetEntry] !== 0) return -EEXIST;
  const pte = pageTables.flags[entry];
  if (pte === 0) return allowHoles ? 0 : -ENOENT;
  if ((pte & PTE_PRESENT) === 0) return yield* moveSwapPte(kernel, place, entry, targetEntry);
  if ((pte & PTE_SPECIAL) !== 0) {
    return yield* moveZeroPte(kernel, place, entry, targetEntry);
  }
  const page = pageTables.payload[entry];
  const head = memory.folioOf(page);
  // Linux asks the first page of a large folio, mapped or not; after the split each page itself.
  if ((memory.flags[head] & PG_ANON_EXCLUSIVE) === 0) return -EBUSY;
  if (memory.isLarge(head)) {
    folioGet(kernel, head);
    const failed = yield* splitFolio(kernel, head, page);
    folioPut(kernel, memory.folioOf(page));
    if (failed !== 0) return -EBUSY;
    // The page may be the zero page now.
    return yield* movePte(kernel, place, allowHoles);
  }
  return yield* movePresentPte(kernel, place, entry, targetEntry, page);
}

/** A small exclusive page. @kernel move_present_pte */
function* movePresentPte(
  kernel: Kernel,
  place: MovePlace,
  entry: number,
  targetEntry: number,
  page: number,
): Op<number> {
  const { pageTables, memory } = kernel;
  const { source, target, to } = place;
  // Walkers find the page by its old place or by its new one, but not in between.
  const oldAnonVma = folioAnonVma(kernel, page);
  if (oldAnonVma === undefined) fail(`exclusive page ${page} is not anonymous`);
  yield* downWrite(oldAnonVma.root.rwsem);
  yield* downWrite(source.mm.pageTableLock);
  const { flags, payload } = pageTables;
  const pte = flags[entry];
  let result = 0;
  if (payload[entry] !== page || flags[targetEntry] !== 0) {
    result = -EAGAIN;
  } else {
    // Cleared before the pins are looked at: GUP-fast sees one or the other (spec 30 §5.6).
    yield* writePoint('pte', entry);
    flags[entry] = 0;
    yield* fullBarrier();
    yield* readPoint('folio_refcount', page);
    const isExclusive = (memory.flags[page] & PG_ANON_EXCLUSIVE) !== 0;
    if (!isExclusive || folioMaybeDmaPinned(kernel, page)) {
      flags[entry] = pte;
      result = -EBUSY;
    } else {
      folioMoveAnonRmap(kernel, page, target);
      memory.index[page] = linearPageIndex(target, to);
      yield* writePoint('pte', targetEntry);
      payload[targetEntry] = page;
      flags[targetEntry] =
        (writtenFlags(target) & ~PTE_DIRTY) | (pte & PTE_DIRTY) | softDirty(kernel);
    }
  }
  yield* upWrite(source.mm.pageTableLock);
  yield* upWrite(oldAnonVma.root.rwsem);
  return result;
}

/** @kernel move_zeropage_pte */
function* moveZeroPte(
  kernel: Kernel,
  place: MovePlace,
  entry: number,
  targetEntry: number,
): Op<number> {
  const { flags, payload } = kernel.pageTables;
  const { mm } = place.source;
  yield* downWrite(mm.pageTableLock);
  // A zero page that ksmd placed is an ordinary one at the new place.
  if ((flags[entry] & PTE_DIRTY) !== 0) mm.ksmZeroPages -= 1;
  flags[entry] = 0;
  payload[targetEntry] = kernel.memory.zeroPfn;
  flags[targetEntry] = presentFlags(place.target) | PTE_SPECIAL;
  yield* upWrite(mm.pageTableLock);
  return 0;
}

/** An exclusive swap entry moves as it is, with its folio in the swap cache. @kernel move_swap_pte */
function* moveSwapPte(
  kernel: Kernel,
  place: MovePlace,
  entry: number,
  targetEntry: number,
): Op<number> {
  const { pageTables, memory } = kernel;
  const { source, target, to } = place;
  const { flags, payload } = pageTables;
  const pte = flags[entry];
  if (isMigration(pte)) return -EAGAIN;
  if ((pte & KIND_MASK) !== KIND_SWAP) return -EFAULT;
  if ((pte & PTE_SWP_EXCLUSIVE) === 0) return -EBUSY;
  const page = findSwapCachePage(kernel, payload[entry]);
  if (page !== NIL && memory.isLarge(memory.folioOf(page))) return -EBUSY;
  yield* downWrite(source.mm.pageTableLock);
  if (page !== NIL && folioAnonVma(kernel, page) !== undefined) {
    folioMoveAnonRmap(kernel, page, target);
    memory.index[page] = linearPageIndex(target, to);
  }
  payload[targetEntry] = payload[entry];
  flags[targetEntry] = pte | softDirty(kernel);
  flags[entry] = 0;
  yield* upWrite(source.mm.pageTableLock);
  return 0;
}

/** Moves a huge PMD entry to an empty one. Returns 0 or a negative errno. @kernel move_pages_huge_pmd */
export function* moveHugePmd(
  kernel: Kernel,
  place: MovePlace,
  sourcePmd: number,
  targetPmd: number,
): Op<number> {
  const { memory } = kernel;
  const { source, target, to } = place;
  const { flags, payload } = kernel.pageTables;
  const pmd = flags[sourcePmd];
  const head = payload[sourcePmd];
  if ((pmd & PTE_PRESENT) === 0) return -EAGAIN;
  if (head === memory.hugeZeroPfn) {
    yield* downWrite(source.mm.pageTableLock);
    flags[sourcePmd] = 0;
    payload[targetPmd] = head;
    flags[targetPmd] = presentFlags(target) | (pmd & (PTE_LEAF | PTE_SPECIAL));
    moveDepositedTable(kernel, sourcePmd, targetPmd);
    yield* upWrite(source.mm.pageTableLock);
    return 0;
  }
  const oldAnonVma = folioAnonVma(kernel, head);
  if (oldAnonVma === undefined) fail(`folio ${head} of an anonymous PMD has no anon_vma`);
  if ((memory.flags[head] & PG_ANON_EXCLUSIVE) === 0) return -EBUSY;
  yield* downWrite(oldAnonVma.root.rwsem);
  yield* downWrite(source.mm.pageTableLock);
  yield* writePoint('pmd', sourcePmd);
  flags[sourcePmd] = 0;
  yield* fullBarrier();
  yield* readPoint('folio_refcount', head);
  const isExclusive = (memory.flags[head] & PG_ANON_EXCLUSIVE) !== 0;
  const isRefused = !isExclusive || folioMaybeDmaPinned(kernel, head);
  if (isRefused) {
    flags[sourcePmd] = pmd;
  } else {
    folioMoveAnonRmap(kernel, head, target);
    memory.index[head] = linearPageIndex(target, to);
    yield* writePoint('pmd', targetPmd);
    payload[targetPmd] = head;
    // As after mremap the entry counts as dirty.
    flags[targetPmd] = writtenFlags(target) | PTE_LEAF | softDirty(kernel);
    moveDepositedTable(kernel, sourcePmd, targetPmd);
  }
  yield* upWrite(source.mm.pageTableLock);
  yield* upWrite(oldAnonVma.root.rwsem);
  return isRefused ? -EBUSY : 0;
}

/** User space can notice that the page was moved. */
function softDirty(kernel: Kernel): number {
  return kernel.profile.softDirty ? PTE_SOFT_DIRTY : 0;
}
