import type { Machine } from '../kernel/machine.js';
import { anonymousPageAt, NO_PAGE } from './mapped_page.js';
import type { ComparisonListener, ListedPages } from './compare.js';
import type { PageEvents } from './page_events.js';
import type { PagePlace } from './page_identity.js';
import type { UnplacedPages } from './unplaced_pages.js';
import { UNKNOWN_CONTENT } from './replay_machine.js';

interface FramePlace extends PagePlace {
  readonly pfn: number;
}

/**
 * What a snapshot tells about frames that the events could not place: pages that GUP added, merges
 * whose page is unknown, pages that readahead brought in. The comparison comes first, so nothing
 * is called right because of this.
 */
export class SnapshotSync implements ComparisonListener {
  private readonly machine: Machine;
  private readonly pages: PageEvents;
  private readonly unplaced: UnplacedPages;
  private readonly openMerges: ReadonlyMap<number, ReadonlySet<number>>;
  private readonly added: FramePlace[] = [];
  private readonly merges: FramePlace[] = [];
  private readonly gone: PagePlace[] = [];

  constructor(machine: Machine, pages: PageEvents, unplaced: UnplacedPages) {
    this.machine = machine;
    this.pages = pages;
    this.unplaced = unplaced;
    this.openMerges = pages.ksm.takeOpen();
    pages.beginSnapshot();
    pages.identity.beginListed();
  }

  missing(pages: ListedPages, row: number): void {
    const pfn = pages.pfn[row] ?? -1;
    if (this.unplaced.has(pfn)) this.added.push(placeOf(pages, row));
  }

  present(pages: ListedPages, row: number): boolean {
    const { identity } = this.pages;
    const { pid } = pages;
    const pfn = pages.pfn[row] ?? -1;
    const page = pages.page[row] ?? NO_PAGE;
    const isOpen = this.openMerges.size > 0 && this.openMerges.get(pid)?.has(pfn) === true;
    if (!isOpen) return identity.bindListed(page, pfn);
    if (identity.find(pfn) !== page) this.merges.push(placeOf(pages, row));
    return false;
  }

  areApart(): boolean {
    return this.pages.identity.areListedApart();
  }

  swapped(pid: number, vpn: number, page: number): void {
    if (!this.pages.identity.isKnown(page)) this.gone.push({ pid, vpn });
  }

  /** Puts the machine right where the events could not. */
  apply(): void {
    const { machine, pages } = this;
    for (const { pid, vpn, pfn } of this.added) {
      machine.apply({ op: 'mem_write', p: pid, at: vpn, n: 1, v: UNKNOWN_CONTENT });
      const mm = machine.kernel.processes.get(pid)?.mm;
      const page = mm === undefined ? NO_PAGE : anonymousPageAt(machine.kernel, mm, vpn);
      if (page !== NO_PAGE) pages.identity.bind(page, pfn);
    }
    for (const { pid, vpn, pfn } of this.merges) pages.ksm.merge({ pid, vpn }, pfn);
    for (const place of this.gone) pages.swapOutAt(place);
    this.unplaced.clear();
  }
}

function placeOf({ pid, vpn, pfn }: ListedPages, row: number): FramePlace {
  return { pid, vpn: vpn[row] ?? 0, pfn: pfn[row] ?? -1 };
}
