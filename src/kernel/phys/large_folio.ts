import { grown } from '../../base/grown.js';
import { RowPool } from '../../base/row_pool.js';
import type { Kernel } from '../kernel.js';

/** Both mm-id slots empty: the id of "no mm". @kernel MM_ID_DUMMY */
export const MM_ID_DUMMY = 0;

/** Row of a large folio in `Kernel.large`. */
export function largeRow(kernel: Kernel, head: number): number {
  return kernel.memory.next[head + 1];
}

/**
 * What only large folios have, in columns; one row a large folio. Counts are 1-based. The row
 * number is kept in `Memory.next` of the folio's second page.
 */
export class LargeFolios {
  private readonly rows = new RowPool();
  order = new Uint8Array(16);
  /** Entries of any level that map any part. @kernel folio._large_mapcount */
  largeMapcount = new Int32Array(16);
  /** PMD or PUD entries that map the whole. @kernel folio._entire_mapcount */
  entireMapcount = new Int32Array(16);
  /** Pages with a PTE, plus `ENTIRELY_MAPPED` while entire. @kernel folio._nr_pages_mapped */
  pagesMapped = new Int32Array(16);
  /** Outstanding FOLL_PIN pins. @kernel folio._pincount */
  pincount = new Int32Array(16);
  /** Ids of the two tracked mms; 0 = slot free. @kernel folio._mm_id @kernel folio._mm_ids */
  mmId0 = new Int32Array(16);
  mmId1 = new Int32Array(16);
  /** Mappings counted for each slot. @kernel folio._mm_id_mapcount */
  mmIdMapcount0 = new Int32Array(16);
  mmIdMapcount1 = new Int32Array(16);
  /** 1 = maybe mapped shared. @kernel FOLIO_MM_IDS_SHARED_BIT */
  shared = new Uint8Array(16);
  /** 1 while the large-mapcount lock is held. @kernel FOLIO_MM_IDS_LOCK_BIT */
  locked = new Uint8Array(16);
  /** @kernel PG_partially_mapped */
  partiallyMapped = new Uint8Array(16);
  /** 1 while on a deferred-split queue. @kernel folio._deferred_list */
  deferred = new Uint8Array(16);
  /** Head pfn of the row's folio. */
  head = new Int32Array(16);

  /** Takes a row with all counts zero. */
  alloc(head: number, order: number): number {
    const row = this.rows.alloc();
    if (row >= this.order.length) this.grow();
    this.order[row] = order;
    this.head[row] = head;
    this.largeMapcount[row] = 0;
    this.entireMapcount[row] = 0;
    this.pagesMapped[row] = 0;
    this.pincount[row] = 0;
    this.mmId0[row] = MM_ID_DUMMY;
    this.mmId1[row] = MM_ID_DUMMY;
    this.mmIdMapcount0[row] = 0;
    this.mmIdMapcount1[row] = 0;
    this.shared[row] = 0;
    this.locked[row] = 0;
    this.partiallyMapped[row] = 0;
    this.deferred[row] = 0;
    return row;
  }

  free(row: number): void {
    this.head[row] = -1;
    this.rows.free(row);
  }

  /** Row numbers are below this; free rows have head −1. */
  get rowLimit(): number {
    return this.rows.limit;
  }

  /** Whether there is any large folio, for passes that only concern them. */
  get isEmpty(): boolean {
    return this.rows.count === 0;
  }

  private grow(): void {
    const length = this.order.length * 2;
    this.order = grown(this.order, new Uint8Array(length));
    this.largeMapcount = grown(this.largeMapcount, new Int32Array(length));
    this.entireMapcount = grown(this.entireMapcount, new Int32Array(length));
    this.pagesMapped = grown(this.pagesMapped, new Int32Array(length));
    this.pincount = grown(this.pincount, new Int32Array(length));
    this.mmId0 = grown(this.mmId0, new Int32Array(length));
    this.mmId1 = grown(this.mmId1, new Int32Array(length));
    this.mmIdMapcount0 = grown(this.mmIdMapcount0, new Int32Array(length));
    this.mmIdMapcount1 = grown(this.mmIdMapcount1, new Int32Array(length));
    this.shared = grown(this.shared, new Uint8Array(length));
    this.locked = grown(this.locked, new Uint8Array(length));
    this.partiallyMapped = grown(this.partiallyMapped, new Uint8Array(length));
    this.deferred = grown(this.deferred, new Uint8Array(length));
    this.head = grown(this.head, new Int32Array(length));
  }
}
