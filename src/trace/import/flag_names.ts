/** Names that tools print in place of flags, with their x86-64 values (uapi and gfp flags). */

export type FlagNames = Readonly<Record<string, number>>;

export const PROT_FLAGS: FlagNames = { NONE: 0, READ: 1, WRITE: 2, EXEC: 4 };

export const MAP_FLAGS: FlagNames = {
  FILE: 0,
  SHARED: 0x1,
  PRIVATE: 0x2,
  SHARED_VALIDATE: 0x3,
  FIXED: 0x10,
  ANONYMOUS: 0x20,
  ANON: 0x20,
  '32BIT': 0x40,
  GROWSDOWN: 0x100,
  DENYWRITE: 0x800,
  EXECUTABLE: 0x1000,
  LOCKED: 0x2000,
  NORESERVE: 0x4000,
  POPULATE: 0x8000,
  NONBLOCK: 0x10000,
  STACK: 0x20000,
  HUGETLB: 0x40000,
  SYNC: 0x80000,
  FIXED_NOREPLACE: 0x100000,
};

export const MREMAP_FLAGS: FlagNames = { MAYMOVE: 1, FIXED: 2, DONTUNMAP: 4 };

export const MADVISE_ADVICE: FlagNames = {
  NORMAL: 0,
  RANDOM: 1,
  SEQUENTIAL: 2,
  WILLNEED: 3,
  DONTNEED: 4,
  FREE: 8,
  REMOVE: 9,
  DONTFORK: 10,
  DOFORK: 11,
  MERGEABLE: 12,
  UNMERGEABLE: 13,
  HUGEPAGE: 14,
  NOHUGEPAGE: 15,
  DONTDUMP: 16,
  DODUMP: 17,
  WIPEONFORK: 18,
  KEEPONFORK: 19,
  COLD: 20,
  PAGEOUT: 21,
  POPULATE_READ: 22,
  POPULATE_WRITE: 23,
  DONTNEED_LOCKED: 24,
  COLLAPSE: 25,
  GUARD_INSTALL: 102,
  GUARD_REMOVE: 103,
};

export const MLOCKALL_FLAGS: FlagNames = { CURRENT: 1, FUTURE: 2, ONFAULT: 4 };

export const MLOCK2_FLAGS: FlagNames = { ONFAULT: 1 };

export const CLONE_FLAGS: FlagNames = {
  VM: 0x100,
  FS: 0x200,
  FILES: 0x400,
  SIGHAND: 0x800,
  PIDFD: 0x1000,
  PTRACE: 0x2000,
  VFORK: 0x4000,
  PARENT: 0x8000,
  THREAD: 0x10000,
  NEWNS: 0x20000,
  SYSVSEM: 0x40000,
  SETTLS: 0x80000,
  PARENT_SETTID: 0x100000,
  CHILD_CLEARTID: 0x200000,
  DETACHED: 0x400000,
  UNTRACED: 0x800000,
  CHILD_SETTID: 0x1000000,
  NEWCGROUP: 0x2000000,
  NEWUTS: 0x4000000,
  NEWIPC: 0x8000000,
  NEWUSER: 0x10000000,
  NEWPID: 0x20000000,
  NEWNET: 0x40000000,
  IO: 0x80000000,
};

const GFP_BITS: FlagNames = {
  __GFP_DMA: 1 << 0,
  __GFP_HIGHMEM: 1 << 1,
  __GFP_DMA32: 1 << 2,
  __GFP_MOVABLE: 1 << 3,
  __GFP_RECLAIMABLE: 1 << 4,
  __GFP_HIGH: 1 << 5,
  __GFP_IO: 1 << 6,
  __GFP_FS: 1 << 7,
  __GFP_ZERO: 1 << 8,
  __GFP_DIRECT_RECLAIM: 1 << 10,
  __GFP_KSWAPD_RECLAIM: 1 << 11,
  __GFP_WRITE: 1 << 12,
  __GFP_NOWARN: 1 << 13,
  __GFP_RETRY_MAYFAIL: 1 << 14,
  __GFP_NOFAIL: 1 << 15,
  __GFP_NORETRY: 1 << 16,
  __GFP_MEMALLOC: 1 << 17,
  __GFP_COMP: 1 << 18,
  __GFP_NOMEMALLOC: 1 << 19,
  __GFP_HARDWALL: 1 << 20,
  __GFP_THISNODE: 1 << 21,
  __GFP_ACCOUNT: 1 << 22,
  __GFP_ZEROTAGS: 1 << 23,
  __GFP_NO_OBJ_EXT: 1 << 24,
};

const RECLAIM = 0xc00;
const GFP_USER = RECLAIM | 0x1000c0;
const GFP_HIGHUSER = GFP_USER | 0x2;
const GFP_TRANSHUGE_LIGHT = ((GFP_HIGHUSER | 0x8 | 0x40000 | 0x80000 | 0x2000) & ~RECLAIM) >>> 0;

/** Single bits of `gfp_flags`, and the combinations that the kernel prints as one name. */
export const GFP_FLAGS: FlagNames = {
  ...GFP_BITS,
  __GFP_RECLAIM: RECLAIM,
  GFP_TRANSHUGE: GFP_TRANSHUGE_LIGHT | 0x400,
  GFP_TRANSHUGE_LIGHT,
  GFP_HIGHUSER_MOVABLE: GFP_HIGHUSER | 0x8,
  GFP_HIGHUSER,
  GFP_USER,
  GFP_KERNEL_ACCOUNT: RECLAIM | 0xc0 | 0x400000,
  GFP_KERNEL: RECLAIM | 0xc0,
  GFP_NOFS: RECLAIM | 0x40,
  GFP_ATOMIC: 0x820,
  GFP_NOIO: RECLAIM,
  GFP_NOWAIT: 0x2800,
  GFP_DMA: 1,
  GFP_DMA32: 4,
  none: 0,
};

/**
 * Value of names joined by `|`, with or without a prefix such as `PROT_`, and of numbers among
 * them; undefined if a name is unknown.
 */
export function flagsValue(text: string, names: FlagNames, prefix = ''): number | undefined {
  let value = 0;
  for (const part of text.split('|')) {
    const word = part.trim();
    const name = word.startsWith(prefix) ? word.slice(prefix.length) : word;
    const bit = Object.hasOwn(names, name) ? names[name] : numberOf(word);
    if (bit === undefined) return undefined;
    // Not by |: flags go beyond 31 bits.
    value = Number(BigInt(value) | BigInt(bit));
  }
  return value;
}

/** A number, or a shift such as `21<<MAP_HUGE_SHIFT`. */
function numberOf(word: string): number | undefined {
  const shift = /^(\d{1,2})<<MAP_HUGE_SHIFT$/.exec(word);
  if (shift !== null) return Number(shift[1]) * 2 ** 26;
  return /^(0x[0-9a-f]{1,12}|\d{1,12})$/i.test(word) ? Number(word) : undefined;
}
