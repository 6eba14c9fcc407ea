import type { Kernel } from '../kernel.js';
import { folioMaybeMappedShared, isAnonFolio, isKsmFolio } from '../phys/folio.js';
import { PG_ANON_EXCLUSIVE, PG_HEAD, PG_HUGETLB, PG_ZERO } from '../phys/page_flags.js';
import {
  KIND_MARKER,
  KIND_MASK,
  KIND_SWAP,
  MARKER_GUARD,
  PTE_DIRTY,
  PTE_PRESENT,
  PTE_PROTNONE,
  PTE_SWP_EXCLUSIVE,
  PTE_UFFD_WP,
  PTE_WRITE,
  PTE_YOUNG,
  swapType,
} from '../pgtable/pte.js';
import type { Vma } from '../vm/vma.js';
import type { StateNames } from './canonical_state.js';
import { kpageFlagNames } from './page_flag_names.js';
import { pageAt, walkEntries } from './page_walk.js';
import { shownMapcount } from './smaps.js';
import type { MappedRun, StateRun, SwapRun } from './state_types.js';

/** Writable copies of the run types while a run grows. */
type Growing<T> = { -readonly [K in keyof T]: T[K] };

/** Collects the runs of equal pages of one VMA. */
export class PageRuns {
  private readonly kernel: Kernel;
  private readonly names: StateNames;
  private readonly vma: Vma;
  private readonly runs: StateRun[] = [];
  private last: Growing<StateRun> | undefined = undefined;

  constructor(kernel: Kernel, names: StateNames, vma: Vma) {
    this.kernel = kernel;
    this.names = names;
    this.vma = vma;
  }

  collect(): StateRun[] {
    const { kernel, names } = this;
    walkEntries(kernel, this.vma, (entry, vpn, count, level) => {
      const flags = kernel.pageTables.flags[entry];
      for (let i = 0; i < count; i += 1) {
        const at = vpn + i - names.regionStart;
        if ((flags & PTE_PRESENT) !== 0) this.addMapped(entry, flags, vpn + i, at, level);
        else this.addNonPresent(entry, flags, at);
      }
    });
    return this.runs;
  }

  private push(run: Growing<StateRun>): void {
    this.runs.push(run);
    this.last = run;
  }

  private addNonPresent(entry: number, flags: number, at: number): void {
    const payload = this.kernel.pageTables.payload[entry];
    const kind = flags & KIND_MASK;
    const { last } = this;
    if (kind === KIND_MARKER) {
      if ((payload & MARKER_GUARD) === 0) return;
      if (last?.k === 'guard' && last.at + last.n === at) last.n += 1;
      else this.push({ at, n: 1, k: 'guard' });
      return;
    }
    if (kind !== KIND_SWAP) return;
    const run: Growing<SwapRun> = {
      at,
      n: 1,
      k: 'swap',
      slot: this.names.slot(payload),
      level: 'pte',
      se: (flags & PTE_SWP_EXCLUSIVE) === 0 ? 0 : 1,
      type: swapType(payload),
    };
    const continues =
      last?.k === 'swap' &&
      last.at + last.n === at &&
      last.slot + last.n === run.slot &&
      last.se === run.se &&
      last.type === run.type;
    if (continues) last.n += 1;
    else this.push(run);
  }

  private addMapped(entry: number, flags: number, vpn: number, at: number, level: 1 | 2 | 3): void {
    const run = this.mappedRun(entry, flags, vpn, at, level);
    const { last } = this;
    if (last?.k === 'page' && last.at + last.n === at && continuesRun(last, run)) last.n += 1;
    else this.push(run);
  }

  private mappedRun(
    entry: number,
    flags: number,
    vpn: number,
    at: number,
    level: 1 | 2 | 3,
  ): Growing<MappedRun> {
    const { kernel } = this;
    const { memory } = kernel;
    const pfn = pageAt(kernel, entry, vpn, level);
    const head = memory.folioOf(pfn);
    const folioFlags = memory.flags[head];
    const isZero = (folioFlags & PG_ZERO) !== 0;
    const isLarge = (folioFlags & PG_HEAD) !== 0;
    const isHugetlb = (folioFlags & PG_HUGETLB) !== 0;
    const isAnon = isAnonFolio(kernel, head);
    const kc = isZero ? 0 : shownMapcount(kernel, head, pfn);
    const run: Growing<MappedRun> = {
      at,
      n: 1,
      k: 'page',
      folio: this.names.folio(head, this.vma),
      ...(isZero ? {} : { sub: pfn - head }),
      level: level === 1 ? 'pte' : level === 2 ? 'pmd' : 'pud',
      w: bit(flags, PTE_WRITE),
      d: bit(flags, PTE_DIRTY),
      y: bit(flags, PTE_YOUNG),
      ...((flags & PTE_PROTNONE) !== 0 ? { none: 1 } : {}),
      x: isZero ? 0 : this.pagemapExclusive(head, level, kc, isHugetlb),
    };
    if (isZero ? isLarge : !isAnon) run.file = 1;
    if ((flags & PTE_UFFD_WP) !== 0) run.uffd_wp = 1;
    if (!isZero) {
      if (isAnon) run.ae = this.anonExclusive(head, pfn);
      run.kc = kc;
      if (isLarge && !isHugetlb && kernel.profile.pageMapcount) run.pmc = memory.mapcount[pfn];
    }
    run.kf = kpageFlagNames(kernel, head, pfn).join(',');
    return run;
  }

  private anonExclusive(head: number, pfn: number): number {
    if (isKsmFolio(this.kernel, head)) return 0;
    return (this.kernel.memory.flags[pfn] & PG_ANON_EXCLUSIVE) === 0 ? 0 : 1;
  }

  /** Pagemap bit 56: mapped exactly once; below a PMD the folio's first page decides. */
  private pagemapExclusive(head: number, level: 1 | 2 | 3, kc: number, isHugetlb: boolean): number {
    const { kernel } = this;
    if (!kernel.profile.pageMapcount && !isHugetlb) {
      return folioMaybeMappedShared(kernel, head) ? 0 : 1;
    }
    const decisive = level === 2 && !isHugetlb ? shownMapcount(kernel, head, head) : kc;
    return decisive === 1 ? 1 : 0;
  }
}

function bit(flags: number, mask: number): number {
  return (flags & mask) === 0 ? 0 : 1;
}

function continuesRun(last: MappedRun, run: MappedRun): boolean {
  const hasNextSub =
    run.sub === undefined
      ? last.sub === undefined
      : last.sub !== undefined && last.sub + last.n === run.sub;
  return (
    hasNextSub &&
    last.folio === run.folio &&
    last.level === run.level &&
    last.w === run.w &&
    last.d === run.d &&
    last.y === run.y &&
    last.none === run.none &&
    last.x === run.x &&
    last.file === run.file &&
    last.uffd_wp === run.uffd_wp &&
    last.ae === run.ae &&
    last.kc === run.kc &&
    last.pmc === run.pmc &&
    last.kf === run.kf
  );
}
