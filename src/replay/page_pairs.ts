import { grown } from '../base/grown.js';
import { NO_PAGE } from './mapped_page.js';
import { PfnTable } from './pfn_table.js';

const FIRST_PAGES = 4096;
/** Cells of a row: all that is asked of a page at once lies in one cache line. */
const ROW_CELLS = 4;
const FRAME = 0;
const NOTE = 1;
const ROUND = 2;

/**
 * A one-to-one relation between pages of the machine and frames of the recorded host (0 …
 * `MOST_PFN`). Each page that was ever in it has a note, a signed 32-bit number.
 *
 * Page and frame are a pair as long as each names the other; who gets another partner leaves the
 * old one naming it in vain. So making and dropping pairs only writes, and waits for no memory.
 */
export class PagePairs {
  /** By frame: 1 + the page that it was paired with last; 0 for none. */
  private readonly pageOf = new PfnTable();
  /** By page: 1 + the frame that it was paired with last (0 for none), note, round of that. */
  private rows = new Int32Array(FIRST_PAGES * ROW_CELLS);
  private round = 0;
  /** Pages of this round, each once. */
  private roundPages = new Int32Array(FIRST_PAGES);
  private roundLength = 0;

  /** What is paired by `pairInRound` from here on is of one round. */
  beginRound(): void {
    this.round += 1;
    this.roundLength = 0;
  }

  /** Whether all pages that were paired in this round still have their frames. */
  isRoundWhole(): boolean {
    for (let i = 0; i < this.roundLength; i += 1) {
      if (this.frameAt(this.roundPages[i] ?? 0) === -1) return false;
    }
    return true;
  }

  /** Whether the page was paired by `pairInRound` in this round. */
  isOfRound(page: number): boolean {
    const at = page * ROW_CELLS;
    return at < this.rows.length && this.rows[at + ROUND] === this.round;
  }

  /** Makes them a pair; what either was paired with before has none now. */
  pair(page: number, pfn: number): void {
    const at = page * ROW_CELLS;
    if (at >= this.rows.length) this.grow(at);
    this.pageOf.set(pfn, page + 1);
    this.rows[at + FRAME] = pfn + 1;
  }

  /**
   * The same for pages of one round. Returns false if the page had another frame in this round; that
   * a frame had another page only `isRoundWhole` says.
   */
  pairInRound(page: number, pfn: number): boolean {
    const at = page * ROW_CELLS;
    if (this.isOfRound(page)) {
      if (this.rows[at + FRAME] === pfn + 1) return true;
      this.pair(page, pfn);
      return false;
    }
    this.pair(page, pfn);
    this.rows[at + ROUND] = this.round;
    const { roundLength } = this;
    if (roundLength === this.roundPages.length) {
      this.roundPages = grown(this.roundPages, new Int32Array(roundLength * 2));
    }
    this.roundPages[roundLength] = page;
    this.roundLength = roundLength + 1;
    return true;
  }

  /** The page of a frame, or `NO_PAGE`. */
  pageAt(pfn: number): number {
    const page = this.lastPageAt(pfn);
    return page !== NO_PAGE && this.rows[page * ROW_CELLS + FRAME] === pfn + 1 ? page : NO_PAGE;
  }

  /** The page that a frame was paired with last, which may have another frame since, or `NO_PAGE`. */
  lastPageAt(pfn: number): number {
    return this.pageOf.get(pfn) - 1;
  }

  /** The frame of a page, or −1. */
  frameAt(page: number): number {
    const at = page * ROW_CELLS;
    const pfn = at < this.rows.length ? (this.rows[at + FRAME] ?? 0) - 1 : -1;
    return pfn !== -1 && this.pageOf.get(pfn) === page + 1 ? pfn : -1;
  }

  /** Of a page that was in a pair. */
  noteAt(page: number): number {
    return this.rows[page * ROW_CELLS + NOTE] ?? 0;
  }

  /** Of a page that was in a pair. */
  setNote(page: number, note: number): void {
    this.rows[page * ROW_CELLS + NOTE] = note;
  }

  /** The frame is nobody's any more. */
  dropFrame(pfn: number): void {
    this.pageOf.set(pfn, 0);
  }

  private grow(at: number): void {
    let { length } = this.rows;
    while (length <= at) length *= 2;
    this.rows = grown(this.rows, new Int32Array(length));
  }
}
