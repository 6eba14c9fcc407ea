import type { Machine } from '../kernel/machine.js';
import { RUN, type Snapshot, type SnapshotProcess } from '../trace/snapshot.js';
import { mapImageVma } from './image.js';
import type { ReplayFiles } from './replay_files.js';
import type { ReplayProcess, TaskTable } from './tasks.js';

/** Anonymous pages of one process: page → kernel pfn, in ascending order. */
type PageMap = Map<number, number>;

/**
 * Brings a machine into the state of a snapshot by operations alone: an ancestor writes the pages
 * that it or a later sibling still shares, forks, and every process then writes the pages that are
 * its own. Pages shared by processes without a common ancestor in the snapshot stay apart.
 */
export function attachSnapshot(
  machine: Machine,
  tasks: TaskTable,
  files: ReplayFiles,
  snapshot: Snapshot,
  timeNs: number,
): void {
  const pages = new Map<number, PageMap>();
  for (const process of snapshot.procs) pages.set(process.pid, new Map());
  for (const vma of snapshot.vmas) {
    const own = pages.get(vma.pid);
    if (own === undefined) continue;
    const { runs } = snapshot;
    for (let run = vma.runStart; run < vma.runEnd; run += 1) {
      const kind = runs.kind[run];
      if (kind !== RUN.anon && kind !== RUN.huge && kind !== RUN.ksm) continue;
      for (let i = 0; i < (runs.count[run] ?? 0); i += 1) {
        own.set((runs.page[run] ?? 0) + i, (runs.pfn[run] ?? 0) + i);
      }
    }
  }
  const pids = new Set(snapshot.procs.map((process) => process.pid));
  const builder = new Builder(machine, tasks, files, snapshot, pages, timeNs);
  for (const process of snapshot.procs) {
    if (!pids.has(process.ppid)) builder.build(process, undefined);
  }
}

class Builder {
  private readonly machine: Machine;
  private readonly tasks: TaskTable;
  private readonly files: ReplayFiles;
  private readonly snapshot: Snapshot;
  private readonly pages: ReadonlyMap<number, PageMap>;
  private readonly timeNs: number;

  constructor(
    machine: Machine,
    tasks: TaskTable,
    files: ReplayFiles,
    snapshot: Snapshot,
    pages: ReadonlyMap<number, PageMap>,
    timeNs: number,
  ) {
    this.machine = machine;
    this.tasks = tasks;
    this.files = files;
    this.snapshot = snapshot;
    this.pages = pages;
    this.timeNs = timeNs;
  }

  build(process: SnapshotProcess, parent: ReplayProcess | undefined): void {
    const { pid } = process;
    this.machine.apply({ op: 'fork', p: parent?.pid ?? 0, c: pid });
    const task = this.tasks.add(pid, parent, process.comm, this.timeNs);
    for (const tid of process.tids) if (tid !== pid) this.tasks.addThread(task, tid);
    this.shape(process, task);
    const own = this.pages.get(pid) ?? new Map<number, number>();
    const children = this.snapshot.procs.filter((other) => other.ppid === pid);
    // What a descendant shares with this process or with another descendant is written first.
    const shared = this.sharedBelow(children, own);
    for (const vpn of shared) this.write(pid, vpn);
    for (const child of children) this.build(child, task);
    for (const [vpn, pfn] of own) {
      const isInherited = parent !== undefined && this.pages.get(parent.pid)?.get(vpn) === pfn;
      if (!shared.has(vpn) && !isInherited) this.write(pid, vpn);
      else if (shared.has(vpn) && !this.isSharedWithChild(children, vpn, pfn)) this.write(pid, vpn);
    }
  }

  /** VMAs and heap as the snapshot shows them; a child drops what it did not keep. */
  private shape(process: SnapshotProcess, task: ReplayProcess): void {
    const { pid } = process;
    const inherited = this.machine.kernel.processes.get(pid)?.mm;
    if (inherited !== undefined && inherited.vmas.length > 0) return;
    for (const vma of this.snapshot.vmas) {
      if (vma.pid === pid) mapImageVma(this.machine, this.files, pid, vma);
    }
    const heap = this.snapshot.vmas.find((vma) => vma.pid === pid && vma.name === '[heap]');
    if (heap !== undefined) {
      this.machine.apply({ op: 'brk_at', p: pid, at: heap.startPage });
      this.machine.apply({ op: 'brk', p: pid, at: heap.endPage });
      task.hasHeap = true;
    }
  }

  private sharedBelow(children: readonly SnapshotProcess[], own: PageMap): Set<number> {
    const shared = new Set<number>();
    const seen = new Map<number, number>();
    for (const child of children) {
      for (const [vpn, pfn] of this.pages.get(child.pid) ?? []) {
        if (own.get(vpn) === pfn || seen.get(vpn) === pfn) shared.add(vpn);
        seen.set(vpn, pfn);
      }
    }
    return shared;
  }

  private isSharedWithChild(
    children: readonly SnapshotProcess[],
    vpn: number,
    pfn: number,
  ): boolean {
    return children.some((child) => this.pages.get(child.pid)?.get(vpn) === pfn);
  }

  private write(p: number, at: number): void {
    this.machine.apply({ op: 'mem_write', p, at, n: 1, v: 0 });
  }
}
