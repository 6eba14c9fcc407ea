import type { SnapshotArea } from '../trace/snapshot.js';

/** What a descriptor refers to. */
export interface DescriptorFile {
  /** Name of the machine's file. */
  readonly file: string;
  /** The call that opened it, or gave it a length, was seen. */
  readonly isKnown: boolean;
}

/** One recorded process: threads share it; its number on the machine is its pid. */
export interface ReplayProcess {
  readonly pid: number;
  readonly parentPid: number;
  /** Executable of the last exec; empty if unknown. */
  executable: string;
  comm: string;
  readonly threads: Set<number>;
  /** The heap's start is known to the machine. */
  hasHeap: boolean;
  /** What descriptors refer to, as far as calls tell. */
  readonly files: Map<number, DescriptorFile>;
  /** Attached System V segments: first page → length in pages. */
  readonly segments: Map<number, number>;
  /** Time of birth and end in nanoseconds; end −1 while it lives. */
  readonly startNs: number;
  endNs: number;
  execNs: number;
}

/** Tasks by tid. */
export class TaskTable {
  private readonly processOfTid = new Map<number, ReplayProcess>();
  /** Every process of the recording, in order of creation. */
  readonly all: ReplayProcess[] = [];
  private readonly living = new Map<number, ReplayProcess>();
  /** What `find` found last: steps of a thread come in rows. */
  private lastTid = -1;
  private lastProcess: ReplayProcess | undefined = undefined;

  find(tid: number): ReplayProcess | undefined {
    if (tid === this.lastTid && this.lastProcess !== undefined) return this.lastProcess;
    this.lastTid = tid;
    this.lastProcess = this.processOfTid.get(tid);
    return this.lastProcess;
  }

  /** The living process with this pid. */
  ofPid(pid: number): ReplayProcess | undefined {
    return this.living.get(pid);
  }

  /** Living processes. */
  alive(): Iterable<ReplayProcess> {
    return this.living.values();
  }

  get isEmpty(): boolean {
    return this.all.length === 0;
  }

  add(pid: number, parent: ReplayProcess | undefined, comm: string, timeNs: number): ReplayProcess {
    const process: ReplayProcess = {
      pid,
      parentPid: parent?.pid ?? 0,
      executable: parent?.executable ?? '',
      comm,
      threads: new Set([pid]),
      hasHeap: parent?.hasHeap ?? false,
      files: new Map(parent?.files),
      segments: new Map(parent?.segments),
      startNs: timeNs,
      endNs: -1,
      execNs: -1,
    };
    this.setProcess(pid, process);
    this.living.set(pid, process);
    this.all.push(process);
    return process;
  }

  addThread(process: ReplayProcess, tid: number): void {
    process.threads.add(tid);
    this.setProcess(tid, process);
  }

  /**
   * Removes a thread; returns its process if it was the last one. The id of the first thread stays
   * the process's: another thread that execs goes on under it.
   */
  exitThread(tid: number, timeNs: number, isLast: boolean): ReplayProcess | undefined {
    const process = this.processOfTid.get(tid);
    if (process === undefined) return undefined;
    process.threads.delete(tid);
    if (tid !== process.pid) this.setProcess(tid, undefined);
    if (process.threads.size > 0 && !isLast) return undefined;
    this.end(process, timeNs);
    return process;
  }

  /** Removes a process with all its threads. */
  end(process: ReplayProcess, timeNs: number): void {
    for (const other of process.threads) this.setProcess(other, undefined);
    this.setProcess(process.pid, undefined);
    process.threads.clear();
    process.endNs = timeNs;
    this.living.delete(process.pid);
  }

  /** An exec leaves one thread, under the process's pid. */
  execThread(process: ReplayProcess, tid: number): void {
    for (const other of process.threads) this.setProcess(other, undefined);
    process.threads.clear();
    this.addThread(process, process.pid);
    if (tid !== process.pid) this.setProcess(tid, process);
  }

  private setProcess(tid: number, process: ReplayProcess | undefined): void {
    this.lastProcess = undefined;
    if (process === undefined) this.processOfTid.delete(tid);
    else this.processOfTid.set(tid, process);
  }
}

/** VMAs of a fresh image that no call made: what the snapshots know of them. */
export function isImageVma(vma: SnapshotArea, executable: string): boolean {
  if (vma.name === '') return false;
  if (vma.name === executable || vma.name === '[stack]') return true;
  const base = vma.name.slice(vma.name.lastIndexOf('/') + 1);
  return base.startsWith('ld-linux') || base.startsWith('ld-musl') || base.startsWith('ld.so');
}
