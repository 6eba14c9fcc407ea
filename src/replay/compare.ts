import type { Kernel } from '../kernel/kernel.js';
import type { Machine } from '../kernel/machine.js';
import { folioPrecisePageMapcount } from '../kernel/phys/folio.js';
import { isSwapPte } from '../kernel/swap/swap_pte.js';
import { MM_ANONPAGES, type Mm } from '../kernel/vm/mm.js';
import { RUN, type Snapshot } from '../trace/snapshot.js';
import { anonymousPageAt, AnonymousPages, NO_PAGE } from './mapped_page.js';
import { PagePairs } from './page_pairs.js';

/** How the machine compares with the kernel's own list of pages at one snapshot. */
export interface SnapshotComparison {
  readonly name: string;
  /** Anonymous page-table entries that the kernel listed, over all processes. */
  readonly anonymousPages: number;
  /** Present on both sides, with equal mapcount and the same set of sharers. */
  readonly agree: number;
  /** Listed by the kernel, not there in the machine. */
  readonly missing: number;
  /** In the machine, not listed by the kernel. */
  readonly extra: number;
  readonly mapcountWrong: number;
  readonly sharersWrong: number;
  /** Entries that the kernel listed as swapped out, and how many of them are so here. */
  readonly swappedPages: number;
  readonly swappedAgree: number;
  /** The first few pages that do not agree. */
  readonly examples: readonly PageMismatch[];
}

export interface PageMismatch {
  readonly pid: number;
  readonly vpn: number;
  readonly kind: 'missing' | 'mapcount' | 'sharers';
  /** The kernel's pfn and mapcount. */
  readonly pfn: number;
  readonly mapcount: number;
  /** The machine's mapcount; 0 for a missing page. */
  readonly machineMapcount: number;
}

const MOST_EXAMPLES = 20;

/**
 * Whether one page of the kernel is one page of the machine throughout a snapshot. The pairs of
 * earlier snapshots are kept, since most of them are found again.
 */
class SnapshotBijection {
  private readonly pairs = new PagePairs();
  /** Number of the snapshot in which a page of the machine was seen last. */
  private seenIn = new Uint32Array(0);
  private snapshot = 0;

  begin(pageCount: number): void {
    if (this.seenIn.length < pageCount) this.seenIn = new Uint32Array(pageCount);
    this.snapshot += 1;
  }

  /** Pairs a page with a frame. Returns whether this snapshot paired neither with another. */
  match(page: number, pfn: number): boolean {
    const { pairs, seenIn, snapshot } = this;
    const isSeen = seenIn[page] === snapshot;
    if (pairs.frameAt(page) !== pfn) {
      if (isSeen) return false;
      const other = pairs.pageAt(pfn);
      if (other !== NO_PAGE && seenIn[other] === snapshot) return false;
      pairs.pair(page, pfn);
    }
    if (!isSeen) seenIn[page] = snapshot;
    return true;
  }
}

/** Counts and pairs pages while a snapshot is walked. */
class Comparison {
  agree = 0;
  missing = 0;
  extra = 0;
  mapcountWrong = 0;
  sharersWrong = 0;
  total = 0;
  swapped = 0;
  swappedAgree = 0;
  readonly examples: PageMismatch[] = [];
  private readonly kernel: Kernel;
  private readonly bijection: SnapshotBijection;
  private readonly listener: ComparisonListener | undefined;

  constructor(
    kernel: Kernel,
    bijection: SnapshotBijection,
    listener: ComparisonListener | undefined,
  ) {
    this.kernel = kernel;
    this.bijection = bijection;
    this.listener = listener;
  }

  /**
   * One run of consecutive pages and pfns of a process. Returns how many of them the machine has.
   */
  addRun(
    pid: number,
    pages: AnonymousPages | undefined,
    firstVpn: number,
    firstPfn: number,
    mapcount: number,
    count: number,
  ): number {
    const { kernel } = this;
    const { memory } = kernel;
    this.total += count;
    let found = 0;
    for (let i = 0; i < count; i += 1) {
      const vpn = firstVpn + i;
      const pfn = firstPfn + i;
      const own = pages === undefined ? NO_PAGE : pages.at(vpn);
      if (own === NO_PAGE) {
        this.missing += 1;
        this.note({ pid, vpn, kind: 'missing', pfn, mapcount, machineMapcount: 0 });
        this.listener?.missing(pid, vpn, pfn);
        continue;
      }
      found += 1;
      this.listener?.present(pid, vpn, own, pfn);
      const machineMapcount = folioPrecisePageMapcount(kernel, memory.folioOf(own), own);
      const isSame = this.bijection.match(own, pfn);
      if (machineMapcount !== mapcount) {
        this.mapcountWrong += 1;
        this.note({ pid, vpn, kind: 'mapcount', pfn, mapcount, machineMapcount });
      } else if (!isSame) {
        this.sharersWrong += 1;
        this.note({ pid, vpn, kind: 'sharers', pfn, mapcount, machineMapcount });
      } else {
        this.agree += 1;
      }
    }
    return found;
  }

  /** One run of pages that the kernel has swapped out. */
  addSwapped(pid: number, mm: Mm | undefined, firstVpn: number, count: number): void {
    this.swapped += count;
    if (mm === undefined) return;
    const { pageTables } = this.kernel;
    for (let vpn = firstVpn; vpn < firstVpn + count; vpn += 1) {
      const entry = pageTables.findPte(mm.pgd, vpn);
      if (entry >= 0 && isSwapPte(pageTables.flags[entry] ?? 0)) {
        this.swappedAgree += 1;
        continue;
      }
      const page = anonymousPageAt(this.kernel, mm, vpn);
      if (page !== NO_PAGE) this.listener?.swapped(pid, vpn, page);
    }
  }

  addExtra(count: number): void {
    this.extra += count;
  }

  private note(mismatch: PageMismatch): void {
    if (this.examples.length < MOST_EXAMPLES) this.examples.push(mismatch);
  }
}

/** Hears of every anonymous page that the kernel lists. */
export interface ComparisonListener {
  /** The machine lacks it. */
  missing(pid: number, vpn: number, pfn: number): void;
  /** The machine has it as `page`. */
  present(pid: number, vpn: number, page: number, pfn: number): void;
  /** The kernel has swapped it out, the machine maps it as `page`. */
  swapped(pid: number, vpn: number, page: number): void;
}

/** Compares a machine with one snapshot after the other. */
export class SnapshotComparer {
  private readonly machine: Machine;
  private readonly bijection = new SnapshotBijection();

  constructor(machine: Machine) {
    this.machine = machine;
  }

  /**
   * Compares every anonymous page: present, mapcount, and that pages which are one page for the
   * kernel are one for the machine and the other way round (a bijection of pfns).
   * Processes of the snapshot that the machine does not have count as missing.
   */
  compare(snapshot: Snapshot, listener?: ComparisonListener): SnapshotComparison {
    const { kernel } = this.machine;
    this.bijection.begin(kernel.memory.pageCount);
    const tally = new Comparison(kernel, this.bijection, listener);
    walkSnapshot(kernel, snapshot, tally);
    return {
      name: snapshot.name,
      anonymousPages: tally.total,
      agree: tally.agree,
      missing: tally.missing,
      extra: tally.extra,
      mapcountWrong: tally.mapcountWrong,
      sharersWrong: tally.sharersWrong,
      swappedPages: tally.swapped,
      swappedAgree: tally.swappedAgree,
      examples: tally.examples,
    };
  }
}

function walkSnapshot(kernel: Kernel, snapshot: Snapshot, tally: Comparison): void {
  const { runs, vmas } = snapshot;
  let vmaIndex = 0;
  while (vmaIndex < vmas.length) {
    const pid = vmas[vmaIndex]?.pid ?? 0;
    const mm = kernel.processes.get(pid)?.mm;
    const pages = mm === undefined ? undefined : new AnonymousPages(kernel, mm);
    let found = 0;
    for (; vmaIndex < vmas.length && vmas[vmaIndex]?.pid === pid; vmaIndex += 1) {
      const vma = vmas[vmaIndex];
      if (vma === undefined) continue;
      for (let run = vma.runStart; run < vma.runEnd; run += 1) {
        const kind = runs.kind[run] ?? 0;
        if (kind === RUN.swap) {
          tally.addSwapped(pid, mm, runs.page[run] ?? 0, runs.count[run] ?? 0);
        }
        if (kind !== RUN.anon && kind !== RUN.huge && kind !== RUN.ksm) continue;
        const page = runs.page[run] ?? 0;
        const mapcount = runs.mapcount[run] ?? 0;
        const pfn = runs.pfn[run] ?? 0;
        found += tally.addRun(pid, pages, page, pfn, mapcount, runs.count[run] ?? 0);
      }
    }
    // The counter is exact (an invariant), so what was not found there is extra.
    if (mm !== undefined) tally.addExtra((mm.rss[MM_ANONPAGES] ?? 0) - found);
  }
}

/** Whether every page agrees. */
export function isExact(comparison: SnapshotComparison): boolean {
  return comparison.agree === comparison.anonymousPages && comparison.extra === 0;
}
