import { fail } from '../../base/errors.js';
import { EBUSY } from '../errno.js';
import type { Kernel } from '../kernel.js';
import { folioMaybeDmaPinned, setAnonMapping } from '../phys/folio.js';
import { MAPPING_ANON } from '../phys/memory.js';
import { PG_ANON_EXCLUSIVE, PG_DEVICE_PRIVATE } from '../phys/page_flags.js';
import type { Vma } from '../vm/vma.js';
import { folioRmapSanityChecks } from './rmap_checks.js';
import { RMAP_LEVEL_PMD, RMAP_LEVEL_PTE } from './rmap_level.js';
import { PAGES_PER_PMD } from '../../base/units.js';

/**
 * Gives up the exclusiveness of one page so that its mapping can be replaced by an entry that says
 * nothing of it (swap, migration, KSM). The caller has cleared the entry, so that GUP-fast either
 * sees that or has pinned already (spec 30 §5.6), and removes the mapping afterwards.
 * Returns 0, or -EBUSY with nothing changed if the folio may be pinned.
 * @kernel folio_try_share_anon_rmap_pte @kernel __folio_try_share_anon_rmap
 */
export function folioTryShareAnonRmapPte(kernel: Kernel, head: number, page: number): number {
  folioRmapSanityChecks(kernel, head, page, 1, RMAP_LEVEL_PTE);
  return tryShare(kernel, head, page);
}

/** The same for a folio that a PMD maps. @kernel folio_try_share_anon_rmap_pmd */
export function folioTryShareAnonRmapPmd(kernel: Kernel, head: number): number {
  folioRmapSanityChecks(kernel, head, head, PAGES_PER_PMD, RMAP_LEVEL_PMD);
  return tryShare(kernel, head, head);
}

function tryShare(kernel: Kernel, head: number, page: number): number {
  const { flags, mapping } = kernel.memory;
  if ((mapping[head] & MAPPING_ANON) === 0) fail(`folio ${head} is not anonymous`);
  if ((flags[page] & PG_ANON_EXCLUSIVE) === 0) fail(`page ${page} is not exclusive`);
  if ((flags[head] & PG_DEVICE_PRIVATE) === 0 && folioMaybeDmaPinned(kernel, head)) return -EBUSY;
  flags[page] &= ~PG_ANON_EXCLUSIVE;
  return 0;
}

/**
 * The folio was proven to be exclusive to this VMA's mm: its own anon_vma takes it over, so that
 * walks need not visit the relatives any more. The caller holds the folio lock.
 * @kernel folio_move_anon_rmap
 */
export function folioMoveAnonRmap(kernel: Kernel, head: number, vma: Vma): void {
  if (vma.anonVma === undefined) fail(`folio ${head} moves to a VMA without anon_vma`);
  setAnonMapping(kernel, head, vma.anonVma, kernel.memory.index[head]);
}
