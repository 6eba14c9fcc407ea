import type { Kernel } from '../kernel/kernel.js';
import type { Machine } from '../kernel/machine.js';
import { folioPrecisePageMapcount } from '../kernel/phys/folio.js';
import { isSwapPte } from '../kernel/swap/swap_pte.js';
import { MM_ANONPAGES, type Mm } from '../kernel/vm/mm.js';
import { RUN, type Snapshot } from '../trace/snapshot.js';
import { anonymousHugetlbPages } from './huge_pools.js';
import { anonymousPageAt, AnonymousPages, NO_PAGE } from './mapped_page.js';

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

/** Whether one page of the kernel is one page of the machine throughout a snapshot. */
class SnapshotBijection {
  private readonly frameOf = new Map<number, number>();
  private readonly pageOf = new Map<number, number>();

  /** Pairs a page with a frame. Returns whether neither is paired with another. */
  match(page: number, pfn: number): boolean {
    const frame = this.frameOf.get(page);
    if (frame !== undefined) return frame === pfn;
    if (this.pageOf.has(pfn)) return false;
    this.frameOf.set(page, pfn);
    this.pageOf.set(pfn, page);
    return true;
  }
}

/** Pages that are compared at a time: what they need stays in the cache from loop to loop. */
const BLOCK_PAGES = 256;

/** Pages of one process as the kernel lists them, and what the machine has there. */
class PageBlock implements ListedPages {
  pid = 0;
  length = 0;
  readonly vpn = new Float64Array(BLOCK_PAGES);
  readonly pfn = new Float64Array(BLOCK_PAGES);
  readonly mapcount = new Uint32Array(BLOCK_PAGES);
  readonly page = new Int32Array(BLOCK_PAGES);
  readonly machineMapcount = new Int32Array(BLOCK_PAGES);
}

/**
 * Counts and pairs pages while a snapshot is walked. Either a listener hears of them and says
 * whether they pair, or `bijection` tells which ones do not.
 */
class Comparison {
  /** Whether each page is listed with one frame only, as far as the listener says. */
  isOneToOne = true;
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
  private readonly bijection: SnapshotBijection | undefined;
  private readonly listener: ComparisonListener | undefined;
  private readonly block = new PageBlock();
  private pages: AnonymousPages | undefined = undefined;
  /** Listed pages of the process that the machine has. */
  private found = 0;

  constructor(kernel: Kernel, listener: ComparisonListener | undefined) {
    this.kernel = kernel;
    this.bijection = listener === undefined ? new SnapshotBijection() : undefined;
    this.listener = listener;
  }

  /** The runs that follow are of this process. */
  beginProcess(pid: number, mm: Mm | undefined): void {
    this.block.pid = pid;
    this.pages = mm === undefined ? undefined : new AnonymousPages(this.kernel, mm);
    this.found = 0;
  }

  /** Returns how many of the listed pages of the process the machine has. */
  endProcess(): number {
    this.compareBlock();
    return this.found;
  }

  /** One run of consecutive pages and pfns of the process. */
  addRun(firstVpn: number, firstPfn: number, mapcount: number, count: number): void {
    const { block } = this;
    this.total += count;
    for (let i = 0; i < count; i += 1) {
      if (block.length === BLOCK_PAGES) this.compareBlock();
      const at = block.length;
      block.vpn[at] = firstVpn + i;
      block.pfn[at] = firstPfn + i;
      block.mapcount[at] = mapcount;
      block.length = at + 1;
    }
  }

  /** In short loops, so that loads from rows that lie far apart overlap. */
  private compareBlock(): void {
    const { block, kernel, listener } = this;
    const { memory } = kernel;
    const { length, page, machineMapcount } = block;
    block.length = 0;
    if (this.pages === undefined) page.fill(NO_PAGE, 0, length);
    else this.pages.lookUp(block.vpn, length, page);
    for (let i = 0; i < length; i += 1) {
      const own = page[i] ?? NO_PAGE;
      if (own === NO_PAGE) continue;
      machineMapcount[i] = folioPrecisePageMapcount(kernel, memory.folioOf(own), own);
    }
    if (listener !== undefined) this.tell(listener, length);
    for (let i = 0; i < length; i += 1) this.compareRow(i);
  }

  private tell(listener: ComparisonListener, length: number): void {
    const { block } = this;
    for (let i = 0; i < length; i += 1) {
      if (block.page[i] === NO_PAGE) listener.missing(block, i);
      else if (!listener.present(block, i)) this.isOneToOne = false;
    }
  }

  private compareRow(row: number): void {
    const { block } = this;
    const own = block.page[row] ?? NO_PAGE;
    if (own === NO_PAGE) {
      this.missing += 1;
      this.note('missing', row, 0);
      return;
    }
    this.found += 1;
    const isSame = this.bijection?.match(own, block.pfn[row] ?? 0) ?? true;
    const machineMapcount = block.machineMapcount[row] ?? 0;
    if (machineMapcount !== block.mapcount[row]) {
      this.mapcountWrong += 1;
      this.note('mapcount', row, machineMapcount);
    } else if (!isSame) {
      this.sharersWrong += 1;
      this.note('sharers', row, machineMapcount);
    } else {
      this.agree += 1;
    }
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

  private note(kind: PageMismatch['kind'], row: number, machineMapcount: number): void {
    if (this.examples.length >= MOST_EXAMPLES) return;
    const { block } = this;
    const { pid } = block;
    const vpn = block.vpn[row] ?? 0;
    const pfn = block.pfn[row] ?? 0;
    const mapcount = block.mapcount[row] ?? 0;
    this.examples.push({ pid, vpn, kind, pfn, mapcount, machineMapcount });
  }
}

/**
 * Anonymous pages of one process that the kernel lists, as columns: a number of 36 bits would be an
 * object of its own in every call.
 */
export interface ListedPages {
  readonly pid: number;
  readonly vpn: Float64Array;
  readonly pfn: Float64Array;
  /** The machine's page, `NO_PAGE` for none. */
  readonly page: Int32Array;
}

/** Hears of every anonymous page that the kernel lists, by its row. */
export interface ComparisonListener {
  /** The machine lacks it. */
  missing(pages: ListedPages, row: number): void;
  /**
   * The machine has it. Returns whether its page was not listed with another frame before in the
   * snapshot; false also if that is not known.
   */
  present(pages: ListedPages, row: number): boolean;
  /** All were told of. Returns whether no frame was listed with two pages. */
  areApart(): boolean;
  /** The kernel has swapped it out, the machine maps it as `page`. */
  swapped(pid: number, vpn: number, page: number): void;
}

/** Compares a machine with one snapshot after the other. */
export class SnapshotComparer {
  private readonly machine: Machine;

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
    let tally = new Comparison(kernel, listener);
    walkSnapshot(kernel, snapshot, tally);
    if (listener !== undefined && !(tally.isOneToOne && listener.areApart())) {
      // Rare, so that looking for the pages at fault may cost more.
      tally = new Comparison(kernel, undefined);
      walkSnapshot(kernel, snapshot, tally);
    }
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
    tally.beginProcess(pid, mm);
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
        tally.addRun(page, pfn, mapcount, runs.count[run] ?? 0);
      }
    }
    const found = tally.endProcess();
    if (mm === undefined) continue;
    // The counter is exact (an invariant), so what was not found there is extra.
    const counted = (mm.rss[MM_ANONPAGES] ?? 0) + anonymousHugetlbPages(kernel, mm);
    tally.addExtra(counted - found);
  }
}

/** Whether every page agrees. */
export function isExact({
  agree,
  anonymousPages,
  extra,
}: Pick<SnapshotComparison, 'agree' | 'anonymousPages' | 'extra'>): boolean {
  return agree === anonymousPages && extra === 0;
}
