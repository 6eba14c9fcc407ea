import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { FrameFactsOfPage, FrameFlagName } from '../query/who_page.js';
import { KernelConfig } from './host.js';
import { FRAME_FLAG, FrameFile } from './page_frames.js';
import { isGone, readCgroup } from './processes.js';

const FLAG_NAMES: readonly (readonly [number, FrameFlagName])[] = [
  [FRAME_FLAG.lru, 'lru'],
  [FRAME_FLAG.active, 'active'],
  [FRAME_FLAG.slab, 'slab'],
  [FRAME_FLAG.writeback, 'writeback'],
  [FRAME_FLAG.buddy, 'buddy'],
  [FRAME_FLAG.mmapped, 'mapped'],
  [FRAME_FLAG.anonymous, 'anonymous'],
  [FRAME_FLAG.swapCache, 'swap cache'],
  [FRAME_FLAG.swapBacked, 'swap backed'],
  [FRAME_FLAG.compoundHead, 'compound head'],
  [FRAME_FLAG.compoundTail, 'compound tail'],
  [FRAME_FLAG.hugetlb, 'hugetlb'],
  [FRAME_FLAG.unevictable, 'unevictable'],
  [FRAME_FLAG.poisoned, 'poisoned'],
  [FRAME_FLAG.noPage, 'no page'],
  [FRAME_FLAG.ksm, 'ksm'],
  [FRAME_FLAG.thp, 'thp'],
  [FRAME_FLAG.offline, 'offline'],
  [FRAME_FLAG.zeroPage, 'zero page'],
];

/** Inode of the memory cgroup that pays for a page, 0 if unknown. */
function chargedCgroupInode(pfn: number): number {
  try {
    const file = new FrameFile('kpagecgroup');
    try {
      return file.readOne(pfn);
    } finally {
      file.close();
    }
  } catch (error) {
    if (isGone(error)) return 0;
    throw error;
  }
}

/** Inode of a cgroup by its path in /proc/PID/cgroup, 0 if there is none. */
function cgroupInode(path: string): number {
  for (const mount of ['/sys/fs/cgroup/memory', '/sys/fs/cgroup', '/sys/fs/cgroup/unified']) {
    try {
      return statSync(join(mount, path)).ino;
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }
  return 0;
}

/** The files with facts on single frames. Opening them needs CAP_SYS_ADMIN. */
export class FrameInspector {
  readonly #counts = new FrameFile('kpagecount');
  readonly #flags = new FrameFile('kpageflags');
  readonly #config = new KernelConfig();

  close(): void {
    this.#counts.close();
    this.#flags.close();
  }

  /** Bits of `FRAME_FLAG`. */
  flags(pfn: number): number {
    return this.#flags.readOne(pfn);
  }

  /** `pids`: processes whose cgroup may be the one that pays. */
  facts(pfn: number, pids: readonly number[]): FrameFactsOfPage {
    const flags = this.flags(pfn);
    const isLarge = (flags & (FRAME_FLAG.compoundHead | FRAME_FLAG.compoundTail)) !== 0;
    const inode = chargedCgroupInode(pfn);
    return {
      pfn,
      mapcount: this.#counts.readOne(pfn),
      isMapcountExact: !isLarge || this.#config.option('NO_PAGE_MAPCOUNT') !== 'y',
      flags: FLAG_NAMES.filter(([bit]) => (flags & bit) !== 0).map(([, name]) => name),
      chargedTo: pids.map(readCgroup).find((path) => cgroupInode(path) === inode) ?? '',
    };
  }
}

/** The processes, those of the cgroup that pays for a page first. */
export function likelyMappers(pfn: number, pids: readonly number[]): readonly number[] {
  const inode = chargedCgroupInode(pfn);
  if (inode === 0) return pids;
  const inodeOfPath = new Map<string, number>();
  const isCharged = (pid: number): boolean => {
    const path = readCgroup(pid);
    let known = inodeOfPath.get(path);
    if (known === undefined) inodeOfPath.set(path, (known = cgroupInode(path)));
    return known === inode;
  };
  const charged = pids.filter(isCharged);
  const others = new Set(pids);
  for (const pid of charged) others.delete(pid);
  return [...charged, ...others];
}
