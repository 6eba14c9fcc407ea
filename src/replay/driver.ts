import { NIL, PMD_ORDER, TASK_SIZE_PAGES } from '../base/units.js';
import type { Machine } from '../kernel/machine.js';
import type { Operation } from '../kernel/operation.js';
import { MM_ANONPAGES, type Mm } from '../kernel/vm/mm.js';
import { CLONE_FLAG, FAULT_ERROR, RSS_MEMBER, snapshotMark } from '../trace/event.js';
import type { Recording } from '../trace/recording.js';
import type { Snapshot, SnapshotLayout } from '../trace/snapshot.js';
import { attachSnapshot } from './attach.js';
import { operationsOfCall, pageOf } from './calls.js';
import { SnapshotComparer, type SnapshotComparison } from './compare.js';
import { noFindings } from './findings.js';
import { fillBlock } from './huge_blocks.js';
import { isPoolPage } from './huge_pools.js';
import { installImage, stackTop } from './image.js';
import type { ReplayMoment, ReplayObserver } from './observer.js';
import { PageEvents } from './page_events.js';
import { recordedKnobs } from './recorded_knobs.js';
import { ReplayFiles } from './replay_files.js';
import { RefusedFaults } from './refused_faults.js';
import { ReplayMachine, UNKNOWN_CONTENT } from './replay_machine.js';
import { withSmallPages } from './small_pages.js';
import { SnapshotSync } from './snapshot_sync.js';
import { ALLOC_IN, STEP, type StepQueue } from './steps.js';
import { TaskTable, type ReplayProcess } from './tasks.js';
import { UnplacedPages } from './unplaced_pages.js';

/** Applies steps to a machine. */
export class ReplayDriver {
  readonly machine: Machine;
  readonly tasks = new TaskTable();
  readonly findings = noFindings();
  readonly comparisons: SnapshotComparison[] = [];
  private readonly recording: Recording;
  private readonly files: ReplayFiles;
  private readonly observers: readonly ReplayObserver[];
  private readonly moment: ReplayMoment;
  /** All snapshots, in the order of the recording. */
  private readonly snapshots: ReadonlyMap<string, SnapshotLayout>;
  private readonly passed = new Set<string>();
  /** One object for all faults: they are most of a recording. */
  private readonly fault = { op: 'fault' as const, p: 0, at: 0, write: 0 };
  /** The recording tells of pages that faults get. */
  private hasAllocations = false;
  private copied = false;
  private reused = false;
  private lastFaultTid = -1;
  /** Where `lastFaultTid` had its fault. */
  private lastFaultMm: Mm | undefined = undefined;
  /** Threads in snapshots that are still to come. */
  private expectedTids: Set<number> | undefined = undefined;
  private readonly comparer: SnapshotComparer;
  private readonly pages: PageEvents;
  private readonly unplaced: UnplacedPages;
  private readonly refused: RefusedFaults;

  constructor(
    recording: Recording,
    machine: Machine,
    snapshots: ReadonlyMap<string, SnapshotLayout>,
    observers: readonly ReplayObserver[],
  ) {
    this.recording = recording;
    this.machine = machine;
    this.snapshots = snapshots;
    this.observers = observers;
    this.files = new ReplayFiles(machine);
    this.comparer = new SnapshotComparer(machine);
    this.pages = new PageEvents(machine, recording, this.findings);
    this.unplaced = new UnplacedPages(machine, this.pages.identity);
    this.refused = new RefusedFaults(machine);
    this.moment = {
      machine,
      tasks: this.tasks,
      timeNs: 0,
      tid: 0,
      process: undefined,
      instructionPointer: 0,
      isKernelFault: false,
      call: '',
    };
    machine.kernel.tracer = this.tracer();
    for (const observer of observers) observer.begin?.(this.moment);
  }

  /** Kernel events go to the driver's own oracle and to every observer. */
  private tracer(): NonNullable<Machine['kernel']['tracer']> {
    const taps = this.observers
      .map((observer) => observer.tracer)
      .filter((tap) => tap !== undefined);
    const zapTaps = taps.filter((tap) => tap.pageZapped !== undefined);
    return {
      pageCopied: (mm, vpn, oldPfn, newPfn, mapcount) => {
        this.copied = !isPoolPage(this.machine.kernel, newPfn);
        this.pages.noteCopy(oldPfn);
        for (const tap of taps) tap.pageCopied?.(mm, vpn, oldPfn, newPfn, mapcount);
      },
      pageReused: (mm, vpn, pfn) => {
        this.reused = true;
        for (const tap of taps) tap.pageReused?.(mm, vpn, pfn);
      },
      forked: (parent, child, entries) => {
        for (const tap of taps) tap.forked?.(parent, child, entries);
      },
      ...(zapTaps.length === 0
        ? {}
        : {
            pageZapped: (mm, vpn, pfn, mapcount) => {
              for (const tap of zapTaps) tap.pageZapped?.(mm, vpn, pfn, mapcount);
            },
          }),
    };
  }

  /** Applies the step in a slot of the queue. Returns the name of a snapshot that was reached. */
  apply(queue: StepQueue, slot: number): string | undefined {
    const tid = queue.tid[slot] ?? 0;
    const { moment } = this;
    moment.timeNs = queue.timeNs[slot] ?? 0;
    moment.tid = tid;
    const kind = queue.kind[slot] ?? 0;
    if (kind === STEP.fault) {
      this.applyFault(queue, slot, tid);
      return undefined;
    }
    moment.process = this.tasks.find(tid);
    moment.instructionPointer = 0;
    for (const observer of this.observers) observer.step?.(moment);
    if (kind === STEP.rss) {
      this.checkCounter(queue, slot, tid);
      return undefined;
    }
    this.lastFaultTid = -1;
    return this.applyRare(queue, slot, tid, kind);
  }

  private applyRare(queue: StepQueue, slot: number, tid: number, kind: number): string | undefined {
    const a = queue.a[slot] ?? 0;
    const b = queue.b[slot] ?? 0;
    switch (kind) {
      case STEP.call: {
        const call = queue.calls[slot];
        if (call === undefined) return undefined;
        const process = this.process(tid);
        if (process === undefined) return undefined;
        this.moment.call = call.name;
        if (queue.e[slot] === 1) this.pages.processes.learn(a, process.pid);
        this.files.note(process, call);
        const operations = operationsOfCall(process, call, this.files);
        for (const operation of operations) this.applyCall(tid, operation);
        this.moment.call = '';
        return undefined;
      }
      case STEP.newTask: {
        const parent = this.process(tid);
        if (parent !== undefined) this.newTask(parent, a, b, this.text(queue, slot));
        return undefined;
      }
      case STEP.prepareExec:
        // Whatever came before is gone now.
        if (tid > 0)
          this.exec(this.tasks.find(tid) ?? this.addRoot(tid), this.text(queue, slot), a);
        return undefined;
      case STEP.exec: {
        const process = this.tasks.find(tid);
        if (process !== undefined) this.tasks.execThread(process, tid);
        return undefined;
      }
      case STEP.exit:
        this.exit(a, b === 1);
        return undefined;
      case STEP.rename: {
        const process = this.tasks.find(a);
        if (process !== undefined && process.pid === a) process.comm = this.text(queue, slot);
        return undefined;
      }
      case STEP.alloc:
        if (queue.d[slot] === ALLOC_IN.fault) this.pages.moreInFault(tid, a);
        else if (this.tasks.find(tid) === undefined) this.pages.allocByDaemon(tid, a, b);
        else this.unplaced.allocated(tid, a, b, queue.d[slot] === ALLOC_IN.call);
        return undefined;
      case STEP.free:
        this.unplaced.freed(a);
        this.pages.free(tid, a, b, this.tasks.find(tid) !== undefined);
        return undefined;
      case STEP.gaveUp:
        this.pages.gaveUp(a, b);
        return undefined;
      case STEP.other:
        this.pages.other(queue, slot, tid, this.tasks.find(tid) !== undefined);
        return undefined;
      case STEP.mark: {
        const mark = snapshotMark(this.text(queue, slot));
        return mark === undefined || mark.ends ? undefined : mark.name;
      }
      default:
        return undefined;
    }
  }

  private text(queue: StepQueue, slot: number): string {
    return this.recording.strings.text(queue.text[slot] ?? -1);
  }

  /** The snapshot that a step marks the begin of, without applying anything. */
  markName(queue: StepQueue, slot: number): string | undefined {
    if (queue.kind[slot] !== STEP.mark) return undefined;
    this.moment.timeNs = queue.timeNs[slot] ?? 0;
    const mark = snapshotMark(this.text(queue, slot));
    return mark === undefined || mark.ends ? undefined : mark.name;
  }

  /** Compares with a snapshot, or starts from it if nothing is known yet. */
  reachSnapshot(snapshot: Snapshot): void {
    this.passed.add(snapshot.name);
    this.expectedTids = undefined;
    const { machine, tasks, files, pages, findings } = this;
    const target = { machine, tasks, files, pages, findings };
    const newcomers = attachSnapshot(target, snapshot, this.moment.timeNs);
    if (newcomers.length > 0) {
      for (const observer of this.observers) observer.attached?.(this.moment, newcomers);
    }
    const sync = new SnapshotSync(this.machine, this.pages, this.unplaced);
    const comparison = this.comparer.compare(snapshot, sync);
    this.comparisons.push(comparison);
    for (const observer of this.observers) observer.snapshot?.(this.moment, comparison);
    // Later snapshots start right.
    withSmallPages(machine, () => sync.apply());
  }

  end(): void {
    for (const observer of this.observers) observer.end?.(this.moment);
  }

  /**
   * The process of a thread; undefined while it is one that a snapshot will bring. A thread that
   * nothing else tells of has an address space of which nothing is known.
   */
  private process(tid: number): ReplayProcess | undefined {
    const known = this.tasks.find(tid);
    if (known !== undefined) return known;
    // Interrupts in an idle CPU belong to nobody.
    if (tid <= 0) return undefined;
    if (this.isExpected(tid)) {
      this.findings.eventsBeforeSnapshot += 1;
      return undefined;
    }
    if (!this.tasks.isEmpty) this.findings.processesUnknown += 1;
    return this.addRoot(tid);
  }

  private addRoot(tid: number): ReplayProcess {
    const living = this.tasks.ofPid(tid);
    if (living !== undefined) {
      // Its first thread was said to have ended.
      this.tasks.addThread(living, tid);
      return living;
    }
    this.machine.apply({ op: 'fork', p: 0, c: tid });
    const root = this.tasks.add(tid, undefined, '', this.moment.timeNs);
    this.moment.process = root;
    return root;
  }

  /** Whether a snapshot that is still to come shows the thread. */
  private isExpected(tid: number): boolean {
    let expected = this.expectedTids;
    if (expected === undefined) {
      expected = new Set<number>();
      for (const [name, snapshot] of this.snapshots) {
        if (this.passed.has(name)) continue;
        for (const process of snapshot.procs) for (const one of process.tids) expected.add(one);
      }
      this.expectedTids = expected;
    }
    return expected.has(tid);
  }

  private applyFault(queue: StepQueue, slot: number, tid: number): void {
    const vpn = pageOf(queue.a[slot] ?? 0);
    if (vpn >= TASK_SIZE_PAGES || vpn < 0) return;
    const { moment, fault } = this;
    const process = this.process(tid);
    if (process === undefined) return;
    const error = queue.b[slot] ?? 0;
    moment.process = process;
    moment.instructionPointer = queue.c[slot] ?? 0;
    moment.isKernelFault = (error & FAULT_ERROR.user) === 0;
    for (const observer of this.observers) observer.step?.(moment);
    const isWrite = (error & FAULT_ERROR.write) !== 0;
    fault.p = process.pid;
    fault.at = vpn;
    fault.write = isWrite ? 1 : 0;
    this.copied = false;
    this.reused = false;
    const pfn = queue.d[slot] ?? -1;
    const { kernel } = this.machine;
    const mm = kernel.processes.get(process.pid)?.mm;
    this.pages.beginFault(mm, vpn);
    const before = mm?.rss[MM_ANONPAGES] ?? 0;
    if (pfn !== -1) this.hasAllocations = true;
    // A write that gets no page finds one there, such as userfaultfd's: never a huge one.
    if (pfn !== -1 || (isWrite && this.hasAllocations)) kernel.givenOrder = queue.e[slot] ?? 0;
    let result = this.machine.apply(fault);
    // Without a page, then or before, it was refused there too: a signal.
    const hadPage = pfn !== -1 || (error & FAULT_ERROR.present) !== 0;
    const isWrong = result.ret !== 0 && isWrite && hadPage;
    if (isWrong && this.refused.mapUnknown(process.pid, vpn)) {
      this.findings.pagesInUnknownAreas += 1;
      result = this.machine.apply(fault);
    }
    if (kernel.givenOrder === PMD_ORDER) fillBlock(this.machine, process.pid, vpn);
    kernel.givenOrder = NIL;
    this.refused.forget(tid);
    if (result.ret !== 0) {
      this.findings.faultsRefused += 1;
      if (isWrite && pfn !== -1) this.refused.add(tid, process.pid, vpn);
    }
    this.lastFaultTid = tid;
    this.unplaced.faulted();
    this.lastFaultMm = mm;
    if (pfn !== -1 && mm !== undefined) {
      const order = queue.e[slot] ?? 0;
      const hasEffect = this.copied || this.reused || mm.rss[MM_ANONPAGES] !== before;
      this.pages.endFault(tid, mm, vpn, pfn, order, hasEffect);
    }
    if (isWrite && (error & FAULT_ERROR.present) !== 0) this.checkCopy(pfn !== -1);
  }

  private applyCall(tid: number, operation: Operation): void {
    const { machine } = this;
    machine.apply(operation);
    if (!('p' in operation)) return;
    const mm = machine.kernel.processes.get(operation.p)?.mm;
    if (mm === undefined) return;
    const from = 'at' in operation ? (operation.at ?? 0) : 0;
    const end = 'n' in operation ? from + operation.n : TASK_SIZE_PAGES;
    this.unplaced.callFills(tid, mm, from, end);
  }

  private checkCopy(wasAllocated: boolean): void {
    const { findings } = this;
    if (this.copied) {
      if (wasAllocated) findings.copiesAgree += 1;
      else findings.copiesTooMany += 1;
    } else if (this.reused) {
      if (wasAllocated) findings.copiesMissed += 1;
      else findings.reusesAgree += 1;
    }
  }

  /** The counter of anonymous pages right after a fault must be the machine's. */
  private checkCounter(queue: StepQueue, slot: number, tid: number): void {
    const isOwn = queue.b[slot] === 1;
    const member = queue.c[slot];
    if (member === RSS_MEMBER.swapEntries) this.pages.noteSwapEntries(queue, slot, tid);
    if (member !== RSS_MEMBER.anon) return;
    if (this.unplaced.counted(tid, isOwn, this.passed.size < this.snapshots.size)) {
      this.findings.pagesUnplaced += 1;
      return;
    }
    if (queue.e[slot] === 1 && this.refused.mapped(tid)) this.findings.faultsRefused -= 1;
    if (!isOwn || this.lastFaultTid !== tid) return;
    this.lastFaultTid = -1;
    const mm = this.lastFaultMm;
    if (mm === undefined) return;
    this.findings.countersChecked += 1;
    if (mm.rss[MM_ANONPAGES] === queue.d[slot]) this.findings.countersAgree += 1;
  }

  private newTask(parent: ReplayProcess, tid: number, cloneFlags: number, comm: string): void {
    if (tid <= 0 || tid === parent.pid) return;
    if ((cloneFlags & CLONE_FLAG.thread) !== 0) {
      this.tasks.addThread(parent, tid);
      return;
    }
    // Its exit was lost, and the number is used again.
    const old = this.tasks.ofPid(tid);
    if (old !== undefined) {
      this.tasks.end(old, this.moment.timeNs);
      this.endProcess(old);
    }
    const op = (cloneFlags & CLONE_FLAG.vm) === 0 ? 'fork' : 'clone_vm';
    this.machine.apply({ op, p: parent.pid, c: tid });
    const child = this.tasks.add(tid, parent, comm, this.moment.timeNs);
    for (const observer of this.observers) observer.forked?.(this.moment, child);
  }

  private exec(process: ReplayProcess, executable: string, argumentPages: number): void {
    this.machine.apply({ op: 'exec', p: process.pid });
    this.pages.forgetProcess(process.pid);
    process.executable = executable;
    process.execNs = this.moment.timeNs;
    process.hasHeap = false;
    process.segments.clear();
    // Most are closed by it, and no event tells which.
    process.files.clear();
    const coming = this.comingSnapshot(process.pid);
    if (coming !== undefined) installImage(this.machine, this.files, process, coming);
    const top = coming === undefined ? undefined : stackTop(coming, process.pid);
    if (top !== undefined && argumentPages > 0) {
      const at = top - argumentPages;
      const write = {
        op: 'mem_write',
        p: process.pid,
        at,
        n: argumentPages,
        v: UNKNOWN_CONTENT,
      } as const;
      withSmallPages(this.machine, () => this.machine.apply(write));
      const mm = this.machine.kernel.processes.get(process.pid)?.mm;
      if (mm !== undefined) this.unplaced.nameArguments(this.moment.tid, mm, top, argumentPages);
    }
    for (const observer of this.observers) observer.execed?.(this.moment);
  }

  /** The next snapshot in which the process appears: it knows where the image lies. */
  private comingSnapshot(pid: number): SnapshotLayout | undefined {
    for (const [name, snapshot] of this.snapshots) {
      if (this.passed.has(name)) continue;
      if (snapshot.procs.some((process) => process.pid === pid)) return snapshot;
    }
    return undefined;
  }

  private exit(tid: number, isLast: boolean): void {
    const process = this.tasks.find(tid);
    this.pages.forgetThread(tid);
    this.unplaced.forgetThread(tid);
    if (process === undefined) return;
    if (isLast || process.threads.size === 1) {
      for (const observer of this.observers) observer.exiting?.(this.moment, process);
    }
    const ended = this.tasks.exitThread(tid, this.moment.timeNs, isLast);
    if (ended !== undefined) this.endProcess(ended);
  }

  private endProcess(process: ReplayProcess): void {
    this.machine.apply({ op: 'exit', p: process.pid });
    this.pages.forgetProcess(process.pid);
  }
}

/** A machine that has room for what recordings of one host hold. */
export function replayMachine(recording: Recording, memoryPages: number): Machine {
  const machine = new ReplayMachine(memoryPages);
  for (const [key, value] of recordedKnobs(recording.info)) {
    machine.apply({ op: 'config', key, value });
  }
  return machine;
}
