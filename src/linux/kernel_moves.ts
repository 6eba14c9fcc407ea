import { readSetting } from './host.js';

/**
 * Counters of what the kernel does to pages below a process, with the pages that one step may
 * concern. Reclaim changes the size of a process, which shows without them.
 */
const COUNTERS: readonly (readonly [name: string, pages: number])[] = [
  ['pgmigrate_success', 1],
  ['cow_ksm', 1],
  ['thp_collapse_alloc', 512],
];
const KSM_COUNTERS = ['pages_shared', 'pages_sharing'] as const;

/** Values of the counters at one time. */
export type KernelMoves = ReadonlyMap<string, number>;

/** `vmstat` is the text of /proc/vmstat. */
export function parseKernelMoves(vmstat: string): Map<string, number> {
  const values = new Map<string, number>();
  for (const [name] of COUNTERS) {
    const [, value = '0'] = new RegExp(`^${name} (\\d+)$`, 'm').exec(vmstat) ?? [];
    values.set(name, Number(value));
  }
  return values;
}

export function readKernelMoves(): KernelMoves {
  const values = parseKernelMoves(readSetting('/proc/vmstat'));
  for (const name of KSM_COUNTERS) {
    values.set(name, Number(readSetting(`/sys/kernel/mm/ksm/${name}`)));
  }
  return values;
}

/** Most pages of the machine that the kernel can have moved between two readings. */
export function movedSince(before: KernelMoves, after: KernelMoves): number {
  const weights = new Map(COUNTERS);
  let pages = 0;
  for (const [name, value] of after) {
    pages += Math.abs(value - (before.get(name) ?? 0)) * (weights.get(name) ?? 1);
  }
  return pages;
}
