import { grown } from '../../base/grown.js';
import { fail, RmapError } from '../../base/errors.js';
import { NIL } from '../../base/units.js';
import { PG_BUDDY, PG_FREE, PG_HEAD, PG_TAIL, PG_ZERO } from './page_flags.js';

/** Largest block that the allocator hands out: one 1 GiB folio. */
export const MAX_ORDER = 18;

/** Tag of `Memory.mapping`: low two bits. @kernel FOLIO_MAPPING_ANON */
export const MAPPING_ANON = 1;
/** @kernel FOLIO_MAPPING_KSM */
export const MAPPING_KSM = 3;
/** Mask of the tag bits; tag 0 is a file mapping (or none, with id 0). */
export const MAPPING_TAG_MASK = 3;

/**
 * The memory map: one row a physical page, indexed by pfn.
 *
 * All counts are 1-based (an idle page is all zeros), so a fresh buffer is a valid idle map and
 * the operating system provides pages of it only when they are touched. 37 bytes a page.
 * `addPages` replaces the columns: hold none across operations.
 * @kernel folio
 */
export class Memory {
  pageCount: number;
  /** References. @kernel folio._refcount */
  refcount: Int32Array<ArrayBuffer>;
  /** PTEs that map this very page (1-based). @kernel page._mapcount @kernel folio._mapcount */
  mapcount: Int32Array<ArrayBuffer>;
  /** `PG_*` bits. @kernel folio.flags */
  flags: Uint32Array<ArrayBuffer>;
  /**
   * `id << 2 | tag` of the anon_vma, KSM stable node or file mapping; 0 = none. A tail page holds
   * its head's pfn, a free block its order. @kernel folio.mapping
   */
  mapping: Int32Array<ArrayBuffer>;
  /** Page offset in the mapping. @kernel folio.index */
  index: Float64Array<ArrayBuffer>;
  /** First word of the page; the rest of a page is always zero. */
  content: Uint32Array<ArrayBuffer>;
  /** Links of the list the page is on (LRU or free). A head+1 page holds its large-folio row. */
  next: Int32Array<ArrayBuffer>;
  /** Back link; for an unevictable folio its mlock count. */
  previous: Int32Array<ArrayBuffer>;
  /** Memory control group that the folio is charged to; 0 = root. @kernel folio.memcg_data */
  memcg: Uint8Array<ArrayBuffer>;

  /** The shared zero page. @kernel zero_pfn */
  readonly zeroPfn: number;
  /** The huge zero folio, or NIL until first needed. @kernel huge_zero_pfn */
  hugeZeroPfn = NIL;
  /** What a fresh page holds. Not 0 where programs write and nobody sees what, as in a replay. */
  blankWord = 0;
  freePages: number;
  /** Head of the stack of free order-0 pages. */
  private freeStack = NIL;
  /** Heads of the free block lists by order. */
  private readonly freeBlocks = new Int32Array(MAX_ORDER + 1).fill(NIL);

  constructor(pageCount: number) {
    if (pageCount < 16) throw new RmapError('usage', 'a machine needs at least 16 pages of memory');
    this.pageCount = pageCount;
    this.refcount = new Int32Array(pageCount);
    this.mapcount = new Int32Array(pageCount);
    this.flags = new Uint32Array(pageCount);
    this.mapping = new Int32Array(pageCount);
    this.index = new Float64Array(pageCount);
    this.content = new Uint32Array(pageCount);
    this.next = new Int32Array(pageCount);
    this.previous = new Int32Array(pageCount);
    this.memcg = new Uint8Array(pageCount);
    this.freePages = 0;
    this.addFreeRange(0, pageCount);
    this.zeroPfn = this.allocPages(0);
    this.flags[this.zeroPfn] = PG_ZERO;
    this.refcount[this.zeroPfn] = 1;
  }

  /** More memory behind the last page, for the next allocations. Replaces the columns. */
  addPages(count: number): void {
    const from = this.pageCount;
    const pageCount = from + count;
    this.refcount = grown(this.refcount, new Int32Array(pageCount));
    this.mapcount = grown(this.mapcount, new Int32Array(pageCount));
    this.flags = grown(this.flags, new Uint32Array(pageCount));
    this.mapping = grown(this.mapping, new Int32Array(pageCount));
    this.index = grown(this.index, new Float64Array(pageCount));
    this.content = grown(this.content, new Uint32Array(pageCount));
    this.next = grown(this.next, new Int32Array(pageCount));
    this.previous = grown(this.previous, new Int32Array(pageCount));
    this.memcg = grown(this.memcg, new Uint8Array(pageCount));
    this.pageCount = pageCount;
    this.addFreeRange(from, pageCount);
  }

  /** Head page of the folio that contains `pfn`. @kernel page_folio */
  folioOf(pfn: number): number {
    return (this.flags[pfn] & PG_TAIL) === 0 ? pfn : this.mapping[pfn];
  }

  isLarge(head: number): boolean {
    return (this.flags[head] & PG_HEAD) !== 0;
  }

  /**
   * Takes a naturally aligned block of 2^order free pages off the free lists. Its rows are idle:
   * counts 0, flags 0, mapping 0, content `blankWord`. Returns the first pfn, or NIL if there is none.
   */
  allocPages(order: number): number {
    if (order === 0) {
      const pfn = this.freeStack;
      if (pfn !== NIL) {
        this.freeStack = this.next[pfn];
        this.flags[pfn] = 0;
        this.mapping[pfn] = 0;
        this.content[pfn] = this.blankWord;
        this.freePages -= 1;
        return pfn;
      }
      return this.allocBlock(0);
    }
    const pfn = this.allocBlock(order);
    if (pfn !== NIL || this.freeStack === NIL) return pfn;
    this.drainFreeStack();
    return this.allocBlock(order);
  }

  /**
   * Like `allocPages`, but the block lies in [from, to), a NUMA node. The lists are searched, so
   * this is for migration only.
   */
  allocPagesIn(order: number, from: number, to: number): number {
    this.drainFreeStack();
    const size = 2 ** order;
    for (let have = order; have <= MAX_ORDER; have += 1) {
      for (let pfn = this.freeBlocks[have]; pfn !== NIL; pfn = this.next[pfn]) {
        const first = Math.ceil(Math.max(pfn, from) / size) * size;
        if (first + size > Math.min(pfn + 2 ** have, to)) continue;
        this.carve(pfn, have, first, order);
        this.freePages -= size;
        this.content.fill(this.blankWord, first, first + size);
        this.mapping.fill(0, first, first + size);
        return first;
      }
    }
    return NIL;
  }

  /**
   * Takes the highest such block, wherever in a list its block is. Pages that were freed since the
   * last search of this kind or by order are not seen.
   */
  allocHighest(order: number, from: number, to: number): number {
    const size = 2 ** order;
    for (let pfn = to - 1; pfn >= from; pfn -= 1) {
      if (this.flags[pfn] !== PG_BUDDY || this.mapping[pfn] < order) continue;
      const have = this.mapping[pfn];
      const first = Math.floor((Math.min(pfn + 2 ** have, to) - size) / size) * size;
      if (first < pfn) continue;
      this.carve(pfn, have, first, order);
      this.freePages -= size;
      this.content.fill(this.blankWord, first, first + size);
      this.mapping.fill(0, first, first + size);
      return first;
    }
    return NIL;
  }

  /** Takes the part [first, first + 2^order) out of a free block and lists what is left. */
  private carve(block: number, blockOrder: number, first: number, order: number): void {
    this.unlinkBlock(block, blockOrder);
    let pfn = block;
    for (let half = blockOrder - 1; half >= order; half -= 1) {
      const upper = pfn + 2 ** half;
      if (first >= upper) {
        this.pushBlock(pfn, half);
        pfn = upper;
      } else {
        this.pushBlock(upper, half);
      }
    }
  }

  /** Gives an idle page back. The caller has reset mapping and counts. */
  freePage(pfn: number): void {
    this.flags[pfn] = PG_FREE;
    this.next[pfn] = this.freeStack;
    this.freeStack = pfn;
    this.freePages += 1;
  }

  /** Top of the stack of free pages, for runs that push onto it themselves. */
  get freeStackTop(): number {
    return this.freeStack;
  }

  /** The stack has `count` idle pages more, linked and marked free as `freePage` does. */
  pushFreeRun(top: number, count: number): void {
    this.freeStack = top;
    this.freePages += count;
  }

  /** Gives a block of 2^order idle pages back. */
  freeBlock(pfn: number, order: number): void {
    if (order === 0) {
      this.freePage(pfn);
      return;
    }
    this.freePages += 2 ** order;
    this.mergeBlock(pfn, order);
  }

  private addFreeRange(from: number, to: number): void {
    let pfn = from;
    while (pfn < to) {
      let order = MAX_ORDER;
      while (pfn % 2 ** order !== 0 || pfn + 2 ** order > to) order -= 1;
      this.pushBlock(pfn, order);
      this.freePages += 2 ** order;
      pfn += 2 ** order;
    }
  }

  private allocBlock(order: number): number {
    for (let have = order; have <= MAX_ORDER; have += 1) {
      const pfn = this.freeBlocks[have];
      if (pfn === NIL) continue;
      this.unlinkBlock(pfn, have);
      for (let half = have - 1; half >= order; half -= 1) this.pushBlock(pfn + (1 << half), half);
      this.freePages -= 1 << order;
      if (order === 0) {
        // Most allocations: a call of `fill` for one page would cost more than the rest.
        this.content[pfn] = this.blankWord;
        this.mapping[pfn] = 0;
      } else {
        this.content.fill(this.blankWord, pfn, pfn + 2 ** order);
        this.mapping.fill(0, pfn, pfn + 2 ** order);
      }
      return pfn;
    }
    return NIL;
  }

  private pushBlock(pfn: number, order: number): void {
    const head = this.freeBlocks[order];
    this.flags[pfn] = PG_BUDDY;
    this.mapping[pfn] = order;
    this.next[pfn] = head;
    this.previous[pfn] = NIL;
    if (head !== NIL) this.previous[head] = pfn;
    this.freeBlocks[order] = pfn;
  }

  private unlinkBlock(pfn: number, order: number): void {
    const next = this.next[pfn];
    const previous = this.previous[pfn];
    if (next !== NIL) this.previous[next] = previous;
    if (previous === NIL) this.freeBlocks[order] = next;
    else this.next[previous] = next;
    this.flags[pfn] = 0;
    this.mapping[pfn] = 0;
  }

  private mergeBlock(from: number, fromOrder: number): void {
    let pfn = from;
    let order = fromOrder;
    while (order < MAX_ORDER) {
      const size = 2 ** order;
      const buddy = pfn % (2 * size) === 0 ? pfn + size : pfn - size;
      if (buddy + size > this.pageCount) break;
      if (this.flags[buddy] !== PG_BUDDY || this.mapping[buddy] !== order) break;
      this.unlinkBlock(buddy, order);
      if (buddy < pfn) pfn = buddy;
      order += 1;
    }
    this.pushBlock(pfn, order);
  }

  /** Merges the stacked order-0 pages into blocks, so that large folios can be found. */
  private drainFreeStack(): void {
    let guard = this.pageCount;
    while (this.freeStack !== NIL) {
      const pfn = this.freeStack;
      this.freeStack = this.next[pfn];
      this.flags[pfn] = 0;
      this.mergeBlock(pfn, 0);
      guard -= 1;
      if (guard < 0) fail('the stack of free pages has a cycle');
    }
  }
}
