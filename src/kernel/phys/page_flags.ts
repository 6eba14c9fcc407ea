/**
 * Bits of `Memory.flags`. One 32-bit word a page; for a large folio the head's word holds the
 * folio's flags and only `PG_ANON_EXCLUSIVE`, `PG_HWPOISON` and `PG_TAIL` are kept per page.
 */

/** @kernel PG_locked */
export const PG_LOCKED = 1 << 0;
/** @kernel PG_referenced */
export const PG_REFERENCED = 1 << 1;
/** @kernel PG_uptodate */
export const PG_UPTODATE = 1 << 2;
/** @kernel PG_dirty */
export const PG_DIRTY = 1 << 3;
/** @kernel PG_lru */
export const PG_LRU = 1 << 4;
/** @kernel PG_active */
export const PG_ACTIVE = 1 << 5;
/** @kernel PG_writeback */
export const PG_WRITEBACK = 1 << 6;
/** @kernel PG_reclaim */
export const PG_RECLAIM = 1 << 7;
/** @kernel PG_swapcache */
export const PG_SWAPCACHE = 1 << 8;
/** @kernel PG_swapbacked */
export const PG_SWAPBACKED = 1 << 9;
/** @kernel PG_unevictable */
export const PG_UNEVICTABLE = 1 << 10;
/** @kernel PG_mlocked */
export const PG_MLOCKED = 1 << 11;
/** @kernel PG_hwpoison */
export const PG_HWPOISON = 1 << 12;
/** This very page is mapped by one page table only (spec 20 §9). @kernel PG_anon_exclusive */
export const PG_ANON_EXCLUSIVE = 1 << 13;
/** @kernel PG_private */
export const PG_PRIVATE = 1 << 14;
/** @kernel PG_workingset */
export const PG_WORKINGSET = 1 << 15;
/** First page of a large folio. @kernel PG_head */
export const PG_HEAD = 1 << 16;
/** Other page of a large folio; `Memory.mapping` holds the head's pfn. */
export const PG_TAIL = 1 << 17;
/** hugetlb folio: mapped by huge entries only, off the LRU lists. @kernel PG_hugetlb */
export const PG_HUGETLB = 1 << 18;
/** @kernel PG_idle */
export const PG_IDLE = 1 << 19;
/** @kernel PG_young */
export const PG_YOUNG = 1 << 20;
/** The shared zero page or huge zero folio: never counted, never on a list. */
export const PG_ZERO = 1 << 21;
/** First page of a free block; `Memory.mapping` holds its order. @kernel PG_buddy */
export const PG_BUDDY = 1 << 22;
/** Taken off the LRU lists by somebody who holds a reference. */
export const PG_ISOLATED = 1 << 23;
/** Free page on the order-0 stack. */
export const PG_FREE = 1 << 24;
/** Device-private memory: present only through non-present entries. */
export const PG_DEVICE_PRIVATE = 1 << 25;

/** Bits that belong to the single page and survive folio-wide changes. */
export const PG_PER_PAGE = PG_ANON_EXCLUSIVE | PG_HWPOISON | PG_TAIL;
