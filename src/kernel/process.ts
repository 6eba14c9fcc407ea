import type { Mm } from './vm/mm.js';

/**
 * A process as operations name it. Threads and vfork children share the mm; a process's pipes and
 * io_uring rings are file descriptors, so a fork shares them (spec 97 §7.6).
 */
export class Process {
  readonly id: number;
  mm: Mm;
  /** Descriptors by the id that operations use: pipes (vmsplice) and rings (pin). */
  readonly pipes: Map<number, PageHolder>;
  readonly rings: Map<number, PageHolder>;

  constructor(id: number, mm: Mm, parent?: Process) {
    this.id = id;
    this.mm = mm;
    this.pipes = new Map(parent?.pipes);
    this.rings = new Map(parent?.rings);
  }
}

/** Pages that a pipe or a ring keeps alive; freed with its last descriptor. */
export class PageHolder {
  /** Pages in order; for rings each was pinned, for pipes each has one reference. */
  readonly pfns: number[] = [];
  /** Rings: folios with how often each was pinned (large folios coalesce). */
  readonly pins: Array<{ readonly head: number; readonly count: number }> = [];
  descriptors = 0;
}
