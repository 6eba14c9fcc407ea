/** Counts of folios, machine-wide statistics and address spaces (spec 90 A1). */
import type { Kernel } from '../kernel.js';
import { folioMapcount, folioPageCount, isAnonFolio, largeRow } from '../phys/folio.js';
import {
  PG_BUDDY,
  PG_FREE,
  PG_HEAD,
  PG_HUGETLB,
  PG_HWPOISON,
  PG_ISOLATED,
  PG_PRIVATE,
  PG_SWAPBACKED,
  PG_SWAPCACHE,
  PG_TAIL,
  PG_ZERO,
} from '../phys/page_flags.js';
import { isDeviceEntry, isMigration, PTE_SPECIAL } from '../pgtable/pte.js';
import { swapProblems } from '../swap/swap_claims.js';
import { MM_ANONPAGES, MM_FILEPAGES, MM_SHMEMPAGES, type Mm } from '../vm/mm.js';
import type { Census } from './census.js';
import type { Invariant } from './invariant.js';

/** Set in `pagesMapped` while the folio is mapped as a whole. */
const ENTIRELY_MAPPED = 0x800000;

function isFreePage(flags: number): boolean {
  return (flags & (PG_FREE | PG_BUDDY)) !== 0;
}

/** Pages of a folio that have at least one PTE. */
function pagesWithPte(census: Census, head: number, pages: number): number {
  let count = 0;
  for (let pfn = head; pfn < head + pages; pfn += 1) {
    if ((census.ptes.get(pfn)?.length ?? 0) > 0) count += 1;
  }
  return count;
}

/** Large folios in use, hugetlb left out. */
function largeHeads(kernel: Kernel): number[] {
  const heads: number[] = [];
  for (let row = 0; row < kernel.large.rowLimit; row += 1) {
    const head = kernel.large.head[row];
    if (head < 0) continue;
    const flags = kernel.memory.flags[head];
    if ((flags & PG_HEAD) !== 0 && (flags & (PG_ZERO | PG_HUGETLB)) === 0) heads.push(head);
  }
  return heads;
}

const mapcountOfPages: Invariant = {
  id: 'counts.page-mapcount',
  claim: "a page's mapcount is the number of PTEs that map it [1, 2]",
  check(kernel, census) {
    const wrong: string[] = [];
    const { mapcount, flags } = kernel.memory;
    for (const [pfn, entries] of census.ptes) {
      const head = kernel.memory.folioOf(pfn);
      const isLarge = (flags[head] & PG_HEAD) !== 0;
      const expected = isLarge && !kernel.profile.pageMapcount ? 0 : entries.length;
      if (mapcount[pfn] !== expected) {
        wrong.push(`page ${pfn} has mapcount ${mapcount[pfn]}, ${entries.length} PTEs map it`);
      }
    }
    return wrong;
  },
};

const noStrayMapcount: Invariant = {
  id: 'counts.no-stray-mapcount',
  claim: 'a page that no PTE maps has mapcount 0 [1, 2, 52]',
  check(kernel, census) {
    const wrong: string[] = [];
    const { mapcount, flags } = kernel.memory;
    for (const head of largeHeads(kernel)) {
      for (let pfn = head; pfn < head + folioPageCount(kernel, head); pfn += 1) {
        if (mapcount[pfn] !== 0 && !census.ptes.has(pfn)) {
          wrong.push(`page ${pfn} has mapcount ${mapcount[pfn]}, no PTE maps it`);
        }
      }
    }
    for (const mapping of kernel.mappings) {
      if (mapping === undefined) continue;
      for (const pfn of mapping.pages.values()) {
        if ((flags[pfn] & (PG_HEAD | PG_TAIL)) !== 0) continue;
        if (mapcount[pfn] !== 0 && !census.ptes.has(pfn)) {
          wrong.push(`cached page ${pfn} has mapcount ${mapcount[pfn]}, no PTE maps it`);
        }
      }
    }
    return wrong;
  },
};

const entireMapcount: Invariant = {
  id: 'counts.entire-mapcount',
  claim: "a folio's entire mapcount is the number of huge entries that map it [3]",
  check(kernel, census) {
    const wrong: string[] = [];
    for (let row = 0; row < kernel.large.rowLimit; row += 1) {
      const head = kernel.large.head[row];
      if (head < 0 || (kernel.memory.flags[head] & PG_ZERO) !== 0) continue;
      const expected = census.leaves.get(head)?.length ?? 0;
      const actual = kernel.large.entireMapcount[row];
      if (actual !== expected) {
        wrong.push(`folio ${head} has entire mapcount ${actual}, ${expected} huge entries map it`);
      }
    }
    return wrong;
  },
};

const largeMapcount: Invariant = {
  id: 'counts.large-mapcount',
  claim: "a large folio's mapcount is the number of entries of any level that map any page [4]",
  check(kernel, census) {
    const wrong: string[] = [];
    for (let row = 0; row < kernel.large.rowLimit; row += 1) {
      const head = kernel.large.head[row];
      if (head < 0 || (kernel.memory.flags[head] & PG_ZERO) !== 0) continue;
      const expected = census.mappingCount(head, folioPageCount(kernel, head));
      const actual = kernel.large.largeMapcount[row];
      if (actual !== expected) {
        wrong.push(`large folio ${head} has mapcount ${actual}, ${expected} entries map it`);
      }
    }
    return wrong;
  },
};

const pagesMapped: Invariant = {
  id: 'counts.pages-mapped',
  claim: 'pages mapped = pages with a PTE, plus the bit for a mapping of the whole [5]',
  check(kernel, census) {
    if (!kernel.profile.pageMapcount) return [];
    const wrong: string[] = [];
    for (const head of largeHeads(kernel)) {
      const whole = (census.leaves.get(head)?.length ?? 0) > 0 ? ENTIRELY_MAPPED : 0;
      const expected = pagesWithPte(census, head, folioPageCount(kernel, head)) + whole;
      const actual = kernel.large.pagesMapped[largeRow(kernel, head)];
      if (actual !== expected) {
        wrong.push(`folio ${head} says ${actual} pages mapped, there are ${expected}`);
      }
    }
    return wrong;
  },
};

/** Folios that any table of the machine leads to. */
function reachableHeads(kernel: Kernel, census: Census): Set<number> {
  const heads = census.mappedHeads(kernel);
  for (const mapping of kernel.mappings) {
    if (mapping === undefined) continue;
    for (const pfn of mapping.pages.values()) heads.add(kernel.memory.folioOf(pfn));
  }
  for (const head of census.heldReferences.keys()) heads.add(head);
  return heads;
}

const references: Invariant = {
  id: 'counts.references',
  claim:
    'references = mappings + caches + buffers + isolation + GUP references and pins, ' +
    'and at most one of a memory failure [6]',
  check(kernel, census) {
    const wrong: string[] = [];
    const { memory } = kernel;
    for (const head of reachableHeads(kernel, census)) {
      const flags = memory.flags[head];
      if ((flags & PG_ZERO) !== 0) continue;
      const pages = folioPageCount(kernel, head);
      let expected = folioMapcount(kernel, head) + (census.heldReferences.get(head) ?? 0);
      if ((flags & PG_SWAPCACHE) !== 0) expected += pages;
      if (!isAnonFolio(kernel, head) && memory.mapping[head] !== 0) {
        expected += cacheReferences(kernel, head, pages);
      }
      if ((flags & PG_PRIVATE) !== 0) expected += 1;
      if ((flags & PG_ISOLATED) !== 0) expected += 1;
      // The handler of a memory failure mostly keeps its reference for ever.
      const kept = hasPoison(kernel, head, pages) ? 1 : 0;
      const actual = memory.refcount[head];
      if (actual < expected || actual > expected + kept) {
        wrong.push(`folio ${head} has ${actual} references, ${expected} are known`);
      }
    }
    return wrong;
  },
};

function hasPoison(kernel: Kernel, head: number, pages: number): boolean {
  const { flags } = kernel.memory;
  for (let pfn = head; pfn < head + pages; pfn += 1)
    if ((flags[pfn] & PG_HWPOISON) !== 0) return true;
  return false;
}

/** The page cache holds one reference a page, hugetlbfs one a base page too. */
function cacheReferences(kernel: Kernel, head: number, pages: number): number {
  const mapping = kernel.mappings[kernel.memory.mapping[head] >> 2];
  return mapping?.pages.get(kernel.memory.index[head]) === head ? pages : 0;
}

const pincounts: Invariant = {
  id: 'counts.pins',
  claim: "a large folio's pincount is the number of its pins, and at most its references [7]",
  check(kernel, census) {
    const wrong: string[] = [];
    for (let row = 0; row < kernel.large.rowLimit; row += 1) {
      const head = kernel.large.head[row];
      if (head < 0) continue;
      const expected = census.pins.get(head) ?? 0;
      const actual = kernel.large.pincount[row];
      if (actual !== expected) wrong.push(`folio ${head} has pincount ${actual}, pins ${expected}`);
      if (actual > kernel.memory.refcount[head])
        wrong.push(`folio ${head}: more pins than references`);
    }
    return wrong;
  },
};

const statistics: Invariant = {
  id: 'counts.statistics',
  claim: 'machine-wide mapped-page counters equal a recount [8]',
  check(kernel, census) {
    const expected = { anon: 0, file: 0, anonThps: 0, shmemPmd: 0, filePmd: 0 };
    for (const head of census.mappedHeads(kernel)) {
      const flags = kernel.memory.flags[head];
      if ((flags & PG_HUGETLB) !== 0) continue;
      const pages = folioPageCount(kernel, head);
      const isWhole = census.leaves.has(head);
      // Without mapcounts of pages a folio counts whole while any part is mapped (spec 20 §3).
      const countsWhole = isWhole || !kernel.profile.pageMapcount;
      const mapped = countsWhole ? pages : pagesWithPte(census, head, pages);
      const isAnon = isAnonFolio(kernel, head);
      if (isAnon) expected.anon += mapped;
      else expected.file += mapped;
      if (!isWhole) continue;
      if (isAnon) expected.anonThps += pages;
      else if ((flags & PG_SWAPBACKED) !== 0) expected.shmemPmd += pages;
      else expected.filePmd += pages;
    }
    const { stats } = kernel;
    const rows: ReadonlyArray<readonly [string, number, number]> = [
      ['anonymous mapped', stats.anonMapped, expected.anon],
      ['file mapped', stats.fileMapped, expected.file],
      ['anonymous THP', stats.anonThps, expected.anonThps],
      ['shmem PMD-mapped', stats.shmemPmdMapped, expected.shmemPmd],
      ['file PMD-mapped', stats.filePmdMapped, expected.filePmd],
    ];
    return rows
      .filter(([, actual, counted]) => actual !== counted)
      .map(([name, actual, counted]) => `${name} pages: ${actual}, counted ${counted}`);
  },
};

const rssCounters: Invariant = {
  id: 'counts.rss',
  claim: "an mm's counters are its present, migrating and device pages by kind [9]",
  check(kernel, census) {
    const wrong: string[] = [];
    const sums = new Map<Mm, [number, number, number]>();
    for (const mm of kernel.mms) sums.set(mm, [0, 0, 0]);
    const migrations = [...census.migrations.values()].flat();
    for (const { vma, flags, pfn, pages } of [...census.mapped, ...migrations]) {
      const sum = sums.get(vma.mm);
      const head = kernel.memory.folioOf(pfn);
      const folioFlags = kernel.memory.flags[head];
      if (sum === undefined || (folioFlags & PG_HUGETLB) !== 0 || (flags & PTE_SPECIAL) !== 0) {
        continue;
      }
      const counted = isMigration(flags) || isDeviceEntry(flags) ? Math.max(1, pages) : pages;
      if (isAnonFolio(kernel, head)) sum[0] += counted;
      else if ((folioFlags & PG_SWAPBACKED) !== 0) sum[2] += counted;
      else sum[1] += counted;
    }
    for (const [mm, [anon, file, shmem]] of sums) {
      const rows: ReadonlyArray<readonly [string, number, number]> = [
        ['anonymous', mm.rss[MM_ANONPAGES], anon],
        ['file', mm.rss[MM_FILEPAGES], file],
        ['shmem', mm.rss[MM_SHMEMPAGES], shmem],
      ];
      for (const [name, actual, counted] of rows) {
        if (actual !== counted)
          wrong.push(`mm ${mm.id} counts ${actual} ${name} pages, has ${counted}`);
      }
    }
    return wrong;
  },
};

const swapSlots: Invariant = {
  id: 'counts.swap-slots',
  claim: 'a swap slot counts the entries that name it and is free iff none and not cached [10]',
  check: (kernel) => swapProblems(kernel),
};

const ksmZeroPages: Invariant = {
  id: 'counts.ksm-zero-pages',
  claim: 'an mm counts the zero pages that ksmd placed: their entries are dirty [8]',
  check(kernel, census) {
    const wrong: string[] = [];
    for (const mm of kernel.mms) {
      const actual = census.ksmZeroPages.get(mm) ?? 0;
      if (mm.ksmZeroPages !== actual) {
        wrong.push(`mm ${mm.id} counts ${mm.ksmZeroPages} merged zero pages, has ${actual}`);
      }
    }
    return wrong;
  },
};

const deferredSplit: Invariant = {
  id: 'counts.deferred-split',
  claim: 'a split queue holds the large folios in use that say so, on the queue of their group',
  check(kernel) {
    const wrong: string[] = [];
    const { large, memory, deferredSplit: queues } = kernel;
    let queued = 0;
    for (let row = 0; row < large.rowLimit; row += 1) {
      const head = large.head[row];
      if (head < 0 || large.deferred[row] === 0) continue;
      queued += 1;
      if (!queues.list(memory.memcg[head]).includes(head)) {
        wrong.push(`folio ${head} says that it is queued, its queue does not have it`);
      }
    }
    if (queues.length !== queued) {
      wrong.push(`${queues.length} folios on split queues, ${queued} say that they are`);
    }
    return wrong;
  },
};

const freePages: Invariant = {
  id: 'counts.free-pages',
  claim: 'no page that an entry maps is free, and a free page has no counts [52]',
  check(kernel, census) {
    const wrong: string[] = [];
    for (const { pfn, vpn } of census.mapped) {
      if (isFreePage(kernel.memory.flags[pfn])) wrong.push(`free page ${pfn} is mapped at ${vpn}`);
      else if (kernel.memory.refcount[kernel.memory.folioOf(pfn)] < 1) {
        wrong.push(`page ${pfn} is mapped at ${vpn} without references`);
      }
    }
    return wrong;
  },
};

export const COUNT_CLAIMS: readonly Invariant[] = [
  mapcountOfPages,
  noStrayMapcount,
  entireMapcount,
  largeMapcount,
  pagesMapped,
  references,
  pincounts,
  statistics,
  rssCounters,
  swapSlots,
  ksmZeroPages,
  deferredSplit,
  freePages,
];
