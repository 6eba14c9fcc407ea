/** Tasks as `perf` reports them, beside or in place of the kernel's own events. */
import { EVENT } from '../event.js';
import type { ImportSink } from './import_sink.js';
import type { Moment } from './kernel_event.js';
import { guessCloneFlags } from './kernel_event.js';

interface PendingFork {
  readonly moment: Moment;
  readonly child: number;
  readonly comm: string;
  readonly flags: number;
}

/**
 * `PERF_RECORD_FORK`, `COMM exec` and `EXIT` say less than `task_newtask`, `sched_process_exec`
 * and `sched_process_exit` and come a little earlier. Where the events follow, they count; where
 * they do not, events are made from the records.
 */
export class TaskRecords {
  readonly #sink: ImportSink;
  /** Forks whose event has not come yet, by the tid of the parent. */
  readonly #forks = new Map<number, PendingFork>();
  /** Threads past the point of no return of an exec, with the new name. */
  readonly #execs = new Map<number, string>();
  readonly #gone = new Set<number>();
  /** Living threads of each process, and the process of each thread. */
  readonly #threads = new Map<number, number>();
  readonly #processOf = new Map<number, number>();
  /** Clone flags of the system call that a thread is in. */
  readonly #cloneFlags = new Map<number, number>();
  /** True if a fork had to be taken for a plain one. */
  hasGuessedForks = false;

  constructor(sink: ImportSink) {
    this.#sink = sink;
  }

  /** A system call that makes a task; `flags` undefined if the call does not tell. */
  enterClone(tid: number, flags: number | undefined): void {
    if (flags !== undefined) this.#cloneFlags.set(tid, flags);
  }

  exitClone(tid: number): void {
    this.#cloneFlags.delete(tid);
  }

  fork(moment: Moment, process: number, child: number, parentProcess: number, comm: string): void {
    const isThread = process === parentProcess;
    const known = this.#cloneFlags.get(moment.tid);
    if (known === undefined && !isThread) this.hasGuessedForks = true;
    const flags = known ?? guessCloneFlags(isThread);
    this.#processOf.set(child, process);
    this.#threads.set(process, isThread ? (this.#threads.get(process) ?? 1) + 1 : 1);
    this.#gone.delete(child);
    this.#forks.set(moment.tid, { moment, child, comm, flags });
  }

  /** The kernel's own event of a new task came. */
  newTask(tid: number): void {
    this.#forks.delete(tid);
  }

  /** `PERF_RECORD_COMM exec`: the point of no return. */
  prepareExec({ timeNs, cpu, tid }: Moment, comm: string): void {
    this.#execs.set(tid, comm);
    this.#sink.push(EVENT.prepareExec, timeNs, cpu, tid, comm);
  }

  /** The kernel's own event of an exec came. */
  exec(tid: number): void {
    this.#execs.delete(tid);
  }

  exit({ timeNs, cpu }: Moment, process: number, tid: number, comm: string): void {
    const left = (this.#threads.get(process) ?? 1) - 1;
    this.#threads.set(process, left);
    if (this.#gone.delete(tid)) return;
    this.#sink.push(EVENT.exit, timeNs, cpu, tid, comm, [tid, left <= 0 ? 1 : 0]);
  }

  /** The kernel's own event of an exit came. */
  exited(tid: number): void {
    this.#gone.add(tid);
  }

  /**
   * Any other event of a thread: what was pending for it is made up now. A pending exec ends with
   * the first fault in user mode.
   */
  touch({ timeNs, cpu, tid }: Moment, isUserFault: boolean): void {
    const fork = this.#forks.get(tid);
    if (fork !== undefined) this.#makeFork(tid, fork);
    else
      for (const [parent, pending] of this.#forks) {
        if (pending.child === tid) this.#makeFork(parent, pending);
      }
    const comm = isUserFault ? this.#execs.get(tid) : undefined;
    if (comm === undefined) return;
    this.#execs.delete(tid);
    this.#sink.push(EVENT.exec, timeNs, cpu, tid, comm, [tid, tid]);
  }

  /** At the end of the text. */
  flush(): void {
    for (const [parent, fork] of this.#forks) this.#makeFork(parent, fork);
  }

  #makeFork(parent: number, { moment, child, comm, flags }: PendingFork): void {
    this.#forks.delete(parent);
    // In the order of the text: other lines have come since the record.
    const timeNs = this.#sink.lastNs;
    this.#sink.push(EVENT.newTask, timeNs, moment.cpu, moment.tid, comm, [child, flags]);
  }
}
