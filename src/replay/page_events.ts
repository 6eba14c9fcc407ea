import { PMD_ORDER } from '../base/units.js';
import type { Machine } from '../kernel/machine.js';
import { isSwapPte } from '../kernel/swap/swap_pte.js';
import type { Mm } from '../kernel/vm/mm.js';
import { isInternedWord, wordRow } from '../trace/event.js';
import type { Recording } from '../trace/recording.js';
import type { Findings } from './findings.js';
import { anonymousPageAt, NO_PAGE } from './mapped_page.js';
import { KsmMerges } from './ksm_merges.js';
import { MigrationEntries } from './migration_entries.js';
import { MmWords } from './mm_words.js';
import { PageIdentity, type PagePlace } from './page_identity.js';
import type { StepQueue } from './steps.js';

/** Pages of the swap area that the machine gets when the recording first swaps: 8 GiB. */
const SWAP_PAGES = 2 ** 21;
const SCAN_SUCCEEDED = 1;
/** Most frames that wait for a name, so that a damaged recording cannot fill memory. */
const MOST_ORDER = 18;
const MOST_RIVALS = 4096;

/** A fault of a thread that may allocate more pages. */
interface FaultedPage {
  mm: Mm;
  vpn: number;
  /** Allocations after the first. */
  more: number;
}

/** What a kernel thread is doing: it faults on nothing, so its events are all there is. */
interface DaemonState {
  /** It merges pages. */
  isKsmd: boolean;
  /** Huge page that khugepaged got, −1 for none, and where the machine maps a page it freed. */
  hugePfn: number;
  blockPlaces: readonly PagePlace[];
}

/**
 * What the kernel does to pages without any fault or call of the recorded program: swapping,
 * merging by ksmd, collapse by khugepaged, migration. The events name frames only; which page that
 * is follows from the allocations (recorder.md's "PFN → page").
 */
export class PageEvents {
  readonly identity: PageIdentity;
  /** The recording tells when frames are freed. */
  hasFrees = false;
  private readonly machine: Machine;
  private readonly recording: Recording;
  private readonly findings: Findings;
  /** Processes by their mm. */
  readonly processes = new MmWords();
  readonly ksm: KsmMerges;
  private readonly migration = new MigrationEntries();
  private readonly faults = new Map<number, FaultedPage>();
  private readonly daemons = new Map<number, DaemonState>();
  /** Frames that are unmapped and being written to swap, and where they were. */
  private readonly written = new Map<number, PagePlace>();
  private hasSwapEntries = false;
  /** The last value of the counter of swap entries, by mm id. */
  private readonly swapEntries = new Map<number, number>();
  /** Pages that come back from swap for threads whose counter has not told so yet. */
  private readonly swapIns = new Map<number, { readonly mm: Mm; readonly vpn: number }>();
  /** The present fault is at a swap entry. */
  private isSwapIn = false;
  private hasSwap = false;
  /** Frames of faults that the machine had no use for: another thread's fault was first. */
  private readonly rivals = new Set<number>();
  /** Machine page that the last fault copied, or `NO_PAGE`. */
  private copiedFrom = NO_PAGE;

  constructor(machine: Machine, recording: Recording, findings: Findings) {
    this.machine = machine;
    this.recording = recording;
    this.findings = findings;
    this.identity = new PageIdentity(machine.kernel);
    this.ksm = new KsmMerges(machine, this.identity, this.processes, findings);
  }

  /** A fault begins. */
  beginFault(mm: Mm | undefined, vpn: number): void {
    this.copiedFrom = NO_PAGE;
    this.isSwapIn = this.hasSwap && mm !== undefined && this.isSwappedOut(mm, vpn);
  }

  private isSwappedOut(mm: Mm, vpn: number): boolean {
    const { pageTables } = this.machine.kernel;
    const entry = pageTables.findPte(mm.pgd, vpn);
    return entry >= 0 && isSwapPte(pageTables.flags[entry] ?? 0);
  }

  /**
   * A snapshot begins. Whoever was stopped while a page came back from swap has not mapped it: the
   * counter of swap entries did not fall.
   */
  beginSnapshot(): void {
    for (const { mm, vpn } of this.swapIns.values()) {
      const { kernel } = this.machine;
      const isAlive = [...kernel.processes.values()].some((process) => process.mm === mm);
      const page = isAlive ? anonymousPageAt(kernel, mm, vpn) : NO_PAGE;
      const [place, ...others] = page === NO_PAGE ? [] : this.identity.placesOf(page);
      // Others that map it have got it in faults of their own.
      if (place !== undefined && others.length === 0) this.reclaimAt(place);
    }
    this.swapIns.clear();
  }

  /** The machine copies a page in the present fault. */
  noteCopy(oldPage: number): void {
    this.copiedFrom = oldPage;
  }

  /**
   * A fault of `tid` is over, in which a block of frames was allocated first; `hasEffect` if it
   * changed what the machine maps.
   */
  endFault(tid: number, mm: Mm, vpn: number, pfn: number, order: number, hasEffect: boolean): void {
    this.rememberFault(tid, mm, vpn);
    if (this.isSwapIn) this.swapIns.set(tid, { mm, vpn });
    if (!hasEffect) this.addRival(mm, vpn, pfn);
    else if (this.rivals.size > 0) this.rivals.delete(pfn);
    if (order > 0) {
      this.identity.bindBlock(mm, vpn, pfn, order);
      return;
    }
    // Of two allocations in one fault the first is the page that comes back from swap.
    const from = this.copiedFrom;
    if (from !== NO_PAGE && this.hasSwapEntries && this.isNameless(from)) {
      this.identity.bind(from, pfn);
      return;
    }
    this.bindPage(mm, vpn, pfn);
  }

  private addRival(mm: Mm, vpn: number, pfn: number): void {
    if (anonymousPageAt(this.machine.kernel, mm, vpn) === NO_PAGE) return;
    if (this.rivals.size >= MOST_RIVALS) this.rivals.clear();
    this.rivals.add(pfn);
  }

  /** A fault that got a block of frames where no page was has not mapped it. */
  gaveUp(pfn: number, order: number): void {
    const { identity } = this;
    const page = identity.find(pfn);
    if (page === NO_PAGE) return;
    if (this.rivals.delete(pfn)) {
      identity.unbind(page);
      return;
    }
    const [place, ...others] = identity.placesOf(page);
    if (place === undefined || others.length > 0) return;
    const { pid, vpn } = place;
    const n = 2 ** Math.min(order, PMD_ORDER);
    this.machine.apply({ op: 'madvise', p: pid, at: vpn, n, advice: 'dontneed_locked' });
  }

  /** Another allocation in the same fault; without swapping it is one of a file. */
  moreInFault(tid: number, pfn: number): void {
    if (!this.hasSwapEntries) return;
    const fault = this.faults.get(tid);
    if (fault === undefined) return;
    fault.more += 1;
    // More than a page and its copy: readahead, and which of the frames is which is not known.
    if (fault.more === 1) this.bindPage(fault.mm, fault.vpn, pfn);
    else this.unbindPage(fault.mm, fault.vpn);
  }

  /** The counter of swap entries of some address space has a value. */
  noteSwapEntries(queue: StepQueue, slot: number, tid: number): void {
    const mmId = queue.a[slot] ?? 0;
    const pages = queue.d[slot] ?? 0;
    if (pages > 0) this.hasSwapEntries = true;
    if (queue.b[slot] === 1 && pages < (this.swapEntries.get(mmId) ?? 0)) this.swapIns.delete(tid);
    this.swapEntries.set(mmId, pages);
  }

  /** An allocation by a thread that has no process: a kernel thread. */
  allocByDaemon(tid: number, pfn: number, order: number): void {
    if (order !== PMD_ORDER) return;
    const daemon = this.daemon(tid);
    daemon.hugePfn = pfn;
    daemon.blockPlaces = [];
  }

  /** Frames were freed; what the machine still maps of them, something has taken away. */
  free(tid: number, pfn: number, order: number, isProgram: boolean): void {
    this.hasFrees = true;
    const count = 2 ** Math.min(order, MOST_ORDER);
    const daemon = isProgram ? undefined : this.daemons.get(tid);
    for (let i = 0; i < count; i += 1) {
      const page = this.identity.find(pfn + i);
      if (page !== NO_PAGE) this.taken(page, daemon);
      else if (this.written.size > 0) this.dropWritten(pfn + i);
      if (this.written.size > 0) this.written.delete(pfn + i);
      this.identity.forget(pfn + i);
    }
  }

  private taken(page: number, daemon: DaemonState | undefined): void {
    const { identity } = this;
    if (daemon !== undefined && daemon.hugePfn !== NO_PAGE) {
      daemon.blockPlaces = identity.placesOf(page);
      return;
    }
    // Frames of foreign processes that moved unseen may be taken for known ones.
    if (daemon?.isKsmd === true) {
      if (!this.ksm.freed(page)) this.findings.freesUnexplained += 1;
      return;
    }
    if (!this.hasSwapEntries) {
      this.findings.freesUnexplained += 1;
      return;
    }
    const place = this.swapOut(page);
    // The second time the folio leaves the swap cache.
    if (place !== undefined) this.reclaimAt(place);
  }

  /** The page is in the swap cache only, and on its way to the disk. */
  private writeBegins(pfn: number): void {
    const page = this.identity.find(pfn);
    const place = page === NO_PAGE ? undefined : this.swapOut(page);
    if (place !== undefined) this.written.set(pfn, place);
  }

  /** The write has ended and the frame is free. */
  private dropWritten(pfn: number): void {
    const place = this.written.get(pfn);
    if (place === undefined) return;
    this.written.delete(pfn);
    const { kernel } = this.machine;
    const mm = kernel.processes.get(place.pid)?.mm;
    if (mm !== undefined && anonymousPageAt(kernel, mm, place.vpn) === NO_PAGE) {
      this.reclaimAt(place);
    }
  }

  /** Puts swap entries in the place of a page. Returns one such place. */
  private swapOut(page: number): PagePlace | undefined {
    const place = this.identity.placesOf(page)[0];
    if (place !== undefined) this.swapOutAt(place);
    return place;
  }

  /** The same for a page by its place. */
  swapOutAt(place: PagePlace): void {
    if (!this.hasSwap) this.machine.apply({ op: 'swapon', kind: 'file', n: SWAP_PAGES });
    this.hasSwap = true;
    this.reclaimAt(place);
    this.findings.pagesSwappedOut += 1;
  }

  private reclaimAt({ pid, vpn }: PagePlace): void {
    this.machine.apply({ op: 'swap_out', p: pid, at: vpn, n: 1 });
  }

  /** An event of the kernel that has no column of its own. */
  other(queue: StepQueue, slot: number, tid: number, isProgram: boolean): void {
    const name = this.recording.strings.text(queue.text[slot] ?? -1);
    const field = (wanted: string): number => this.cell(queue, slot, name, wanted);
    switch (name) {
      case 'ksm_merge_with_ksm_page':
        this.daemon(tid).isKsmd = true;
        if (field('err') === 0) this.ksm.merged(field('mm'), field('pfn'), field('ksm_page') === 0);
        return;
      case 'mm_collapse_huge_page':
        if (!isProgram) this.collapse(tid, field('mm'), field('status'));
        return;
      case 'mm_khugepaged_scan_pmd':
        if (!isProgram) this.scanned(tid, field('mm'), field('pfn'), field('status'));
        return;
      case 'mm_vmscan_write_folio':
        this.writeBegins(field('pfn'));
        return;
      case 'set_migration_pte':
        this.migration.set(field('addr'), this.word(field('pte')));
        return;
      case 'remove_migration_pte': {
        const moved = this.migration.remove(field('addr'), this.word(field('pte')));
        if (moved === undefined) return;
        const count = 2 ** Math.min(Math.max(field('order'), 0), PMD_ORDER);
        for (let i = 0; i < count; i += 1) this.identity.move(moved.from + i, moved.to + i);
        return;
      }
    }
  }

  /** A thread starts something else: later allocations are not of its last fault. */
  forgetThread(tid: number): void {
    this.faults.delete(tid);
    this.swapIns.delete(tid);
  }

  /** The process has ended or has another address space now. */
  forgetProcess(pid: number): void {
    this.processes.forget(pid);
    this.ksm.forget(pid);
  }

  private collapse(tid: number, mm: number, status: number): void {
    const daemon = this.daemon(tid);
    if (daemon.blockPlaces.length === 0) return;
    if (status === SCAN_SUCCEEDED) this.collapseBlock(daemon, mm, daemon.blockPlaces);
    daemon.blockPlaces = [];
    daemon.hugePfn = NO_PAGE;
  }

  /** Says where the block was if no free did: the frame may be one that stayed. */
  private scanned(tid: number, mm: number, pfn: number, status: number): void {
    const daemon = this.daemon(tid);
    const page = this.identity.find(pfn);
    if (status === SCAN_SUCCEEDED && daemon.hugePfn !== NO_PAGE && page !== NO_PAGE) {
      this.collapseBlock(daemon, mm, this.identity.placesOf(page));
    }
    daemon.hugePfn = NO_PAGE;
  }

  private collapseBlock(daemon: DaemonState, word: number, places: readonly PagePlace[]): void {
    const owner = this.processes.pidOf(word);
    const place = this.processes.isEmpty ? places[0] : places.find(({ pid }) => pid === owner);
    if (place === undefined) return;
    const { pid, vpn } = place;
    const count = 2 ** PMD_ORDER;
    const at = vpn - (vpn % count);
    const { ret } = this.machine.apply({
      op: 'madvise',
      p: pid,
      at,
      n: count,
      advice: 'collapse',
    });
    if (ret !== 0) return;
    this.findings.blocksCollapsed += 1;
    const mm = this.machine.kernel.processes.get(pid)?.mm;
    if (mm !== undefined) this.identity.bindBlock(mm, at, daemon.hugePfn, PMD_ORDER);
  }

  private bindPage(mm: Mm, vpn: number, pfn: number): void {
    const page = anonymousPageAt(this.machine.kernel, mm, vpn);
    if (page !== NO_PAGE) this.identity.bind(page, pfn);
  }

  private unbindPage(mm: Mm, vpn: number): void {
    const page = anonymousPageAt(this.machine.kernel, mm, vpn);
    if (page !== NO_PAGE) this.identity.unbind(page);
  }

  /** An anonymous page whose frame is not known. */
  private isNameless(page: number): boolean {
    const { memory } = this.machine.kernel;
    return page !== memory.zeroPfn && !this.identity.isKnown(page);
  }

  private rememberFault(tid: number, mm: Mm, vpn: number): void {
    const known = this.faults.get(tid);
    if (known === undefined) {
      this.faults.set(tid, { mm, vpn, more: 0 });
    } else {
      known.mm = mm;
      known.vpn = vpn;
      known.more = 0;
    }
  }

  private daemon(tid: number): DaemonState {
    let daemon = this.daemons.get(tid);
    if (daemon === undefined) {
      daemon = { isKsmd: false, hugePfn: NO_PAGE, blockPlaces: [] };
      this.daemons.set(tid, daemon);
    }
    return daemon;
  }

  /** Cell of a named field of an `other` event; 0 if the recording has none. */
  private cell(queue: StepQueue, slot: number, event: string, wanted: string): number {
    const fields = this.recording.fields.get(event) ?? [];
    const index = fields.findIndex(({ name }) => name === wanted);
    const { a, b, c, d, e, f } = queue;
    return [a, b, c, d, e, f][index]?.[slot] ?? 0;
  }

  private word(cell: number): bigint {
    if (isInternedWord(cell)) return this.recording.words.word(wordRow(cell));
    return BigInt.asUintN(64, BigInt(cell));
  }
}
