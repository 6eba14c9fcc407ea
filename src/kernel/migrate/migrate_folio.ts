import { EAGAIN, EBUSY } from '../errno.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { folioMapcount, folioPut, isAnonFolio, isKsmFolio } from '../phys/folio.js';
import { folioTrylock, folioUnlock } from '../phys/folio_lock.js';
import {
  PG_HUGETLB,
  PG_HWPOISON,
  PG_ISOLATED,
  PG_SWAPCACHE,
  PG_WRITEBACK,
} from '../phys/page_flags.js';
import type { AnonVma } from '../rmap/anon_vma_types.js';
import { putAnonVma } from '../rmap/anon_vma.js';
import { folioGetAnonVma } from '../rmap/folio_anon_vma.js';
import { removeMigrationPtes } from '../rmap/remove_migration_ptes.js';
import { tryToMigrate } from '../rmap/try_to_migrate.js';
import { moveFolioState } from './migrate_mapping.js';

/** Why folios move. @kernel migrate_reason */
export type MigrateReason = 'syscall' | 'compaction' | 'memoryFailure';

/**
 * Moves an isolated folio to a new one of the same order, on which the caller holds the only
 * reference: all its entries become migration entries, contents and caches move, and the entries
 * map the new folio (spec 40 §7). Returns 0: the new folio is on the LRU lists, the old one is
 * gone. Or a negative errno: the old folio is mapped as before and still isolated, the new one is
 * the caller's. @kernel unmap_and_move
 */
export function* migrateFolio(
  kernel: Kernel,
  source: number,
  target: number,
  reason: MigrateReason,
): Op<number> {
  if (!(yield* folioTrylock(kernel, source))) return -EAGAIN;
  const failed = yield* migrateLocked(kernel, source, target);
  yield* folioUnlock(kernel, source);
  if (failed !== 0) return failed;
  const { memory } = kernel;
  memory.flags[source] &= ~PG_ISOLATED;
  if (reason === 'memoryFailure') memory.flags[source] |= PG_HWPOISON;
  folioPut(kernel, source);
  folioPut(kernel, target);
  return 0;
}

function* migrateLocked(kernel: Kernel, source: number, target: number): Op<number> {
  const { memory } = kernel;
  if ((memory.flags[source] & PG_WRITEBACK) !== 0) return -EBUSY;
  // Kept alive while nothing maps the folio, for the walk back.
  let anonVma: AnonVma | undefined;
  const isPlainAnon = isAnonFolio(kernel, source) && !isKsmFolio(kernel, source);
  if (isPlainAnon) {
    anonVma = yield* folioGetAnonVma(kernel, source);
    // Not mapped by anybody: only the swap cache may keep it.
    if (anonVma === undefined && (memory.flags[source] & PG_SWAPCACHE) === 0) return -EAGAIN;
  }
  if (!(yield* folioTrylock(kernel, target))) {
    if (anonVma !== undefined) yield* putAnonVma(kernel, anonVma);
    return -EAGAIN;
  }
  const wasMapped = folioMapcount(kernel, source) > 0;
  if (wasMapped) yield* tryToMigrate(kernel, source, 0);
  const isUnmapped = folioMapcount(kernel, source) === 0;
  const failed = isUnmapped ? moveFolioState(kernel, source, target) : -EAGAIN;
  // Before the walk: locked VMAs make the folio unevictable again as they map it.
  const isHugetlb = (memory.flags[source] & PG_HUGETLB) !== 0;
  if (failed === 0 && !isHugetlb) kernel.lru.add(target);
  if (wasMapped) yield* removeMigrationPtes(kernel, source, failed === 0 ? target : source, 0);
  yield* folioUnlock(kernel, target);
  if (anonVma !== undefined) yield* putAnonVma(kernel, anonVma);
  return failed;
}
