import { fail } from '../../base/errors.js';
import { PAGES_PER_PMD, PAGES_PER_PUD } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import { folioAnonVma, folioPageCount } from '../phys/folio.js';
import { PG_HUGETLB, PG_SWAPBACKED, PG_ZERO } from '../phys/page_flags.js';
import { MAPPING_ANON } from '../phys/memory.js';
import { linearPageIndex, type Vma } from '../vm/vma.js';
import {
  RMAP_LEVEL_PMD,
  RMAP_LEVEL_PTE,
  RMAP_LEVEL_PUD,
  type PageTableLevel,
} from './rmap_level.js';

/**
 * What must hold at every map and unmap operation of a folio that is not hugetlb (spec 20 §3.0).
 * The hot path of small folios checks the same cheaply by itself. @kernel __folio_rmap_sanity_checks
 */
export function folioRmapSanityChecks(
  kernel: Kernel,
  head: number,
  page: number,
  pageCount: number,
  level: PageTableLevel,
): void {
  if (level > RMAP_LEVEL_PUD) fail(`folio ${head} is mapped by an entry of level ${level}`);
  const flags = kernel.memory.flags[head];
  if ((flags & PG_HUGETLB) !== 0) fail(`hugetlb folio ${head} in an rmap function of other folios`);
  if ((flags & PG_ZERO) !== 0) fail(`zero folio ${head} has no reverse mapping`);
  const folioPages = folioPageCount(kernel, head);
  if (pageCount < 1 || page < head || page + pageCount > head + folioPages) {
    fail(`pages ${page}+${pageCount} are not inside folio ${head}+${folioPages}`);
  }
  if (level !== RMAP_LEVEL_PTE) {
    const wanted = level === RMAP_LEVEL_PMD ? PAGES_PER_PMD : PAGES_PER_PUD;
    if (folioPages !== wanted || pageCount !== wanted) {
      fail(`folio ${head} of ${folioPages} pages is mapped as one entry of ${wanted} pages`);
    }
  }
  const anonVma = folioAnonVma(kernel, head);
  if (anonVma !== undefined && anonVma.refcount === 0) {
    fail(`folio ${head} belongs to the freed anon_vma ${anonVma.id}`);
  }
}

/**
 * A further mapping of an anonymous folio must lie where the reverse map will look for it.
 * @kernel __page_check_anon_rmap
 */
export function checkAnonPosition(
  kernel: Kernel,
  head: number,
  page: number,
  vma: Vma,
  vpn: number,
): void {
  const { mapping, index } = kernel.memory;
  if ((mapping[head] & MAPPING_ANON) === 0) fail(`folio ${head} is not anonymous`);
  const anonVma = folioAnonVma(kernel, head);
  if (anonVma === undefined) return;
  if (anonVma.root !== vma.anonVma?.root) {
    fail(`folio ${head} is mapped in a VMA whose anon_vma has another root`);
  }
  const expected = index[head] + (page - head);
  const found = linearPageIndex(vma, vpn);
  if (found !== expected)
    fail(`page ${page} has index ${expected} but is mapped at index ${found}`);
}

/** Statistics of one operation: pages mapped at least once, and of them by a PMD (spec 20 §5). */
export function countMappedPages(
  kernel: Kernel,
  head: number,
  pages: number,
  pmdMappedPages: number,
): void {
  const { stats, memory } = kernel;
  if ((memory.mapping[head] & MAPPING_ANON) !== 0) {
    stats.anonMapped += pages;
    stats.anonThps += pmdMappedPages;
    return;
  }
  stats.fileMapped += pages;
  if ((memory.flags[head] & PG_SWAPBACKED) !== 0) stats.shmemPmdMapped += pmdMappedPages;
  else stats.filePmdMapped += pmdMappedPages;
}
