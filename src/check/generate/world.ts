import type { Rng } from '../../base/rng.js';
import type { FileId, Operation } from '../../kernel/operation.js';

/** Where the ranges of a scenario lie, in pages. */
export interface Space {
  readonly start: number;
  readonly pages: number;
  /** Ranges mostly start and end at multiples of this. */
  readonly grain: number;
  /** Longest range in grains. */
  readonly mostGrains: number;
  /** Behind the space: where `mremap` may move things to. */
  readonly targetStart: number;
  readonly targetPages: number;
}

export interface FileFacts {
  readonly id: FileId;
  readonly kind: Extract<Operation, { readonly op: 'file' }>['kind'];
  readonly pages: number;
}

interface Held {
  readonly p: number;
  readonly id: number;
}

export interface Range {
  readonly at: number;
  readonly n: number;
}

const MOST_EDGES = 24;
const MOST_MAPPED = 8;
const MOST_PROCESSES = 4;

/**
 * What a generator remembers of the scenario that it writes: enough to hit the same pages again.
 * It knows nothing of what the operations do.
 */
export class World {
  readonly rng: Rng;
  readonly space: Space;
  readonly operations: Operation[] = [];
  readonly processes: number[] = [0];
  readonly files: FileFacts[] = [];
  readonly pins: Held[] = [];
  readonly pipes: Held[] = [];
  /** Of whom each process was forked. */
  readonly parents = new Map<number, number>();
  /** Ranges that were registered with a userfaultfd. */
  readonly registered: Range[] = [];
  /** Of the scenario's userfaultfds, once there is one. */
  userfaultFeatures: string | undefined = undefined;
  /** Values that are written; few, where equal pages matter. Empty: all different. */
  readonly values: readonly number[];
  hasSwap = false;
  hasBreak = false;
  /** Processes that first-touch in the small memory cgroup. */
  readonly grouped = new Set<number>();
  private readonly edges: number[] = [];
  /** Ranges that were mapped last; some may be gone again. */
  private readonly mapped: Range[] = [];
  private nextProcess = 1;
  private nextHeld = 0;
  private nextValue = 100;

  constructor(rng: Rng, space: Space, values: readonly number[]) {
    this.rng = rng;
    this.space = space;
    this.values = values;
  }

  emit(operation: Operation): void {
    this.operations.push(operation);
    if (operation.op === 'mmap' && operation.at !== undefined) {
      this.noteMapped({ at: operation.at, n: operation.n });
    } else if (operation.op === 'mremap' && operation.to !== undefined) {
      this.noteMapped({ at: operation.to, n: operation.new });
    }
  }

  /** Files of small pages. */
  get plainFiles(): FileFacts[] {
    return this.files.filter(({ kind }) => kind === 'tmp' || kind === 'memfd');
  }

  private noteMapped(range: Range): void {
    this.mapped.push(range);
    if (this.mapped.length > MOST_MAPPED) this.mapped.shift();
  }

  /** A living process. */
  process(): number {
    return this.rng.pick(this.processes);
  }

  get mayFork(): boolean {
    return this.processes.length < MOST_PROCESSES;
  }

  fork(p: number): number {
    const child = this.nextProcess;
    this.nextProcess += 1;
    this.processes.push(child);
    this.parents.set(child, p);
    if (this.grouped.has(p)) this.grouped.add(child);
    // Rings and pipes are descriptors: the child has them too.
    for (const list of [this.pins, this.pipes]) {
      for (const held of list.filter((one) => one.p === p)) list.push({ p: child, id: held.id });
    }
    return child;
  }

  exit(p: number): void {
    this.processes.splice(this.processes.indexOf(p), 1);
    drop(this.pins, (held) => held.p === p);
    drop(this.pipes, (held) => held.p === p);
  }

  /** A pin that somebody holds, which is over then; for all that share the ring. */
  takePin(): Held | undefined {
    const { rng, pins } = this;
    if (pins.length === 0) return undefined;
    const held = rng.pick(pins);
    drop(pins, ({ id }) => id === held.id);
    return held;
  }

  /** A pipe of a process, which closes its ends. */
  takePipe(): Held | undefined {
    const { rng, pipes } = this;
    if (pipes.length === 0) return undefined;
    const held = rng.pick(pipes);
    drop(pipes, ({ id, p }) => id === held.id && p === held.p);
    return held;
  }

  /** A name that no pin and no pipe had yet. */
  heldId(): number {
    this.nextHeld += 1;
    return this.nextHeld;
  }

  value(): number {
    if (this.values.length > 0) return this.rng.pick(this.values);
    this.nextValue += 1;
    return this.nextValue;
  }

  /** A page: often the edge of an earlier range, so that operations meet. */
  page(): number {
    const { rng, space } = this;
    if (this.edges.length > 0 && rng.chance(0.55)) {
      const edge = rng.pick(this.edges);
      const near = rng.chance(0.15) ? edge + rng.between(-2, 2) : edge;
      return Math.min(Math.max(near, space.start), space.start + space.pages - 1);
    }
    const grains = Math.floor(space.pages / space.grain);
    const aligned = space.start + rng.below(grains) * space.grain;
    if (space.grain === 1 || rng.chance(0.7)) return aligned;
    return aligned + rng.below(space.grain);
  }

  /** A range inside the space. */
  range(): Range {
    const { rng, space } = this;
    const at = this.page();
    const length = rng.weighted<() => number>([
      [6, () => rng.between(1, space.mostGrains) * space.grain],
      [2, () => rng.between(1, 3)],
      [2, () => this.page() - at],
    ])();
    return this.remember(at, this.clip(at, length));
  }

  /** A range of whole grains at a multiple of the grain. */
  alignedRange(): Range {
    const { rng, space } = this;
    const grains = Math.floor(space.pages / space.grain);
    const at = space.start + rng.below(grains) * space.grain;
    return this.remember(at, this.clip(at, rng.between(1, space.mostGrains) * space.grain));
  }

  /** Some pages, for accesses and advice: mostly of a range that was mapped. */
  touch(isLong = false): Range {
    const { rng, space } = this;
    const whole = rng.chance(0.75) && this.mapped.length > 0 ? rng.pick(this.mapped) : undefined;
    const few = rng.between(1, 4);
    if (whole === undefined) {
      const at = this.page();
      return {
        at,
        n: this.clip(at, isLong ? rng.between(1, space.mostGrains) * space.grain : few),
      };
    }
    if (isLong && rng.chance(0.4)) return whole;
    // Close to its start or anywhere: pages are met again, and by others.
    const steps = Math.floor((whole.n - 1) / space.grain);
    const skipped = rng.below(Math.min(steps, 3) + 1) * space.grain;
    const inside = rng.chance(0.5)
      ? Math.min(skipped + rng.below(3), whole.n - 1)
      : rng.below(whole.n);
    const length = isLong ? rng.between(1, space.mostGrains) * space.grain : few;
    return { at: whole.at + inside, n: Math.max(1, Math.min(length, whole.n - inside)) };
  }

  private clip(at: number, length: number): number {
    const rest = this.space.start + this.space.pages - at;
    return Math.max(1, Math.min(length, rest));
  }

  private remember(at: number, n: number): Range {
    this.edges.push(at, at + n);
    if (this.edges.length > MOST_EDGES) this.edges.splice(0, this.edges.length - MOST_EDGES);
    return { at, n };
  }

  /** Where a move of `n` pages goes to: near other memory, or far from it. */
  target(n: number, alignment: number): number {
    const { rng, space } = this;
    if (rng.chance(0.4)) {
      const page = this.page();
      const inside = Math.max(space.start, Math.min(page, space.start + space.pages - n));
      return rng.chance(0.7) ? inside - (inside % alignment) : inside;
    }
    const slots = Math.max(1, Math.floor((space.targetPages - n) / alignment));
    const at = space.targetStart + rng.below(slots) * alignment;
    this.remember(at, n);
    return at;
  }
}

function drop<T>(items: T[], isDropped: (item: T) => boolean): void {
  for (let i = items.length - 1; i >= 0; i -= 1) {
    const item = items[i];
    if (item !== undefined && isDropped(item)) items.splice(i, 1);
  }
}
