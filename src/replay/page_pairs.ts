import { grown } from '../base/grown.js';
import { NO_PAGE } from './mapped_page.js';
import { PfnTable } from './pfn_table.js';

const FIRST_LENGTH = 4096;

/** A one-to-one relation between pages of the machine and frames of the recorded host. */
export class PagePairs {
  /** Page + 1 by frame, and frame + 1 by page; 0 for none. Both always say the same. */
  private readonly pageOf = new PfnTable();
  private frameOf = new Float64Array(FIRST_LENGTH);

  /** Makes them a pair; what either was paired with before has none now. */
  pair(page: number, pfn: number): void {
    if (page >= this.frameOf.length) this.grow(page);
    const oldFrame = this.frameOf[page] ?? 0;
    if (oldFrame === pfn + 1) return;
    if (oldFrame !== 0) this.pageOf.set(oldFrame - 1, 0);
    const oldPage = this.pageOf.exchange(pfn, page + 1) - 1;
    if (oldPage >= 0) this.frameOf[oldPage] = 0;
    this.frameOf[page] = pfn + 1;
  }

  /** The page of a frame, or `NO_PAGE`. */
  pageAt(pfn: number): number {
    return this.pageOf.get(pfn) - 1;
  }

  /** The frame of a page, or −1. */
  frameAt(page: number): number {
    return page < this.frameOf.length ? (this.frameOf[page] ?? 0) - 1 : -1;
  }

  /** The frame is nobody's any more. */
  dropFrame(pfn: number): void {
    const page = this.pageAt(pfn);
    if (page === NO_PAGE) return;
    this.pageOf.set(pfn, 0);
    this.frameOf[page] = 0;
  }

  private grow(page: number): void {
    let { length } = this.frameOf;
    while (length <= page) length *= 2;
    this.frameOf = grown(this.frameOf, new Float64Array(length));
  }
}
