/** Memory as a program sees it: values, no frames. */

/** What somebody else (a pipe, a device) may read of a page: the values it had since. */
export class Watcher {
  readonly accepted = new Set<number>();
  private readonly isJudged: boolean;

  /** @param isJudged Whether isolation is promised; false: any value will do. */
  constructor(isJudged: boolean) {
    this.isJudged = isJudged;
  }

  accepts(value: number): boolean {
    return !this.isJudged || this.accepted.has(value);
  }
}

/** One page of a file, shared by all who map it. */
export class ShadowFilePage {
  value = 0;
  /** Values that it had, for private mappings that were copied at an unknown time. */
  readonly history = new Set<number>([0]);
  /** Values of writes of which it is not known whether they came that far. */
  maybe: number[] = [];
  readonly watchers = new Set<Watcher>();

  set(value: number): void {
    this.value = value;
    this.maybe = [];
    this.history.add(value);
    for (const watcher of this.watchers) watcher.accepted.add(value);
  }

  setMaybe(value: number): void {
    this.maybe.push(value);
    this.history.add(value);
    for (const watcher of this.watchers) watcher.accepted.add(value);
  }

  accepts(value: number): boolean {
    return this.value === value || this.maybe.includes(value);
  }
}

/** A file, or the memory behind one shared anonymous mapping; pages appear when first used. */
export class ShadowFile {
  /** Pages of a huge page of hugetlbfs; else 1. */
  readonly unitPages: number;
  readonly pages = new Map<number, ShadowFilePage>();

  constructor(unitPages: number) {
    this.unitPages = unitPages;
  }

  page(index: number): ShadowFilePage {
    let page = this.pages.get(index);
    if (page === undefined) {
      page = new ShadowFilePage();
      this.pages.set(index, page);
    }
    return page;
  }
}

/** One page of an address space. */
export class ShadowPage {
  readonly file: ShadowFile | undefined;
  /** Page of the file. */
  readonly index: number;
  readonly isShared: boolean;
  /** Pages that are mapped and dropped together. */
  readonly unitPages: number;
  /** What the process wrote to private memory; undefined: the file's page, or zeros. */
  own: number | undefined = undefined;
  /** `own` may be gone: MADV_FREE, or an operation that failed half-way. */
  mayRevert = false;
  /** Values of writes of which it is not known whether they came that far. */
  maybe: number[] = [];
  watchers = new Set<Watcher>();
  /** Counts up whenever the process gives its copy up. */
  generation = 0;

  constructor(file: ShadowFile | undefined, index: number, isShared: boolean, unitPages: number) {
    this.file = file;
    this.index = index;
    this.isShared = isShared;
    this.unitPages = unitPages;
  }

  /** The copy that a fork child gets: what comes later happens to one of them only. */
  forked(): ShadowPage {
    const copy = new ShadowPage(this.file, this.index, this.isShared, this.unitPages);
    copy.own = this.own;
    copy.mayRevert = this.mayRevert;
    copy.maybe = [...this.maybe];
    return copy;
  }

  write(value: number): void {
    if (this.isShared) {
      this.file?.page(this.index).set(value);
      return;
    }
    this.own = value;
    this.mayRevert = false;
    this.maybe = [];
    for (const watcher of this.watchers) watcher.accepted.add(value);
  }

  writeMaybe(value: number): void {
    if (this.isShared) {
      this.file?.page(this.index).setMaybe(value);
      return;
    }
    this.maybe.push(value);
    for (const watcher of this.watchers) watcher.accepted.add(value);
  }

  /** The process's own copy is gone for certain. */
  drop(): void {
    this.own = undefined;
    this.mayRevert = false;
    this.maybe = [];
    this.watchers.clear();
    this.generation += 1;
  }

  /** The process's own copy may be gone. */
  dropMaybe(): void {
    this.mayRevert = true;
    this.generation += 1;
  }

  /** Takes over what UFFDIO_MOVE brings here. */
  takeFrom(source: ShadowPage): void {
    this.own = source.own;
    this.mayRevert = source.mayRevert;
    this.maybe = source.maybe;
    this.watchers = source.watchers;
    source.watchers = new Set();
    source.drop();
  }

  /** Whether a read may give this value. */
  accepts(value: number): boolean {
    if (this.isShared) return this.file?.page(this.index).accepts(value) === true;
    if (this.own === value || this.maybe.includes(value)) return true;
    return (this.own === undefined || this.mayRevert) && this.acceptsBase(value);
  }

  /** What a read is expected to give, for messages. */
  get expected(): number {
    if (this.own !== undefined && !this.isShared) return this.own;
    return this.file?.page(this.index).value ?? 0;
  }

  /**
   * Somebody else sees the page from now on, as it is and as this process changes it. Not judged
   * for hugetlb: its write faults go by the mapcount, so Linux itself shows later writes of a
   * relative there (CVE-2020-29374 was fixed for other memory only).
   */
  watch(): Watcher {
    const watcher = new Watcher(this.unitPages === 1);
    watcher.accepted.add(this.expected);
    for (const value of this.maybe) watcher.accepted.add(value);
    if (this.mayRevert) watcher.accepted.add(0);
    this.watchers.add(watcher);
    if (this.file !== undefined && (this.isShared || this.own === undefined)) {
      const page = this.file.page(this.index);
      for (const value of [page.value, ...page.maybe]) watcher.accepted.add(value);
      // When a private page was copied from the file is not known.
      if (!this.isShared) for (const value of page.history) watcher.accepted.add(value);
      page.watchers.add(watcher);
    }
    return watcher;
  }

  private acceptsBase(value: number): boolean {
    if (this.file === undefined) return value === 0;
    return this.file.page(this.index).history.has(value);
  }
}
