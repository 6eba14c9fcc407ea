import { ShadowPage, type ShadowFile } from './shadow_page.js';

/** Pages [start, end) of one mapping. */
export interface ShadowArea {
  readonly start: number;
  readonly end: number;
  readonly file: ShadowFile | undefined;
  /** Page of the file at `start`. */
  readonly index: number;
  readonly isShared: boolean;
  /** Pages that are mapped and dropped together. */
  readonly unitPages: number;
}

/**
 * Pages of an address space that processes share, by page number as operations count. One that
 * nothing was done to is like every other of its area and appears when first asked for: a mapping
 * may have 262,144 of them.
 */
export class ShadowMm {
  brk = 0;
  /** Pages that were asked for, those of the stack among them: no operation maps these. */
  private readonly known = new Map<number, ShadowPage>();
  /** Disjoint, in no order. */
  private areas: ShadowArea[] = [];

  /** The page at a place, or undefined if no operation made it. */
  page(at: number): ShadowPage | undefined {
    const known = this.known.get(at);
    if (known !== undefined) return known;
    const area = this.areas.find(({ start, end }) => start <= at && at < end);
    if (area === undefined) return undefined;
    const { file, index, start, isShared, unitPages } = area;
    const page = new ShadowPage(file, index + at - start, isShared, unitPages);
    this.known.set(at, page);
    return page;
  }

  /** The page at a place; one that no operation made is new stack. */
  pageOrStack(at: number): ShadowPage {
    let page = this.page(at);
    if (page === undefined) {
      page = new ShadowPage(undefined, at, false, 1);
      this.known.set(at, page);
    }
    return page;
  }

  /** Pages that were asked for, by place. The others hold what their file does, or zeros. */
  knownPages(): Iterable<readonly [at: number, page: ShadowPage]> {
    return this.known;
  }

  /** The same of pages [at, at + n). */
  knownIn(at: number, n: number): ReadonlyArray<readonly [at: number, page: ShadowPage]> {
    if (this.known.size < n) return [...this.known].filter(([i]) => i >= at && i < at + n);
    const found: Array<readonly [number, ShadowPage]> = [];
    for (let i = at; i < at + n; i += 1) {
      const page = this.known.get(i);
      if (page !== undefined) found.push([i, page]);
    }
    return found;
  }

  /** New pages, in the place of whatever was there. */
  map(area: ShadowArea): void {
    this.remove(area.start, area.end - area.start);
    if (area.start < area.end) this.areas.push(area);
  }

  /** Private anonymous pages that nobody wrote. */
  mapZeros(start: number, end: number): void {
    this.map({ start, end, file: undefined, index: 0, isShared: false, unitPages: 1 });
  }

  /** The pages, and what the process had written to them, are gone. */
  unmap(at: number, n: number): void {
    for (const [, page] of this.knownIn(at, n)) page.drop();
    this.remove(at, n);
  }

  /** Unmaps all that lies in none of the ranges. */
  retain(ranges: ReadonlyArray<{ readonly start: number; readonly end: number }>): void {
    for (const [at, page] of this.known) {
      if (ranges.some(({ start, end }) => start <= at && at < end)) continue;
      page.drop();
      this.known.delete(at);
    }
    this.areas = ranges.flatMap(({ start, end }) => this.piecesIn(start, end));
  }

  /**
   * Moves pages [at, at + n) to `to`, where there are `length` of them then: those behind them go on
   * in the file. The source stays mapped, without what was in it, if `isKept`.
   */
  move(at: number, n: number, to: number, length: number, isKept: boolean): void {
    const count = Math.min(n, length);
    const last = this.page(at + Math.max(n, 1) - 1);
    const pieces = this.piecesIn(at, at + count);
    const pages = this.knownIn(at, count);
    this.remove(at, n);
    // Between mappings that move together, what is at the destination stays.
    const shift = to - at;
    for (const piece of pieces) {
      this.map({ ...piece, start: piece.start + shift, end: piece.end + shift });
      if (isKept) this.map(piece);
    }
    for (const [from, page] of pages) this.known.set(from + shift, page);
    if (last === undefined || length <= n) return;
    const { file, isShared, unitPages } = last;
    // Of a length of 0 the mapping appears a second time.
    const index = n === 0 ? last.index : last.index + 1;
    this.map({ start: to + n, end: to + length, file, index, isShared, unitPages });
  }

  /** Gets the pages [at, at + n) of a parent, as they are: what comes later happens to one of both. */
  inherit(parent: ShadowMm, at: number, n: number): void {
    for (const piece of parent.piecesIn(at, at + n)) this.map(piece);
    for (const [i, page] of parent.knownIn(at, n)) this.known.set(i, page.forked());
  }

  /** What of the areas lies in [start, end). */
  private piecesIn(start: number, end: number): ShadowArea[] {
    return this.areas.flatMap((area) => clipped(area, start, end));
  }

  private remove(at: number, n: number): void {
    if (n <= 0) return;
    for (const [i] of this.knownIn(at, n)) this.known.delete(i);
    this.areas = this.areas.flatMap((area) => [
      ...clipped(area, area.start, at),
      ...clipped(area, at + n, area.end),
    ]);
  }
}

/** The part of an area in [start, end), if there is one. */
function clipped(area: ShadowArea, start: number, end: number): ShadowArea[] {
  const from = Math.max(area.start, start);
  const to = Math.min(area.end, end);
  if (from >= to) return [];
  return [{ ...area, start: from, end: to, index: area.index + from - area.start }];
}
