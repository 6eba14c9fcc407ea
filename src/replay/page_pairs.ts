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
 */
export class PagePairs {
  /** Page + 1 by frame; 0 for none. Says the same as `rows`. */
  private readonly pageOf = new PfnTable();
  /** By page: frame + 1 (0 for none), note, and the round in which it was paired last. */
  private rows = new Int32Array(FIRST_PAGES * ROW_CELLS);
  private round = 0;

  /** From here on `isOfRound` is false of all pages. */
  beginRound(): void {
    this.round += 1;
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
    const oldFrame = (this.rows[at] ?? 0) - 1;
    if (oldFrame === pfn) return;
    if (oldFrame >= 0) this.pageOf.set(oldFrame, 0);
    const oldPage = this.pageOf.exchange(pfn, page + 1) - 1;
    if (oldPage !== NO_PAGE) this.rows[oldPage * ROW_CELLS] = 0;
    this.rows[at] = pfn + 1;
  }

  /**
   * The same for pages of one round. Returns whether it parted no pair of this round: as long as
   * it does not, all pairs of the round are there together.
   */
  pairInRound(page: number, pfn: number): boolean {
    const at = page * ROW_CELLS;
    if (at >= this.rows.length) this.grow(at);
    const { rows, round } = this;
    if (rows[at] === pfn + 1) {
      rows[at + ROUND] = round;
      return true;
    }
    const other = this.pageAt(pfn);
    const parts =
      ((rows[at] ?? 0) !== 0 && rows[at + ROUND] === round) ||
      (other !== NO_PAGE && rows[other * ROW_CELLS + ROUND] === round);
    this.pair(page, pfn);
    rows[at + ROUND] = round;
    return !parts;
  }

  /** The page of a frame, or `NO_PAGE`. */
  pageAt(pfn: number): number {
    return this.pageOf.get(pfn) - 1;
  }

  /** The frame of a page, or −1. */
  frameAt(page: number): number {
    const at = page * ROW_CELLS;
    return at < this.rows.length ? (this.rows[at + FRAME] ?? 0) - 1 : -1;
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
    const page = this.pageAt(pfn);
    if (page === NO_PAGE) return;
    this.pageOf.set(pfn, 0);
    this.rows[page * ROW_CELLS] = 0;
  }

  private grow(at: number): void {
    let { length } = this.rows;
    while (length <= at) length *= 2;
    this.rows = grown(this.rows, new Int32Array(length));
  }
}
