import { PAGE_SIZE_BYTES } from '../base/units.js';

/** What the kernel tells about one page frame. */
export interface FrameFactsOfPage {
  readonly pfn: number;
  /** /proc/kpagecount: mappings by all processes; 0 also for pages that are never counted. */
  readonly mapcount: number;
  /** False if this is an average over a large folio (CONFIG_NO_PAGE_MAPCOUNT). */
  readonly isMapcountExact: boolean;
  /** Names of the flags of /proc/kpageflags that are set. */
  readonly flags: readonly FrameFlagName[];
  /** Path of the memory cgroup that pays for the page, empty if unknown. */
  readonly chargedTo: string;
}

export type FrameFlagName =
  | 'lru'
  | 'active'
  | 'slab'
  | 'writeback'
  | 'mapped'
  | 'anonymous'
  | 'swap cache'
  | 'swap backed'
  | 'compound head'
  | 'compound tail'
  | 'hugetlb'
  | 'unevictable'
  | 'poisoned'
  | 'no page'
  | 'ksm'
  | 'thp'
  | 'offline'
  | 'zero page'
  | 'buddy';

/** One mapping of the page. */
export interface PageMapping {
  readonly pid: number;
  readonly comm: string;
  /** Virtual address of the page, hexadecimal with 0x. */
  readonly address: string;
  readonly vmaStart: string;
  readonly vmaEnd: string;
  readonly vmaPermissions: string;
  /** File or `[heap]`; empty for plain anonymous memory. */
  readonly vmaName: string;
  /** Level of the entry. `unknown`: a huge page that may be mapped either way. */
  readonly level: 'pte' | 'pmd' | 'unknown';
  /** Whether the mapping may be written (from the VMA; a shared page is still copied first). */
  readonly isWritable: boolean;
  /** pagemap bit 56: the kernel says that nobody else maps it. */
  readonly isExclusive: boolean;
  /** VmPin of the process: some of its memory is pinned, perhaps this page. */
  readonly pinnedBytes: number;
}

/** A reason why the page stays in memory. */
export type PageHolder =
  | { readonly kind: 'mappings'; readonly count: number; readonly processCount: number }
  /** The page cache of a file; the page stays, clean, until memory is short. */
  | { readonly kind: 'page cache'; readonly file: string }
  | { readonly kind: 'swap cache' }
  /** The KSM tree keeps it as long as it is mapped. */
  | { readonly kind: 'ksm' }
  | { readonly kind: 'mlock' }
  | { readonly kind: 'writeback' }
  /** Some process that maps it has pinned memory; which pages is not visible from outside. */
  | { readonly kind: 'possibly pinned'; readonly pids: readonly number[] }
  /** Never freed: the shared zero page, reserved memory. */
  | { readonly kind: 'kernel' }
  /** Nothing visible holds it: it is free, or the kernel uses it for itself. */
  | { readonly kind: 'nothing visible' };

/** What is freed if one process goes. */
export interface PageRelease {
  readonly pid: number;
  /** 0 if the page stays because of others or of the page cache. */
  readonly freedBytes: number;
}

export interface WhoPageReport {
  readonly schemaVersion: 1;
  readonly target: string;
  readonly kind: 'page';
  /** `exact`: as many mappings were found as the kernel counts. */
  readonly precision: 'exact' | 'estimated';
  readonly page: FrameFactsOfPage | undefined;
  /** Why there is no page, or `present`. */
  readonly state: 'present' | 'swapped out' | 'not present' | 'no mapping here' | 'not mapped';
  readonly type: 'anonymous' | 'file' | 'ksm' | 'zero' | 'hugetlb' | 'kernel' | 'unknown';
  readonly mappings: readonly PageMapping[];
  /** Mappings that the kernel counts and nobody was found for. */
  readonly missingMappings: number;
  readonly holders: readonly PageHolder[];
  readonly releases: readonly PageRelease[];
  /** Processes that this user may not look at. */
  readonly deniedPids: readonly number[];
  readonly elapsedMs: number;
}

/** What was read of the kernel for one page. */
export interface PageEvidence {
  readonly target: string;
  readonly state: WhoPageReport['state'];
  readonly page: FrameFactsOfPage | undefined;
  readonly mappings: readonly PageMapping[];
  readonly deniedPids: readonly number[];
  readonly elapsedMs: number;
}

function typeOf(page: FrameFactsOfPage | undefined): WhoPageReport['type'] {
  if (page === undefined) return 'unknown';
  const has = (flag: FrameFlagName): boolean => page.flags.includes(flag);
  if (has('zero page')) return 'zero';
  if (has('ksm')) return 'ksm';
  if (has('hugetlb')) return 'hugetlb';
  if (has('anonymous')) return 'anonymous';
  if (has('slab') || has('buddy') || has('no page') || has('offline')) return 'kernel';
  // A page of a file may be off the LRU lists for a moment while it is mapped.
  return has('lru') || has('mapped') ? 'file' : 'kernel';
}

function distinctPids(mappings: readonly PageMapping[]): number[] {
  return [...new Set(mappings.map((mapping) => mapping.pid))];
}

function holdersOf(
  type: WhoPageReport['type'],
  page: FrameFactsOfPage | undefined,
  mappings: readonly PageMapping[],
): PageHolder[] {
  const holders: PageHolder[] = [];
  if (page === undefined) return holders;
  if (type === 'zero') return [{ kind: 'kernel' }];
  const count = Math.max(page.mapcount, mappings.length);
  if (count > 0) {
    holders.push({ kind: 'mappings', count, processCount: distinctPids(mappings).length });
  }
  if (type === 'file' || type === 'hugetlb') {
    const file = mappings.find((mapping) => mapping.vmaName !== '')?.vmaName ?? '';
    holders.push({ kind: 'page cache', file });
  }
  if (page.flags.includes('swap cache')) holders.push({ kind: 'swap cache' });
  if (type === 'ksm') holders.push({ kind: 'ksm' });
  if (page.flags.includes('unevictable')) holders.push({ kind: 'mlock' });
  if (page.flags.includes('writeback')) holders.push({ kind: 'writeback' });
  const pinned = mappings.filter((mapping) => mapping.pinnedBytes > 0);
  if (pinned.length > 0) holders.push({ kind: 'possibly pinned', pids: distinctPids(pinned) });
  return holders.length > 0 ? holders : [{ kind: 'nothing visible' }];
}

function releasesOf(
  type: WhoPageReport['type'],
  page: FrameFactsOfPage | undefined,
  mappings: readonly PageMapping[],
): PageRelease[] {
  const pids = distinctPids(mappings);
  const isLast =
    page !== undefined && pids.length === 1 && mappings.length >= page.mapcount && type !== 'zero';
  const isKept = type === 'file' || type === 'hugetlb' || page?.flags.includes('swap cache');
  return pids.map((pid) => ({
    pid,
    freedBytes: isLast && isKept !== true ? PAGE_SIZE_BYTES : 0,
  }));
}

/** Who maps a page, why it is alive, and who would free it. */
export function computeWhoPage(evidence: PageEvidence): WhoPageReport {
  const { page, mappings } = evidence;
  const type = typeOf(page);
  const isCounted = page !== undefined && page.isMapcountExact && type !== 'zero';
  const missingMappings = isCounted ? Math.max(0, page.mapcount - mappings.length) : 0;
  const isExact = page === undefined || (isCounted && missingMappings === 0) || type === 'zero';
  return {
    schemaVersion: 1,
    kind: 'page',
    target: evidence.target,
    precision: isExact ? 'exact' : 'estimated',
    page,
    state: evidence.state,
    type,
    mappings,
    missingMappings,
    holders: holdersOf(type, page, mappings),
    releases: releasesOf(type, page, mappings),
    deniedPids: evidence.deniedPids,
    elapsedMs: evidence.elapsedMs,
  };
}
