import type { SnapshotArea, SnapshotLayout } from '../../trace/snapshot.js';

/**
 * One program image: what an exec made, inherited by forks. Names of mappings come from the
 * snapshots that show one of its processes.
 */
export class Image {
  readonly id: number;
  executable: string;
  /** Processes that run this image, and the first and the last snapshot in which they do. */
  private readonly spans = new Map<number, { first: number; last: number }>();

  constructor(id: number, executable: string) {
    this.id = id;
    this.executable = executable;
  }

  /** `pid` runs this image from now on; `snapshot` is the index of the next snapshot. */
  enter(pid: number, snapshot: number): void {
    this.spans.set(pid, { first: snapshot, last: Number.MAX_SAFE_INTEGER });
  }

  /** `pid` no longer runs this image. */
  leave(pid: number, snapshot: number): void {
    const span = this.spans.get(pid);
    if (span !== undefined) span.last = snapshot - 1;
  }

  shows(pid: number, snapshot: number): boolean {
    const span = this.spans.get(pid);
    return span !== undefined && snapshot >= span.first && snapshot <= span.last;
  }
}

/** A VMA of a snapshot with its surroundings. */
export interface NamedVma {
  readonly snapshot: SnapshotLayout;
  readonly index: number;
  readonly vma: SnapshotArea;
}

/** Finds mappings by address in the snapshots of a recording. */
export class SnapshotNames {
  private readonly snapshots: readonly SnapshotLayout[];

  constructor(snapshots: readonly SnapshotLayout[]) {
    this.snapshots = snapshots;
  }

  /**
   * The mapping that covers a page in some process of an image; snapshots from `near` on first,
   * then the earlier ones, the process itself before its relatives.
   */
  find(image: Image, pid: number, vpn: number, near: number): NamedVma | undefined {
    const count = this.snapshots.length;
    for (const wantsPid of [true, false]) {
      for (let i = 0; i < count; i += 1) {
        const index = i < count - near ? near + i : count - 1 - i;
        const snapshot = this.snapshots[index];
        if (snapshot === undefined) continue;
        const found = findIn(
          snapshot,
          vpn,
          (other) => (other === pid) === wantsPid && image.shows(other, index),
        );
        if (found !== undefined) return found;
      }
    }
    return undefined;
  }
}

function findIn(
  snapshot: SnapshotLayout,
  vpn: number,
  accepts: (pid: number) => boolean,
): NamedVma | undefined {
  for (const { pid } of snapshot.procs) {
    if (!accepts(pid)) continue;
    const { vmas } = snapshot;
    const index = vmas.findIndex(
      (vma) => vma.pid === pid && vma.startPage <= vpn && vpn < vma.endPage,
    );
    const vma = vmas[index];
    if (vma !== undefined) return { snapshot, index, vma };
  }
  return undefined;
}
