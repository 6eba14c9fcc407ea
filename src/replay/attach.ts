import type { Machine } from '../kernel/machine.js';
import { TASK_SIZE_PAGES } from '../base/units.js';
import type { Snapshot, SnapshotProcess, SnapshotVma } from '../trace/snapshot.js';
import { finishVma, isPrivate, Layout, mapPart } from './attach_layout.js';
import {
  familiesOf,
  isInherited,
  joinPages,
  type AttachFamily,
  type AttachPages,
  type SharedFrame,
} from './attach_pages.js';
import { hasPageIn, layersOf, outsideCount, push, rangesOf } from './attach_lists.js';
import { findRelative, type Relative } from './attach_relatives.js';
import { mergeKsmFrames } from './attach_ksm.js';
import { pagesOf } from './calls.js';
import { withSmallPages } from './small_pages.js';
import type { Findings } from './findings.js';
import type { AttachedProcess } from './observer.js';
import type { PageEvents } from './page_events.js';
import type { ReplayFiles } from './replay_files.js';
import type { TaskTable } from './tasks.js';
import { UNKNOWN_CONTENT } from './replay_machine.js';

/** Numbers of processes that stand for those outside of the recording; no pid is as large. */
export const FIRST_OUTSIDE_PID = 2 ** 30;

/** What an attach changes. */
export interface AttachTarget {
  readonly machine: Machine;
  readonly tasks: TaskTable;
  readonly files: ReplayFiles;
  readonly pages: PageEvents;
  readonly findings: Findings;
}

/**
 * Brings processes of a snapshot that the machine does not know into the state that it shows, by
 * operations alone. Processes that share pages get a common ancestor, which need not be one of
 * them and ends afterwards: it writes each shared page, its children inherit the pages that the
 * snapshot says. Mappings by processes outside of the recording are those of stand-ins.
 */
export function attachSnapshot(
  target: AttachTarget,
  snapshot: Snapshot,
  timeNs: number,
): AttachedProcess[] {
  const { machine, tasks } = target;
  const newcomers = snapshot.procs.filter(({ pid }) => tasks.ofPid(pid) === undefined);
  if (newcomers.length === 0) return [];
  const { tracer } = machine.kernel;
  machine.kernel.tracer = undefined;
  const builder = new Builder(target, snapshot, newcomers);
  withSmallPages(machine, () => builder.build());
  machine.kernel.tracer = tracer;
  const attached: AttachedProcess[] = [];
  for (const process of parentsFirst(newcomers)) {
    const task = tasks.add(process.pid, tasks.ofPid(process.ppid), process.comm, timeNs);
    task.executable =
      snapshot.vmas.find((vma) => vma.pid === process.pid && vma.inode !== 0)?.name ?? '';
    task.hasHeap = process.brkStart > 0 || heapOf(snapshot.vmas, process.pid) !== undefined;
    for (const tid of process.tids) if (tid !== process.pid) tasks.addThread(task, tid);
    const relatives = builder.relativesOf(process.pid);
    const source =
      attached.find((one) => one.process.pid === process.ppid && relatives.has(process.ppid)) ??
      attached.find((one) => relatives.has(one.process.pid));
    const known = builder.knownRelatives.get(process.pid);
    attached.push({
      process: task,
      source: source?.process ?? (known === undefined ? undefined : tasks.ofPid(known)),
    });
  }
  return attached;
}

function parentsFirst(processes: readonly SnapshotProcess[]): SnapshotProcess[] {
  const byPid = new Map(processes.map((process) => [process.pid, process]));
  const ordered = new Set<SnapshotProcess>();
  for (const process of processes) {
    const line = new Set<SnapshotProcess>();
    let at: SnapshotProcess | undefined = process;
    while (at !== undefined && !ordered.has(at) && !line.has(at)) {
      line.add(at);
      at = byPid.get(at.ppid);
    }
    for (const ancestor of [...line].reverse()) ordered.add(ancestor);
  }
  return [...ordered];
}

function heapOf(vmas: readonly SnapshotVma[], pid: number): SnapshotVma | undefined {
  return vmas.find((vma) => vma.pid === pid && vma.name === '[heap]');
}

class Builder {
  private readonly target: AttachTarget;
  private readonly machine: Machine;
  private readonly processes: readonly SnapshotProcess[];
  private readonly vmas: ReadonlyArray<readonly SnapshotVma[]>;
  private readonly pages: AttachPages;
  private readonly families: readonly AttachFamily[];
  /** Processes that were there before, by pids of newcomers that share pages with them. */
  readonly knownRelatives = new Map<number, number>();
  private nextOutside = FIRST_OUTSIDE_PID;

  constructor(target: AttachTarget, snapshot: Snapshot, processes: readonly SnapshotProcess[]) {
    this.target = target;
    this.machine = target.machine;
    this.processes = processes;
    const members = new Map(processes.map(({ pid }, member) => [pid, member]));
    const vmas: SnapshotVma[][] = processes.map(() => []);
    for (const vma of snapshot.vmas) vmas[members.get(vma.pid) ?? -1]?.push(vma);
    this.vmas = vmas;
    this.pages = joinPages(
      snapshot,
      processes.map(({ pid }) => pid),
    );
    this.families = familiesOf(this.pages);
  }

  build(): void {
    for (const family of this.families) this.buildFamily(family);
    for (const [member, vpns] of this.pages.own.entries()) this.write(this.pid(member), vpns);
    for (const frame of this.pages.shared) {
      if (isInherited(frame) || frame.isKsm) continue;
      // Moved since the fork: no mapping leads from one to the other here.
      this.target.findings.pagesAttachedApart += frame.pages.length;
      for (const { member, vpn } of frame.pages) this.write(this.pid(member), [vpn]);
    }
    for (const member of this.processes.keys()) this.fillRest(member);
    for (const [member, vmas] of this.vmas.entries()) {
      for (const vma of vmas) finishVma(this.machine, this.pid(member), vma);
    }
    mergeKsmFrames(
      this.machine,
      this.pages.shared.filter((frame) => frame.isKsm),
      (member) => this.pid(member),
      () => this.takeOutside(),
    );
  }

  /** Pids of the processes of a family. */
  relativesOf(pid: number): ReadonlySet<number> {
    const family = this.families.find(({ members }) =>
      members.some((member) => this.pid(member) === pid),
    );
    return new Set(family?.members.map((member) => this.pid(member)));
  }

  private pid(member: number): number {
    return this.processes[member]?.pid ?? 0;
  }

  private takeOutside(): number {
    const { processes } = this.machine.kernel;
    while (processes.has(this.nextOutside)) this.nextOutside += 1;
    this.nextOutside += 1;
    return this.nextOutside - 1;
  }

  /** Processes that share pages, with everything that they share. */
  private buildFamily(family: AttachFamily): void {
    const { machine } = this;
    const layout = new Layout();
    if (family.frames.length === 0) {
      for (const member of family.members) {
        machine.apply({ op: 'fork', p: 0, c: this.pid(member) });
        this.shape(member, layout, false);
      }
      return;
    }
    const ancestor = this.takeOutside();
    const { pages, tasks } = this.target;
    const relative = findRelative(tasks, pages.identity, family.frames);
    if (relative === undefined) machine.apply({ op: 'fork', p: 0, c: ancestor });
    else this.forkEmpty(relative.pid, ancestor);
    if (relative !== undefined) this.adoptLayout(ancestor, family, relative.frames, layout);
    this.mapAncestor(ancestor, family, layout);
    for (const member of family.members) {
      machine.apply({ op: 'fork', p: ancestor, c: this.pid(member) });
      this.shape(member, layout, relative !== undefined);
      if (relative !== undefined) this.knownRelatives.set(this.pid(member), relative.pid);
    }
    const own = relative === undefined ? family.frames : relative.others;
    const outside: number[] = [];
    for (let i = 0; i < outsideCount(own); i += 1) {
      outside.push(this.takeOutside());
      machine.apply({ op: 'fork', p: ancestor, c: outside[i] ?? 0 });
    }
    this.sharePages(ancestor, own, outside);
    if (relative !== undefined) this.shareKnown(relative);
    machine.apply({ op: 'exit', p: ancestor });
  }

  /** A child of a process that is there already, with its mappings and none of its pages. */
  private forkEmpty(p: number, child: number): void {
    const { machine } = this;
    machine.apply({ op: 'fork', p, c: child });
    for (const { start, end } of machine.kernel.processes.get(child)?.mm.vmas ?? []) {
      const range = { p: child, at: start, n: end - start };
      machine.apply({ op: 'madvise', ...range, advice: 'dontneed' });
    }
  }

  /** Where members share pages with a process that is there already, its mappings are theirs. */
  private adoptLayout(
    ancestor: number,
    family: AttachFamily,
    frames: readonly SharedFrame[],
    layout: Layout,
  ): void {
    const vpns = frames.map((frame) => frame.pages[0]?.vpn ?? 0).sort((a, b) => a - b);
    const mapped = this.machine.kernel.processes.get(ancestor)?.mm.vmas ?? [];
    for (const member of family.members) {
      for (const vma of this.vmas[member] ?? []) {
        if (!isPrivate(vma) || !hasPageIn(vpns, vma.startPage, vma.endPage)) continue;
        for (const { start, end, anonVma } of mapped) {
          const from = Math.max(start, vma.startPage);
          const to = Math.min(end, vma.endPage);
          if (anonVma !== undefined && from < to) layout.addMapped(vma, from, to);
        }
      }
    }
  }

  /** Pages of a process that is there already; stand-ins for the members give theirs up. */
  private shareKnown({ pid, frames }: Relative): void {
    const { identity } = this.target.pages;
    const ordered = frames.toSorted((a, b) => (a.pages[0]?.vpn ?? 0) - (b.pages[0]?.vpn ?? 0));
    const heirs = new Map<number, number[]>();
    for (const frame of ordered) {
      for (const { member, vpn } of frame.pages) push(heirs, this.pid(member), vpn);
      const places = identity.placesOf(identity.find(frame.pfn));
      let excess = places.length - frame.outside;
      for (const place of places) {
        if (excess <= 0) break;
        if (place.pid < FIRST_OUTSIDE_PID) continue;
        excess -= 1;
        this.drop(place.pid, [place.vpn]);
      }
    }
    for (const [heir, vpns] of heirs) this.inherit(heir, pid, vpns);
  }

  /** The ancestor maps whatever holds shared pages, and each of its VMAs has an anon_vma. */
  private mapAncestor(ancestor: number, family: AttachFamily, layout: Layout): void {
    const { machine } = this;
    const vpns = [...new Set(family.frames.map((frame) => frame.pages[0]?.vpn ?? 0))];
    vpns.sort((a, b) => a - b);
    const firstPages: number[] = [];
    for (const member of family.members) {
      for (const vma of this.vmas[member] ?? []) {
        if (!isPrivate(vma) || !hasPageIn(vpns, vma.startPage, vma.endPage)) continue;
        for (const { start, end } of layout.add(vma)) {
          mapPart(machine, this.target.files, ancestor, vma, start, end);
          firstPages.push(start);
        }
      }
    }
    this.write(ancestor, firstPages);
    this.drop(ancestor, firstPages);
  }

  /**
   * Turns what a member has from its ancestor into the VMAs that the snapshot shows. `hasMore`: it
   * maps more than the layout tells.
   */
  private shape(member: number, inherited: Layout, hasMore: boolean): void {
    const { machine, target } = this;
    const p = this.pid(member);
    const vmas = this.vmas[member] ?? [];
    let behind = 0;
    for (const vma of [...vmas, undefined]) {
      const gapEnd = vma?.startPage ?? TASK_SIZE_PAGES;
      if (behind < gapEnd && (hasMore || inherited.overlaps(behind, gapEnd))) {
        machine.apply({ op: 'munmap', p, at: behind, n: gapEnd - behind });
      }
      behind = vma?.endPage ?? gapEnd;
    }
    for (const vma of vmas) {
      let at = vma.startPage;
      for (const { start, end } of inherited.keptOf(vma)) {
        if (at < start) mapPart(machine, target.files, p, vma, at, start);
        at = end;
      }
      if (at < vma.endPage) mapPart(machine, target.files, p, vma, at, vma.endPage);
    }
    this.placeHeap(member, p);
  }

  private placeHeap(member: number, p: number): void {
    const heap = this.vmas[member]?.filter((vma) => vma.name === '[heap]') ?? [];
    const at = heap[0]?.startPage ?? pagesOf(this.processes[member]?.brkStart ?? 0);
    if (at > 0) this.machine.apply({ op: 'brk_at', p, at, end: heap.at(-1)?.endPage ?? at });
  }

  /**
   * The frames of one address are shared one after the other: each is written by the ancestor,
   * taken by whom the snapshot says, and dropped again.
   */
  private sharePages(
    ancestor: number,
    frames: readonly SharedFrame[],
    outside: readonly number[],
  ): void {
    const outsideTaken = new Map<number, number>();
    for (const layer of layersOf(frames)) {
      const vpns = layer.map((frame) => frame.pages[0]?.vpn ?? 0);
      this.write(ancestor, vpns);
      const heirs = new Map<number, number[]>();
      for (const [i, frame] of layer.entries()) {
        const vpn = vpns[i] ?? 0;
        for (const { member } of frame.pages) push(heirs, this.pid(member), vpn);
        const taken = outsideTaken.get(vpn) ?? 0;
        outsideTaken.set(vpn, taken + frame.outside);
        for (const pid of outside.slice(taken, taken + frame.outside)) push(heirs, pid, vpn);
      }
      for (const [pid, wanted] of heirs) this.inherit(pid, ancestor, wanted);
      this.drop(ancestor, vpns);
    }
  }

  private inherit(p: number, ancestor: number, vpns: readonly number[]): void {
    for (const [at, n] of rangesOf(vpns)) {
      const { ret } = this.machine.apply({ op: 'inherit', p, at, n, q: ancestor });
      if (ret === 0) continue;
      this.target.findings.pagesAttachedApart += n;
      this.machine.apply({ op: 'mem_write', p, at, n, v: UNKNOWN_CONTENT });
    }
  }

  /** Zero pages and pages in swap. */
  private fillRest(member: number): void {
    const { machine, pages, target } = this;
    const p = this.pid(member);
    for (const [at, n] of pages.zero[member] ?? []) machine.apply({ op: 'read', p, at, n });
    const swapped = pages.swapped[member] ?? [];
    this.write(p, swapped);
    for (const vpn of swapped) target.pages.swapOutAt({ pid: p, vpn });
  }

  private write(p: number, vpns: readonly number[]): void {
    for (const [at, n] of rangesOf(vpns))
      this.machine.apply({ op: 'mem_write', p, at, n, v: UNKNOWN_CONTENT });
  }

  private drop(p: number, vpns: readonly number[]): void {
    for (const [at, n] of rangesOf(vpns)) {
      this.machine.apply({ op: 'madvise', p, at, n, advice: 'dontneed' });
    }
  }
}
