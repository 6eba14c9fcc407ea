import type { Kernel } from '../../kernel/kernel.js';
import { folioPrecisePageMapcount } from '../../kernel/phys/folio.js';
import type { Tracer } from '../../kernel/tracer.js';
import { findVma, type Mm } from '../../kernel/vm/mm.js';
import type { AttachedProcess, ReplayMoment, ReplayObserver } from '../../replay/observer.js';
import type { ReplayProcess } from '../../replay/tasks.js';
import { BreakLog } from './break_log.js';
import { FATE, ForkLedger, type Fate } from './fork_ledger.js';
import { Image, type SnapshotNames } from './images.js';
import type { Modules } from './modules.js';
import { anonymousPage, walkAnonymousPages } from './page_tables.js';
import { Regions } from './regions.js';
import { memoryOf, Sampler, sharedSums } from './sampler.js';
import { SharerSets } from './sharer_sets.js';
import type { Space } from './space.js';

/** Instruction and region of a copy. */
export interface BreakSource {
  readonly image: Image;
  readonly pid: number;
  readonly instruction: number;
  readonly isKernel: boolean;
  /** System call that wrote, if no instruction did. */
  readonly call: string;
  readonly region: number;
  /** Index of the snapshot that came next. */
  readonly near: number;
}

export interface Window {
  readonly fromNs: number;
  readonly toNs: number;
}

/** Pages that lost their sharing because the child, or the parent, did something. */
type Loss = 'write' | 'discard' | 'exec' | 'exit';

const CHILD_FATE: Readonly<Record<Loss, Fate>> = {
  write: FATE.childWrote,
  discard: FATE.childDiscarded,
  exec: FATE.childExec,
  exit: FATE.childExit,
};
const PARENT_FATE: Readonly<Record<Loss, Fate>> = {
  write: FATE.parentWrote,
  discard: FATE.parentDiscarded,
  exec: FATE.parentExec,
  exit: FATE.parentExit,
};

/**
 * Watches a replay and keeps account of sharing: who shares each page, which forks' pages are
 * still in common, and which instruction ended it. Work is proportional to events and to pages
 * that forks copy.
 */
export class Collector implements ReplayObserver {
  readonly spaces: Space[] = [];
  readonly forks: ForkLedger[] = [];
  readonly breaks = new BreakLog();
  readonly sources: BreakSource[] = [];
  readonly regions: Regions;
  readonly tracer: Tracer;
  sampler: Sampler;
  /** Time of the last event in the window. */
  lastNs = 0;
  /** Time of the last event at all. */
  durationNs = 0;
  private readonly window: Window;
  private kernel: Kernel | undefined;
  private moment: ReplayMoment | undefined;
  private sets = new SharerSets(0);
  private readonly spaceOfMm = new Map<Mm, Space>();
  private readonly sourceRows = new Map<number, Map<number, number>>();
  private exitingPid = -1;
  private snapshotsPassed = 0;
  private hasBegun = false;
  private hasEnded = false;
  private isAttaching = false;

  constructor(names: SnapshotNames, modules: Modules, window: Window) {
    this.window = window;
    this.regions = new Regions(names, modules);
    this.sampler = new Sampler(window.fromNs);
    this.tracer = {
      pageCopied: (mm, vpn, oldPfn) => this.copied(mm, vpn, oldPfn),
      pageZapped: (mm, vpn, pfn) => this.zapped(mm, vpn, pfn),
      forked: (parent, child, entries) => this.forkedMm(parent, child, entries),
    };
  }

  get windowFromNs(): number {
    return this.window.fromNs;
  }

  begin(moment: ReplayMoment): void {
    this.moment = moment;
    this.kernel = moment.machine.kernel;
    this.sets = new SharerSets(moment.machine.kernel.memory.pageCount);
  }

  step(moment: ReplayMoment): void {
    const { timeNs } = moment;
    this.exitingPid = -1;
    this.isAttaching = false;
    if (timeNs > this.durationNs) this.durationNs = timeNs;
    if (this.hasEnded) return;
    if (!this.hasBegun && timeNs >= this.window.fromNs) this.beginWindow();
    if (timeNs > this.window.toNs) {
      this.finish(this.window.toNs);
      return;
    }
    if (!this.hasBegun) return;
    if (timeNs > this.lastNs) this.lastNs = timeNs;
    if (timeNs >= this.sampler.nextNs) {
      this.sampler.take(timeNs, this.spaces, this.forks, this.sets);
    }
  }

  attached(_moment: ReplayMoment, newcomers: readonly AttachedProcess[]): void {
    const { processes } = this.kernel ?? {};
    if (processes === undefined || this.hasEnded) return;
    this.isAttaching = true;
    for (const { process, source } of newcomers) {
      const mm = processes.get(process.pid)?.mm;
      if (mm === undefined) continue;
      const sourceMm = source === undefined ? undefined : processes.get(source.pid)?.mm;
      if (sourceMm !== undefined) this.forkedMm(sourceMm, mm, 0);
      else this.addSpace(mm, mm.id, -1, new Image(this.nextImageId(), process.executable));
      const space = this.spaceOfMm.get(mm);
      if (space !== undefined) space.comm = process.comm;
    }
  }

  forked(_moment: ReplayMoment, child: ReplayProcess): void {
    const space = this.current(child.pid);
    if (space !== undefined && space.pid === child.pid) space.comm = child.comm;
  }

  execed(moment: ReplayMoment): void {
    const { process } = moment;
    if (process === undefined || this.hasEnded) return;
    for (const space of this.spaces) {
      if (space.isAlive && space.pid === process.pid && space.mm.dead) {
        this.close(space, 'exec', moment.timeNs);
      }
    }
    const mm = this.kernel?.processes.get(process.pid)?.mm;
    if (mm === undefined) return;
    const before = this.spaces.findLast((space) => space.pid === process.pid);
    before?.image.leave(process.pid, this.snapshotsPassed);
    const image = new Image(this.nextImageId(), process.executable);
    this.addSpace(mm, process.pid, -1, image).comm = process.comm;
  }

  exiting(moment: ReplayMoment, process: ReplayProcess): void {
    this.exitingPid = process.pid;
    const space = this.current(process.pid);
    if (this.hasEnded || space === undefined || space.mm.users > 1) return;
    space.comm = process.comm;
    this.measure(space);
    this.close(space, 'exit', moment.timeNs);
  }

  snapshot(): void {
    this.snapshotsPassed += 1;
    if (!this.isAttaching) return;
    // The replay began with this snapshot: what was written to build it is no event.
    this.isAttaching = false;
    for (const fork of this.forks) fork.rebase();
    this.breaks.length = 0;
    for (const space of this.spaces) space.copiedPages = 0;
  }

  end(): void {
    if (!this.hasBegun) this.beginWindow();
    if (!this.hasEnded) this.finish(Math.min(this.window.toNs, this.durationNs));
  }

  private beginWindow(): void {
    this.hasBegun = true;
    this.lastNs = this.window.fromNs;
    for (const fork of this.forks) fork.rebase();
    for (const space of this.spaces) space.copiedPages = 0;
  }

  private copied(mm: Mm, vpn: number, oldPfn: number): void {
    if (this.sets.sharersOf(oldPfn) === 0 || this.hasEnded) return;
    const space = this.spaceOfMm.get(mm);
    const { moment } = this;
    if (space === undefined || moment === undefined) return;
    const sharers = this.sets.leave(oldPfn, space.id);
    const byParent = !this.lose(space, vpn, 'write', moment.timeNs);
    if (sharers < 2 || !this.hasBegun) return;
    space.copiedPages += 1;
    this.breaks.push(moment.timeNs, vpn, space.id, this.sourceRow(moment, space, vpn), byParent);
  }

  private zapped(mm: Mm, vpn: number, pfn: number): void {
    if (this.sets.sharersOf(pfn) === 0 || this.hasEnded) return;
    const space = this.spaceOfMm.get(mm);
    const { moment } = this;
    if (space === undefined || moment === undefined) return;
    let loss: Loss = 'discard';
    if (this.exitingPid !== -1) loss = 'exit';
    else if (moment.call === '' && moment.instructionPointer === 0) loss = 'exec';
    if (loss === 'exec' && space.isAlive && space.end === 'running') {
      this.measure(space);
      space.end = 'exec';
    }
    this.sets.leave(pfn, space.id);
    this.lose(space, vpn, loss, moment.timeNs);
  }

  /** Ends what a page had in common with others; whether that was with its parent. */
  private lose(space: Space, vpn: number, loss: Loss, timeNs: number): boolean {
    const asChild = space.birth?.end(vpn, CHILD_FATE[loss], timeNs) ?? false;
    const fate = PARENT_FATE[loss];
    for (const fork of space.forks) fork.end(vpn, fate, timeNs);
    return asChild;
  }

  private forkedMm(parentMm: Mm, childMm: Mm, copiedEntries: number): void {
    const { kernel, moment } = this;
    if (kernel === undefined || moment === undefined || this.hasEnded) return;
    const parent = this.spaceOfMm.get(parentMm);
    if (parent === undefined) {
      this.addSpace(childMm, childMm.id, -1, new Image(this.nextImageId(), ''));
      return;
    }
    const child = this.addSpace(childMm, childMm.id, parent.id, parent.image);
    child.comm = parent.comm;
    const fork = new ForkLedger(parent.id, child.id, moment.timeNs, copiedEntries);
    const { memory } = kernel;
    const { sets } = this;
    for (const vma of childMm.vmas) {
      if (vma.anonVma === undefined) continue;
      const region = this.regions.of(vma, child.image, child.pid, this.snapshotsPassed).id;
      fork.areas.push({ region, start: vma.start, end: vma.end });
      walkAnonymousPages(kernel, vma, {
        page: (vpn, pfn, isHuge) => {
          if (folioPrecisePageMapcount(kernel, memory.folioOf(pfn), pfn) < 2) return;
          if (this.isAttaching && anonymousPage(kernel, parentMm, vpn) !== pfn) return;
          sets.share(pfn, parent.id, child.id);
          fork.begin(vpn);
          if (isHuge) fork.hugePages += 1;
        },
      });
    }
    child.birth = fork;
    // Those whose child has gone have nothing to lose: a server forks without end.
    parent.forks = parent.forks.filter((older) => {
      const isShared = (older.counts[FATE.shared] ?? 0) > 0;
      if (!isShared) older.seal();
      return isShared;
    });
    parent.forks.push(fork);
    this.forks.push(fork);
  }

  private sourceRow(moment: ReplayMoment, space: Space, vpn: number): number {
    const vma = findVma(space.mm, vpn);
    const region =
      vma === undefined
        ? -1
        : this.regions.of(vma, space.image, space.pid, this.snapshotsPassed).id;
    const group = (region + 1) * 2 ** 20 + space.id;
    let rows = this.sourceRows.get(group);
    if (rows === undefined) {
      rows = new Map();
      this.sourceRows.set(group, rows);
    }
    const { instructionPointer: instruction } = moment;
    const known = rows.get(instruction);
    if (known !== undefined) return known;
    const row = this.sources.length;
    rows.set(instruction, row);
    this.sources.push({
      image: space.image,
      pid: space.pid,
      instruction,
      isKernel: instruction !== 0 && moment.isKernelFault,
      call: moment.call,
      region,
      near: this.snapshotsPassed,
    });
    return row;
  }

  private addSpace(mm: Mm, pid: number, parent: number, image: Image): Space {
    const space: Space = {
      id: this.spaces.length,
      mm,
      pid,
      parent,
      image,
      comm: '',
      startNs: this.moment?.timeNs ?? 0,
      endNs: -1,
      end: 'running',
      isAlive: true,
      birth: undefined,
      forks: [],
      copiedPages: 0,
      rssBytes: 0,
      pssBytes: 0,
      ussBytes: 0,
      mostUssBytes: 0,
      zeroPages: 0,
    };
    image.enter(pid, this.snapshotsPassed);
    this.spaces.push(space);
    this.spaceOfMm.set(mm, space);
    return space;
  }

  private nextImageId(): number {
    return this.spaces.length;
  }

  private current(pid: number): Space | undefined {
    const mm = this.kernel?.processes.get(pid)?.mm;
    return mm === undefined ? undefined : this.spaceOfMm.get(mm);
  }

  private measure(space: Space): void {
    Object.assign(space, memoryOf(space, sharedSums(this.spaces.length, this.sets)));
  }

  private close(space: Space, end: 'exit' | 'exec', timeNs: number): void {
    space.end = end;
    space.isAlive = false;
    space.endNs = timeNs;
  }

  /** Settles the accounts at the end of the window. */
  private finish(atNs: number): void {
    this.hasEnded = true;
    this.lastNs = Math.max(this.window.fromNs, atNs);
    const { kernel, moment } = this;
    if (kernel === undefined || moment === undefined) return;
    for (const fork of this.forks) this.settle(kernel, fork);
    this.sampler.last(this.lastNs, this.spaces, this.forks, this.sets);
    const sums = sharedSums(this.spaces.length, this.sets);
    for (const space of this.spaces) {
      if (!space.isAlive) continue;
      const process = moment.tasks.ofPid(space.pid);
      if (process !== undefined) space.comm = process.comm;
      Object.assign(space, memoryOf(space, sums));
      for (const vma of space.mm.vmas) {
        walkAnonymousPages(kernel, vma, {
          page() {},
          zero: (count) => {
            space.zeroPages += count;
          },
        });
      }
    }
  }

  /** What is still in common is read from the page tables: moved or merged pages are not. */
  private settle(kernel: Kernel, fork: ForkLedger): void {
    if ((fork.counts[FATE.shared] ?? 0) === 0) return;
    const parent = this.spaces[fork.parent];
    const child = this.spaces[fork.child];
    if (parent === undefined || child === undefined) return;
    const moved: number[] = [];
    fork.forEachPage((vpn, fate) => {
      if (fate !== FATE.shared) return;
      const pfn = anonymousPage(kernel, parent.mm, vpn);
      if (pfn === -1 || pfn !== anonymousPage(kernel, child.mm, vpn)) moved.push(vpn);
    });
    for (const vpn of moved) fork.end(vpn, FATE.other, this.lastNs);
  }
}
