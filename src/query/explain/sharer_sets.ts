import { grown } from '../../base/grown.js';

/**
 * Which processes share each page, kept up to date page by page: sums over processes (PSS, USS) at
 * any moment cost the number of distinct sets, not of pages.
 *
 * Set 0 stands for "not followed": nobody, or one process alone. Members are small numbers.
 */
export class SharerSets {
  private setOfPage: Int32Array<ArrayBuffer>;
  private readonly members: Array<readonly number[]> = [[]];
  private readonly pages: number[] = [0];
  private readonly numbers = new Map<string, number>();
  /** Transitions that were needed before, by `set * 2^20 + member`. */
  private readonly added = new Map<number, number>();
  private readonly removed = new Map<number, number>();

  /** @param pageCount Physical pages of the machine; it may get more. */
  constructor(pageCount: number) {
    this.setOfPage = new Int32Array(pageCount);
  }

  /** `second` now maps a page that `first` maps. */
  share(pfn: number, first: number, second: number): void {
    const from = this.setOfPage[pfn] ?? 0;
    const base = from === 0 ? this.numberOf([first]) : from;
    this.move(pfn, from, this.transition(this.added, base, second, addTo));
  }

  /** `member` no longer maps the page. Returns how many processes mapped it before. */
  leave(pfn: number, member: number): number {
    const from = this.setOfPage[pfn] ?? 0;
    if (from === 0) return 1;
    const before = this.members[from]?.length ?? 0;
    this.move(pfn, from, this.transition(this.removed, from, member, removeFrom));
    return before;
  }

  /** Number of processes that map a page together, or 0 if it was never shared. */
  sharersOf(pfn: number): number {
    return this.members[this.setOfPage[pfn] ?? 0]?.length ?? 0;
  }

  /** Calls `visit` for every set of two or more processes that has pages. */
  visitSets(visit: (members: readonly number[], pages: number) => void): void {
    for (let set = 1; set < this.members.length; set += 1) {
      const pages = this.pages[set] ?? 0;
      const members = this.members[set];
      if (pages > 0 && members !== undefined && members.length > 1) visit(members, pages);
    }
  }

  private move(pfn: number, from: number, to: number): void {
    if (from !== 0) this.pages[from] = (this.pages[from] ?? 0) - 1;
    if (to !== 0) this.pages[to] = (this.pages[to] ?? 0) + 1;
    if (pfn >= this.setOfPage.length) {
      const length = Math.max(pfn + 1, this.setOfPage.length * 2);
      this.setOfPage = grown(this.setOfPage, new Int32Array(length));
    }
    this.setOfPage[pfn] = to;
  }

  private transition(
    cache: Map<number, number>,
    set: number,
    member: number,
    change: (members: readonly number[], member: number) => readonly number[],
  ): number {
    const key = set * 2 ** 20 + member;
    let next = cache.get(key);
    if (next === undefined) {
      next = this.numberOf(change(this.members[set] ?? [], member));
      cache.set(key, next);
    }
    return next;
  }

  private numberOf(members: readonly number[]): number {
    if (members.length === 0) return 0;
    const key = members.join(' ');
    let number = this.numbers.get(key);
    if (number === undefined) {
      number = this.members.length;
      this.members.push(members);
      this.pages.push(0);
      this.numbers.set(key, number);
    }
    return number;
  }
}

function addTo(members: readonly number[], member: number): readonly number[] {
  if (members.includes(member)) return members;
  return [...members, member].sort((a, b) => a - b);
}

function removeFrom(members: readonly number[], member: number): readonly number[] {
  return members.filter((other) => other !== member);
}
