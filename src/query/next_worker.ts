import type { LiveProcess } from './live.js';

/** Kernel stack of one thread on x86-64. */
const KERNEL_STACK_BYTES = 16384;

/** What one more worker would cost. Inferred: the next worker is taken to be like its siblings. */
export interface NextWorker {
  /** Memory that only the worker would have: the median of its siblings. */
  readonly bytes: number;
  readonly ussBytes: number;
  readonly pageTableBytes: number;
  readonly kernelStackBytes: number;
  /** Smallest and largest of the siblings, same sum. */
  readonly leastBytes: number;
  readonly mostBytes: number;
  /** The siblings: children of one parent with the same name. */
  readonly siblingPids: readonly number[];
  readonly comm: string;
}

function cost({ ussBytes, swapBytes, pageTableBytes, threadCount }: LiveProcess): number {
  return ussBytes + swapBytes + pageTableBytes + threadCount * KERNEL_STACK_BYTES;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

/** The largest family of like processes: two at least, with one parent and one name. */
function largestFamily(processes: readonly LiveProcess[]): readonly LiveProcess[] {
  const families = new Map<string, LiveProcess[]>();
  for (const process of processes) {
    // Kernel threads and services hang below 0 to 2 without being each other's workers.
    if (process.ppid <= 2) continue;
    const key = `${process.ppid} ${process.comm}`;
    const family = families.get(key);
    if (family === undefined) families.set(key, [process]);
    else family.push(process);
  }
  let best: readonly LiveProcess[] = [];
  for (const family of families.values()) if (family.length > best.length) best = family;
  return best;
}

/**
 * Cost of the next worker of a group: a fork shares everything at first, and comes to own about
 * as much as its siblings own now.
 */
export function estimateNextWorker(processes: readonly LiveProcess[]): NextWorker | undefined {
  const family = largestFamily(processes);
  const [first] = family;
  if (family.length < 2 || first === undefined) return undefined;
  const costs = family.map(cost);
  return {
    bytes: median(costs),
    ussBytes: median(family.map((worker) => worker.ussBytes)),
    pageTableBytes: median(family.map((worker) => worker.pageTableBytes)),
    kernelStackBytes: median(family.map((worker) => worker.threadCount)) * KERNEL_STACK_BYTES,
    leastBytes: costs.reduce((least, value) => Math.min(least, value)),
    mostBytes: costs.reduce((most, value) => Math.max(most, value)),
    siblingPids: family.map((worker) => worker.pid).toSorted((left, right) => left - right),
    comm: first.comm,
  };
}
