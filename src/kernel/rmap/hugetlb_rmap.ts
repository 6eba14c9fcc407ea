/**
 * Mappings of hugetlb folios: entire and total mapcount move together; no page counts, no mm-id
 * slots, no statistics (spec 20 §10). The huge page-table lock is held.
 */
import { fail } from '../../base/errors.js';
import { EBUSY } from '../errno.js';
import type { Kernel } from '../kernel.js';
import { folioAnonVma, folioMaybeDmaPinned, setAnonMapping } from '../phys/folio.js';
import { largeRow } from '../phys/large_folio.js';
import { MAPPING_ANON } from '../phys/memory.js';
import { PG_ANON_EXCLUSIVE, PG_HUGETLB } from '../phys/page_flags.js';
import { linearPageIndex, type Vma } from '../vm/vma.js';
import { folioNeedsCowForDma } from './folio_rmap_dup.js';

/** First mapping of a private huge page; exclusive. @kernel hugetlb_add_new_anon_rmap */
export function hugetlbAddNewAnonRmap(kernel: Kernel, head: number, vma: Vma, vpn: number): void {
  const { anonVma } = vma;
  if (anonVma === undefined) fail(`folio ${head} enters a VMA without anon_vma`);
  if (vpn < vma.start || vpn >= vma.end) fail(`page ${vpn} is outside of its VMA`);
  setAnonMapping(kernel, head, anonVma, linearPageIndex(vma, vpn));
  if (change(kernel, head, 1) !== 1) fail(`new hugetlb folio ${head} is already mapped`);
  kernel.memory.flags[head] |= PG_ANON_EXCLUSIVE;
}

/** A private huge page is mapped again. @kernel hugetlb_add_anon_rmap */
export function hugetlbAddAnonRmap(
  kernel: Kernel,
  head: number,
  vma: Vma,
  exclusive: boolean,
): void {
  const { flags, mapping } = kernel.memory;
  if ((mapping[head] & MAPPING_ANON) === 0) fail(`folio ${head} is not anonymous`);
  if (folioAnonVma(kernel, head)?.root !== vma.anonVma?.root) {
    fail(`folio ${head} is mapped in a VMA whose anon_vma has another root`);
  }
  const mapcount = change(kernel, head, 1);
  if (exclusive) flags[head] |= PG_ANON_EXCLUSIVE;
  if (mapcount > 1 && (flags[head] & PG_ANON_EXCLUSIVE) !== 0) {
    fail(`hugetlb folio ${head} is exclusive but mapped more than once`);
  }
}

/** A shared huge page is mapped; fork uses it too. @kernel hugetlb_add_file_rmap */
export function hugetlbAddFileRmap(kernel: Kernel, head: number): void {
  if ((kernel.memory.mapping[head] & MAPPING_ANON) !== 0) fail(`folio ${head} is anonymous`);
  change(kernel, head, 1);
}

/** A mapping is gone. @kernel hugetlb_remove_rmap */
export function hugetlbRemoveRmap(kernel: Kernel, head: number): void {
  if (change(kernel, head, -1) < 0)
    fail(`hugetlb folio ${head} is unmapped more often than mapped`);
}

/**
 * The child of a fork shares a private huge page. Returns 0, or -EBUSY with nothing changed if it
 * is exclusive and may be pinned. @kernel hugetlb_try_dup_anon_rmap
 */
export function hugetlbTryDupAnonRmap(kernel: Kernel, head: number, parentVma: Vma): number {
  const { flags, mapping } = kernel.memory;
  if ((mapping[head] & MAPPING_ANON) === 0) fail(`folio ${head} is not anonymous`);
  if ((flags[head] & PG_ANON_EXCLUSIVE) !== 0) {
    if (folioNeedsCowForDma(kernel, parentVma, head)) return -EBUSY;
    flags[head] &= ~PG_ANON_EXCLUSIVE;
  }
  change(kernel, head, 1);
  return 0;
}

/**
 * Gives up exclusiveness before the mapping becomes a migration entry. Returns 0, or -EBUSY with
 * nothing changed if the folio may be pinned. @kernel hugetlb_try_share_anon_rmap
 */
export function hugetlbTryShareAnonRmap(kernel: Kernel, head: number): number {
  const { flags, mapping } = kernel.memory;
  if ((flags[head] & PG_HUGETLB) === 0) fail(`folio ${head} is not a hugetlb folio`);
  if ((mapping[head] & MAPPING_ANON) === 0) fail(`folio ${head} is not anonymous`);
  if ((flags[head] & PG_ANON_EXCLUSIVE) === 0) fail(`hugetlb folio ${head} is not exclusive`);
  if (folioMaybeDmaPinned(kernel, head)) return -EBUSY;
  flags[head] &= ~PG_ANON_EXCLUSIVE;
  return 0;
}

/** Changes both counts; returns the new one. */
function change(kernel: Kernel, head: number, by: number): number {
  if ((kernel.memory.flags[head] & PG_HUGETLB) === 0) fail(`folio ${head} is not a hugetlb folio`);
  const row = largeRow(kernel, head);
  const { entireMapcount, largeMapcount } = kernel.large;
  entireMapcount[row] += by;
  largeMapcount[row] += by;
  return entireMapcount[row];
}
