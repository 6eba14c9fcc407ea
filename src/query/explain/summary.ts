import { PAGE_SIZE_BYTES } from '../../base/units.js';
import type { Precision } from '../../trace/recording.js';
import type { Collector } from './collector.js';
import { FATE, type ForkLedger } from './fork_ledger.js';
import type { ProcessReport, Summary } from './report.js';
import { countWords, percentWords, sizeWords, timeWords } from './words.js';

/** Times from fork to each write that ended sharing, ascending, in nanoseconds. */
export function writeDelays(forks: readonly ForkLedger[]): Float64Array {
  const delays = new Float64Array(forks.reduce((sum, fork) => sum + fork.written, 0));
  let filled = 0;
  for (const fork of forks) {
    fork.forEachPage((_vpn, fate, endNs) => {
      if (fate !== FATE.childWrote && fate !== FATE.parentWrote) return;
      delays[filled] = endNs - fork.timeNs;
      filled += 1;
    });
  }
  return delays.sort();
}

/** The delay within which a part of the writes came; −1 if there were none. */
export function delayOf(delays: Float64Array, part: number): number {
  if (delays.length === 0) return -1;
  return delays[Math.min(delays.length - 1, Math.ceil(part * delays.length) - 1)] ?? -1;
}

export function summarise(
  collector: Collector,
  processes: readonly ProcessReport[],
  precision: Precision,
): Summary {
  const { forks } = collector;
  const total = (fates: readonly number[]): number => {
    let pages = 0;
    for (const fork of forks) for (const fate of fates) pages += fork.counts[fate] ?? 0;
    return pages * PAGE_SIZE_BYTES;
  };
  const byChild = new Map<number, number>();
  for (const fork of forks) {
    const bytes = (fork.counts[FATE.childWrote] ?? 0) * PAGE_SIZE_BYTES;
    if (bytes > 0) byChild.set(fork.child, (byChild.get(fork.child) ?? 0) + bytes);
  }
  const delays = writeDelays(forks);
  const unsharedByParentBytes = total([FATE.parentWrote]);
  const unsharedByChildrenBytes = total([FATE.childWrote]);
  const unsharedBytes = unsharedByParentBytes + unsharedByChildrenBytes;
  const sharedBytes = forks.reduce((sum, fork) => sum + fork.born, 0) * PAGE_SIZE_BYTES;
  const stillSharedBytes = total([FATE.shared]);
  const numbers = {
    forks: forks.length,
    sharedBytes,
    unsharedBytes,
    unsharedByParentBytes,
    unsharedByChildrenBytes,
    endedOtherwiseBytes: sharedBytes - unsharedBytes - stillSharedBytes,
    stillSharedBytes,
    copiedBytes: collector.breaks.length * PAGE_SIZE_BYTES,
    halfNs: delayOf(delays, 0.5),
    mostNs: delayOf(delays, 0.9),
    byChild: [...byChild]
      .map(([process, bytes]) => ({ process, bytes }))
      .sort((a, b) => b.bytes - a.bytes),
    forkEntries: forks.reduce((sum, fork) => sum + (fork.bornInWindow ? fork.copiedEntries : 0), 0),
  };
  return { sentence: sentence(numbers, processes, forks, precision), ...numbers };
}

function sentence(
  numbers: Omit<Summary, 'sentence'>,
  processes: readonly ProcessReport[],
  forks: readonly ForkLedger[],
  precision: Precision,
): string {
  const { sharedBytes, unsharedBytes } = numbers;
  if (forks.length === 0) return 'Nothing forked, so no memory was shared at a fork.';
  const shared = `Of ${sizeWords(sharedBytes)} shared at ${countWords(forks.length, 'fork')}`;
  if (sharedBytes === 0 && precision === 'layout') {
    return `${countWords(forks.length, 'fork')}; which pages were shared is not in the recording.`;
  }
  if (unsharedBytes === 0) return `${shared}, nothing was unshared by writes.`;
  const name = (process: number): string => {
    const report = processes[process];
    return report === undefined ? '?' : `${report.comm} ${report.pid}`;
  };
  const parents = [...new Set(forks.map((fork) => fork.parent))];
  const parentName = parents.length === 1 ? `the parent (${name(parents[0] ?? -1)})` : 'parents';
  const children = numbers.byChild.length;
  const most = numbers.byChild[0];
  let childName = countWords(children, 'child', 'children');
  if (most !== undefined && children === 1) childName = `the child (${name(most.process)})`;
  else if (most !== undefined) {
    childName += ` (most by ${name(most.process)}: ${sizeWords(most.bytes)})`;
  }
  const sides = [
    [numbers.unsharedByParentBytes, parentName],
    [numbers.unsharedByChildrenBytes, childName],
  ] as const;
  const who = [...sides]
    .filter(([bytes]) => bytes > 0)
    .sort((a, b) => b[0] - a[0])
    .map(([bytes, side]) => `${percentWords(bytes, unsharedBytes)} by ${side}`)
    .join(', ');
  return (
    `${shared}, ${sizeWords(unsharedBytes)} (${percentWords(unsharedBytes, sharedBytes)}) was ` +
    `unshared by writes, half of it within ${timeWords(numbers.halfNs)} and 90 % within ` +
    `${timeWords(numbers.mostNs)} of the fork: ${who}.`
  );
}
