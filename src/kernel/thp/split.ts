import { NIL } from '../../base/units.js';
import { EAGAIN, EBUSY, EINVAL } from '../errno.js';
import type { Kernel } from '../kernel.js';
import { downRead, upRead, type Op } from '../op/prims.js';
import {
  folioExpectedRefCount,
  folioMapcount,
  folioMapping,
  folioPageCount,
  folioPut,
  isAnonFolio,
} from '../phys/folio.js';
import { drainMlock } from '../phys/mlock.js';
import { PG_HEAD, PG_WRITEBACK, PG_ZERO } from '../phys/page_flags.js';
import { PTE_TABLE } from '../pgtable/pte.js';
import { anonVmaLockWrite, anonVmaUnlockWrite, putAnonVma } from '../rmap/anon_vma.js';
import { folioGetAnonVma } from '../rmap/folio_anon_vma.js';
import {
  RMP_LOCKED,
  RMP_USE_SHARED_ZEROPAGE,
  removeMigrationPtes,
} from '../rmap/remove_migration_ptes.js';
import { tryToMigrate } from '../rmap/try_to_migrate.js';
import { tryToUnmap } from '../rmap/try_to_unmap.js';
import {
  TTU_RMAP_LOCKED,
  TTU_SPLIT_FILE,
  TTU_SPLIT_HUGE_PMD,
  TTU_SYNC,
} from '../rmap/ttu_flags.js';
import type { Vma } from '../vm/vma.js';
import { divideFolio } from './divide_folio.js';
import { dropBehindEnd } from './split_file.js';
import { splitHugePmdLocked } from './split_pmd.js';

/**
 * Splits the huge PMD that maps `vpn`, if one does: the boundary of a VMA will be there.
 * @kernel split_huge_pmd_address
 */
export function splitHugePmdAddress(kernel: Kernel, vma: Vma, vpn: number): void {
  const { pageTables } = kernel;
  const pmd = pageTables.findPmd(vma.mm.pgd, vpn);
  if (pmd === NIL) return;
  const flags = pageTables.flags[pmd];
  if (flags === 0 || (flags & PTE_TABLE) !== 0) return;
  splitHugePmdLocked(kernel, vma, vpn, pmd, false);
}

/**
 * Splits a large folio into small ones and maps them where it was mapped; zero-filled anonymous
 * pages become the zero page, mappings of a file are left to faults (spec 50 §11, 98 §4.2, §4.3).
 *
 * The caller holds one reference, which ends up on the page `keptPfn`. With `isolated` the folio is
 * off the LRU lists and so are its parts: each but the first is appended, with a reference.
 * Returns 0, or a negative errno with the folio whole (its PMD mappings may be split): -EAGAIN if
 * somebody else holds a reference, -EBUSY if it cannot be split now, -EINVAL if it is small.
 * @kernel split_huge_page_to_list_to_order @kernel __folio_split
 */
export function* splitFolio(
  kernel: Kernel,
  head: number,
  keptPfn = head,
  isolated?: number[],
): Op<number> {
  const { memory } = kernel;
  drainMlock(kernel);
  if ((memory.flags[head] & PG_HEAD) === 0) return -EINVAL;
  if ((memory.flags[head] & (PG_ZERO | PG_WRITEBACK)) !== 0) return -EBUSY;
  if (!isAnonFolio(kernel, head)) return yield* splitFile(kernel, head, keptPfn, isolated);
  const anonVma = yield* folioGetAnonVma(kernel, head);
  if (anonVma === undefined) return -EBUSY;
  yield* anonVmaLockWrite(anonVma);
  let failed = -EAGAIN;
  if (hasOnlyCallersReference(kernel, head)) {
    yield* tryToMigrate(kernel, head, TTU_RMAP_LOCKED | TTU_SPLIT_HUGE_PMD | TTU_SYNC);
    failed = isFrozen(kernel, head) ? 0 : -EAGAIN;
    const pages = folioPageCount(kernel, head);
    if (failed === 0) {
      divide(kernel, head, pages);
      for (let page = head; page < head + pages; page += 1) {
        const flags = RMP_LOCKED | RMP_USE_SHARED_ZEROPAGE;
        yield* removeMigrationPtes(kernel, page, page, flags);
      }
    } else {
      yield* removeMigrationPtes(kernel, head, head, RMP_LOCKED);
    }
    yield* anonVmaUnlockWrite(anonVma);
    if (failed === 0) releaseParts(kernel, head, pages, keptPfn, isolated);
  } else {
    yield* anonVmaUnlockWrite(anonVma);
  }
  yield* putAnonVma(kernel, anonVma);
  return failed;
}

function* splitFile(
  kernel: Kernel,
  head: number,
  keptPfn: number,
  isolated: number[] | undefined,
): Op<number> {
  const mapping = folioMapping(kernel, head);
  if (mapping === undefined) return -EBUSY;
  yield* downRead(mapping.iMmapRwsem);
  let failed = hasOnlyCallersReference(kernel, head) ? 0 : -EAGAIN;
  if (failed === 0) {
    yield* tryToUnmap(kernel, head, TTU_SPLIT_FILE);
    if (!isFrozen(kernel, head)) failed = -EAGAIN;
  }
  const pages = folioPageCount(kernel, head);
  if (failed === 0) {
    divide(kernel, head, pages);
    dropBehindEnd(kernel, mapping, head, pages);
  }
  yield* upRead(mapping.iMmapRwsem);
  if (failed === 0) releaseParts(kernel, head, pages, keptPfn, isolated);
  return failed;
}

/** @kernel can_split_folio */
function hasOnlyCallersReference(kernel: Kernel, head: number): boolean {
  return kernel.memory.refcount[head] === folioExpectedRefCount(kernel, head) + 1;
}

/** Unmapped, and nobody but the caller and the caches holds it. @kernel folio_ref_freeze */
function isFrozen(kernel: Kernel, head: number): boolean {
  return folioMapcount(kernel, head) === 0 && hasOnlyCallersReference(kernel, head);
}

/** Splits to single pages; each gets one reference that the caller of this gives away. */
function divide(kernel: Kernel, head: number, pages: number): void {
  divideFolio(kernel, head, 0);
  const { refcount } = kernel.memory;
  for (let page = head + 1; page < head + pages; page += 1) refcount[page] += 1;
}

/** Parts that nothing maps or caches are freed with their reference. */
function releaseParts(
  kernel: Kernel,
  head: number,
  pages: number,
  keptPfn: number,
  isolated: number[] | undefined,
): void {
  for (let page = head + 1; page < head + pages; page += 1) {
    if (isolated !== undefined) isolated.push(page);
    else if (page !== keptPfn) folioPut(kernel, page);
  }
  if (keptPfn !== head) folioPut(kernel, head);
}
