import type { Kernel } from '../kernel.js';
import { isAnonFolio, isKsmFolio } from '../phys/folio.js';
import {
  PG_ACTIVE,
  PG_ANON_EXCLUSIVE,
  PG_DIRTY,
  PG_HEAD,
  PG_HUGETLB,
  PG_HWPOISON,
  PG_IDLE,
  PG_LRU,
  PG_MLOCKED,
  PG_PRIVATE,
  PG_RECLAIM,
  PG_REFERENCED,
  PG_SWAPBACKED,
  PG_SWAPCACHE,
  PG_UNEVICTABLE,
  PG_UPTODATE,
  PG_WORKINGSET,
  PG_WRITEBACK,
  PG_YOUNG,
  PG_ZERO,
} from '../phys/page_flags.js';

const FOLIO_FLAG_NAMES: ReadonlyArray<readonly [number, string]> = [
  [PG_REFERENCED, 'referenced'],
  [PG_UPTODATE, 'uptodate'],
  [PG_DIRTY, 'dirty'],
  [PG_LRU, 'lru'],
  [PG_ACTIVE, 'active'],
  [PG_WORKINGSET, 'workingset'],
  [PG_PRIVATE, 'private'],
  [PG_RECLAIM, 'reclaim'],
  [PG_WRITEBACK, 'writeback'],
  [PG_SWAPCACHE, 'swapcache'],
  [PG_SWAPBACKED, 'swapbacked'],
  [PG_UNEVICTABLE, 'unevictable'],
  [PG_MLOCKED, 'mlocked'],
  [PG_HWPOISON, 'hwpoison'],
  [PG_YOUNG, 'young'],
  [PG_IDLE, 'idle'],
];

/** Names of the folio's own flags that a state lists. */
export function folioFlagNames(flags: number): string[] {
  const names: string[] = [];
  for (const [bit, name] of FOLIO_FLAG_NAMES) {
    if ((flags & bit) !== 0) names.push(name);
  }
  return names;
}

/**
 * Names that /proc/kpageflags shows for a mapped page, by bit number (spec 98 §1.1): the folio's
 * flags but for head, tail and hwpoison.
 */
export function kpageFlagNames(kernel: Kernel, head: number, pfn: number): string[] {
  const flags = kernel.memory.flags[head];
  const isLarge = (flags & PG_HEAD) !== 0;
  if ((flags & PG_ZERO) !== 0) return isLarge ? ['thp', 'zero'] : ['zero'];
  const isHuge = (flags & PG_HUGETLB) !== 0;
  const isAnon = isAnonFolio(kernel, head);
  const own = kernel.memory.flags[pfn];
  const table: ReadonlyArray<readonly [boolean, string]> = [
    [(flags & PG_REFERENCED) !== 0, 'referenced'],
    [(flags & PG_UPTODATE) !== 0, 'uptodate'],
    [(flags & PG_DIRTY) !== 0, 'dirty'],
    [(flags & PG_LRU) !== 0, 'lru'],
    [(flags & PG_ACTIVE) !== 0, 'active'],
    [(flags & PG_WRITEBACK) !== 0, 'writeback'],
    [(flags & PG_RECLAIM) !== 0, 'reclaim'],
    [true, 'mmap'],
    [isAnon, 'anon'],
    [(flags & PG_SWAPCACHE) !== 0, 'swapcache'],
    [(flags & PG_SWAPBACKED) !== 0, 'swapbacked'],
    [isLarge && pfn === head, 'head'],
    [isLarge && pfn !== head, 'tail'],
    [isHuge, 'huge'],
    [(flags & PG_UNEVICTABLE) !== 0, 'unevictable'],
    [(own & PG_HWPOISON) !== 0, 'hwpoison'],
    [isKsmFolio(kernel, head), 'ksm'],
    [isLarge && !isHuge, 'thp'],
    [(flags & PG_IDLE) !== 0, 'idle'],
    [(flags & PG_MLOCKED) !== 0, 'mlocked'],
    [(flags & PG_ANON_EXCLUSIVE) !== 0 && isAnon, 'mappedtodisk'],
    [(flags & PG_PRIVATE) !== 0, 'private'],
    [(flags & PG_SWAPCACHE) !== 0, 'owner_private'],
  ];
  return table.filter(([isSet]) => isSet).map(([, name]) => name);
}
