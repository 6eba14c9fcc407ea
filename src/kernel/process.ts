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

  /** The lowest numbers that no pipe or ring of the process has, as open(2) hands them out. */
  lowestDescriptors(count: number): number[] {
    const holders = [...this.pipes.values(), ...this.rings.values()];
    const used = new Set(holders.flatMap(({ numbers }) => numbers));
    const free: number[] = [];
    for (let number = 0; free.length < count; number += 1) {
      if (!used.has(number)) free.push(number);
    }
    return free;
  }
}

/** Pages that a pipe or a ring keeps alive; freed with its last descriptor. */
export class PageHolder {
  /** Pages in order; for rings each was pinned, for pipes each has one reference. */
  readonly pfns: number[] = [];
  /** Rings: folios with how often each was pinned (large folios coalesce). */
  readonly pins: Array<{ readonly head: number; readonly count: number }> = [];
  /** Its descriptors in every process that has them, ascending: two of a pipe, one of a ring. */
  readonly numbers: readonly number[];
  /** Processes that have it open. */
  descriptors = 1;

  constructor(numbers: readonly number[]) {
    this.numbers = numbers;
  }
}
