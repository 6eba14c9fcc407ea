import type { Op, Point } from '../../kernel/op/prims.js';

/** More points than any operation passes. */
const POINT_LIMIT = 200_000;

/** An operation on a CPU of its own (check build): it goes from point to point as it is told. */
export class CpuTask<T> {
  /** What it is about to do. */
  pending: Point | undefined = undefined;
  isDone = false;
  private readonly run: Op<T>;
  private readonly onDone: (result: T) => void;

  constructor(run: Op<T>, onDone: (result: T) => void = () => {}) {
    this.run = run;
    this.onDone = onDone;
  }

  /** Whether it waits for a lock that somebody else has. */
  get isBlocked(): boolean {
    const { pending } = this;
    if (pending === undefined || typeof pending.object === 'string') return false;
    const { readers, writers } = pending.object;
    if (pending.kind === 'acquireRead') return writers !== 0;
    return pending.kind === 'acquireWrite' && (readers !== 0 || writers !== 0);
  }

  /** Whether it can do nothing more by itself. */
  get isStopped(): boolean {
    return this.isDone || this.isBlocked;
  }

  /** Goes to its next point. */
  step(): void {
    const next = this.run.next();
    this.isDone = next.done === true;
    this.pending = next.done === true ? undefined : next.value;
    if (next.done === true) this.onDone(next.value);
  }

  /** Goes on until it is done, must wait, or `stops` says so. Throws if it never ends. */
  go(stops: (point: Point) => boolean = () => false): void {
    for (let points = 0; !this.isStopped; points += 1) {
      if (points > POINT_LIMIT) throw new Error('an operation does not end');
      if (this.pending !== undefined && stops(this.pending)) return;
      this.step();
    }
  }
}
