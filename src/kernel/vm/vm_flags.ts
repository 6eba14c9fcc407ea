/**
 * VMA flags. The bit number is the position of the two-letter code in the VmFlags line, so that
 * printing is a loop over the bits (spec 97 §2, 50 §14.4).
 */

/** Codes in print order; index = bit number. */
export const VM_FLAG_CODES: readonly string[] =
  'rd wr ex sh mr mw me ms gd um pf gu uw lo io sr rr dc de lf ac nr ht sf wf dd sd mm hg nh mg dp'.split(
    ' ',
  );

/** @kernel VM_READ */
export const VM_READ = 1 << 0;
/** @kernel VM_WRITE */
export const VM_WRITE = 1 << 1;
/** @kernel VM_EXEC */
export const VM_EXEC = 1 << 2;
/** @kernel VM_SHARED */
export const VM_SHARED = 1 << 3;
/** @kernel VM_MAYREAD */
export const VM_MAYREAD = 1 << 4;
/** @kernel VM_MAYWRITE */
export const VM_MAYWRITE = 1 << 5;
/** @kernel VM_MAYEXEC */
export const VM_MAYEXEC = 1 << 6;
/** @kernel VM_MAYSHARE */
export const VM_MAYSHARE = 1 << 7;
/** @kernel VM_GROWSDOWN */
export const VM_GROWSDOWN = 1 << 8;
/** @kernel VM_UFFD_MISSING */
export const VM_UFFD_MISSING = 1 << 9;
/** @kernel VM_PFNMAP */
export const VM_PFNMAP = 1 << 10;
/** Some part of the VMA may hold guard markers; sticky. @kernel VM_MAYBE_GUARD */
export const VM_MAYBE_GUARD = 1 << 11;
/** @kernel VM_UFFD_WP */
export const VM_UFFD_WP = 1 << 12;
/** @kernel VM_LOCKED */
export const VM_LOCKED = 1 << 13;
/** @kernel VM_IO */
export const VM_IO = 1 << 14;
/** @kernel VM_SEQ_READ */
export const VM_SEQ_READ = 1 << 15;
/** @kernel VM_RAND_READ */
export const VM_RAND_READ = 1 << 16;
/** @kernel VM_DONTCOPY */
export const VM_DONTCOPY = 1 << 17;
/** @kernel VM_DONTEXPAND */
export const VM_DONTEXPAND = 1 << 18;
/** @kernel VM_LOCKONFAULT */
export const VM_LOCKONFAULT = 1 << 19;
/** @kernel VM_ACCOUNT */
export const VM_ACCOUNT = 1 << 20;
/** @kernel VM_NORESERVE */
export const VM_NORESERVE = 1 << 21;
/** @kernel VM_HUGETLB */
export const VM_HUGETLB = 1 << 22;
/** @kernel VM_WIPEONFORK */
export const VM_WIPEONFORK = 1 << 24;
/** @kernel VM_DONTDUMP */
export const VM_DONTDUMP = 1 << 25;
/** @kernel VM_SOFTDIRTY */
export const VM_SOFTDIRTY = 1 << 26;
/** @kernel VM_MIXEDMAP */
export const VM_MIXEDMAP = 1 << 27;
/** @kernel VM_HUGEPAGE */
export const VM_HUGEPAGE = 1 << 28;
/** @kernel VM_NOHUGEPAGE */
export const VM_NOHUGEPAGE = 1 << 29;
/** @kernel VM_MERGEABLE */
export const VM_MERGEABLE = 1 << 30;
/** Pages may be dropped at any time, dirty or not. @kernel VM_DROPPABLE */
export const VM_DROPPABLE = 1 << 31;

/** @kernel VM_ACCESS_FLAGS */
export const VM_ACCESS_FLAGS = VM_READ | VM_WRITE | VM_EXEC;
/** Neighbours with these never merge. @kernel VM_SPECIAL */
export const VM_SPECIAL = VM_IO | VM_DONTEXPAND | VM_PFNMAP | VM_MIXEDMAP;

/** Whether writes go to a private copy. @kernel is_cow_mapping */
export function isCowMapping(flags: number): boolean {
  return (flags & (VM_SHARED | VM_MAYWRITE)) === VM_MAYWRITE;
}

/** The VmFlags line of smaps. */
export function formatVmFlags(flags: number): string {
  const codes: string[] = [];
  for (let bit = 0; bit < VM_FLAG_CODES.length; bit += 1) {
    if ((flags & (1 << bit)) !== 0) codes.push(VM_FLAG_CODES[bit]);
  }
  return codes.join(' ');
}
