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
import { mergeKsmFrames } from './attach_ksm.js';
import { pagesOf } from './calls.js';
import type { Findings } from './findings.js';
import type { AttachedProcess } from './observer.js';
import type { PageEvents } from './page_events.js';
import type { ReplayFiles } from './replay_files.js';
import type { TaskTable } from './tasks.js';

/** Numbers of processes that stand for those outside of the recording; no pid is as large. */
export const FIRST_OUTSIDE_PID = 2 ** 30;
/** Most processes outside of the recording that are made for one family. */
const MOST_OUTSIDE = 1024;

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
  // No write here may fill more than its page.
  const { thp } = machine.kernel.knobs;
  machine.apply({ op: 'config', key: 'thp', value: 'never' });
  const builder = new Builder(target, snapshot, newcomers);
  builder.build();
  machine.apply({ op: 'config', key: 'thp', value: thp });
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
    attached.push({ process: task, source: source?.process });
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
        this.shape(member, layout);
      }
      return;
    }
    const ancestor = this.takeOutside();
    machine.apply({ op: 'fork', p: 0, c: ancestor });
    this.mapAncestor(ancestor, family, layout);
    for (const member of family.members) {
      machine.apply({ op: 'fork', p: ancestor, c: this.pid(member) });
      this.shape(member, layout);
    }
    const outside: number[] = [];
    for (let i = 0; i < outsideCount(family.frames); i += 1) {
      outside.push(this.takeOutside());
      machine.apply({ op: 'fork', p: ancestor, c: outside[i] ?? 0 });
    }
    this.sharePages(ancestor, family, outside);
    machine.apply({ op: 'exit', p: ancestor });
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

  /** Turns what a member has from its ancestor into the VMAs that the snapshot shows. */
  private shape(member: number, inherited: Layout): void {
    const { machine, target } = this;
    const p = this.pid(member);
    const vmas = this.vmas[member] ?? [];
    let behind = 0;
    for (const vma of [...vmas, undefined]) {
      const gapEnd = vma?.startPage ?? TASK_SIZE_PAGES;
      if (behind < gapEnd && inherited.overlaps(behind, gapEnd)) {
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
  private sharePages(ancestor: number, family: AttachFamily, outside: readonly number[]): void {
    const outsideTaken = new Map<number, number>();
    for (const layer of layersOf(family.frames)) {
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
      this.machine.apply({ op: 'mem_write', p, at, n, v: 0 });
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
    for (const [at, n] of rangesOf(vpns)) this.machine.apply({ op: 'mem_write', p, at, n, v: 0 });
  }

  private drop(p: number, vpns: readonly number[]): void {
    for (const [at, n] of rangesOf(vpns)) {
      this.machine.apply({ op: 'madvise', p, at, n, advice: 'dontneed' });
    }
  }
}

function push(lists: Map<number, number[]>, key: number, value: number): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}

/** Stand-ins that a family needs: each can hold one frame of an address. */
function outsideCount(frames: readonly SharedFrame[]): number {
  const byPage = new Map<number, number>();
  let most = 0;
  for (const frame of frames) {
    const vpn = frame.pages[0]?.vpn ?? 0;
    const count = (byPage.get(vpn) ?? 0) + frame.outside;
    byPage.set(vpn, count);
    most = Math.max(most, count);
  }
  return Math.min(most, MOST_OUTSIDE);
}

/** Frames by address, ascending: the first of each, then the second of those that have two, … */
function layersOf(frames: readonly SharedFrame[]): SharedFrame[][] {
  const layers: SharedFrame[][] = [];
  const depth = new Map<number, number>();
  const ordered = frames.toSorted((a, b) => (a.pages[0]?.vpn ?? 0) - (b.pages[0]?.vpn ?? 0));
  for (const frame of ordered) {
    const vpn = frame.pages[0]?.vpn ?? 0;
    const layer = depth.get(vpn) ?? 0;
    depth.set(vpn, layer + 1);
    const list = layers[layer];
    if (list === undefined) layers.push([frame]);
    else list.push(frame);
  }
  return layers;
}

/** Runs of consecutive pages of an ascending list. */
export function* rangesOf(vpns: readonly number[]): Generator<readonly [at: number, n: number]> {
  let first = 0;
  for (let i = 1; i <= vpns.length; i += 1) {
    if (i < vpns.length && vpns[i] === (vpns[i - 1] ?? 0) + 1) continue;
    if (i > first) yield [vpns[first] ?? 0, i - first];
    first = i;
  }
}

function hasPageIn(vpns: readonly number[], start: number, end: number): boolean {
  let low = 0;
  let high = vpns.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((vpns[middle] ?? 0) < start) low = middle + 1;
    else high = middle;
  }
  return low < vpns.length && (vpns[low] ?? 0) < end;
}
