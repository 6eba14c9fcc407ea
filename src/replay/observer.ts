import type { Machine } from '../kernel/machine.js';
import type { Tracer } from '../kernel/tracer.js';
import type { SnapshotComparison } from './compare.js';
import type { ReplayProcess, TaskTable } from './tasks.js';

/** What is happening now: valid inside every observer call. */
export interface ReplayMoment {
  readonly machine: Machine;
  readonly tasks: TaskTable;
  timeNs: number;
  /** Thread that the event belongs to, and its process. */
  tid: number;
  process: ReplayProcess | undefined;
  /** Instruction that faulted; 0 outside faults. */
  instructionPointer: number;
  /** The fault came from kernel mode. */
  isKernelFault: boolean;
  /** Name of the system call that is being applied, or empty. */
  call: string;
}

/** A process that was taken from a snapshot. */
export interface AttachedProcess {
  readonly process: ReplayProcess;
  /**
   * Process that it shares pages with: its parent, or else one that comes before it in the list.
   * Undefined if it shares nothing with those.
   */
  readonly source: ReplayProcess | undefined;
}

/**
 * Told about the replay as it goes. Kernel events (copies, reuse, zaps, forks) come through the
 * machine's tracer: set `tracer` to hear them.
 */
export interface ReplayObserver {
  readonly tracer?: Tracer;
  /** Called once, before the first event. */
  begin?(moment: ReplayMoment): void;
  /** Time has reached this event; called for every step, before it is applied. */
  step?(moment: ReplayMoment): void;
  /**
   * Processes that ran already were taken from a snapshot, which `snapshot` compares next. The
   * tracer was silent meanwhile.
   */
  attached?(moment: ReplayMoment, newcomers: readonly AttachedProcess[]): void;
  forked?(moment: ReplayMoment, child: ReplayProcess): void;
  execed?(moment: ReplayMoment): void;
  /** The process's last thread ends; its address space is still there. */
  exiting?(moment: ReplayMoment, process: ReplayProcess): void;
  snapshot?(moment: ReplayMoment, comparison: SnapshotComparison): void;
  end?(moment: ReplayMoment): void;
}
