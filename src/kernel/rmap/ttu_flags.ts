/**
 * Flags of try_to_unmap and try_to_migrate. Values 1 and 2 stay unused: they were modes once.
 * @kernel ttu_flags
 */

/** Split a PMD mapping before working on PTEs. @kernel TTU_SPLIT_HUGE_PMD */
export const TTU_SPLIT_HUGE_PMD = 0x4;
/** Unmap from locked VMAs too. @kernel TTU_IGNORE_MLOCK */
export const TTU_IGNORE_MLOCK = 0x8;
/** Wait for half-done zaps. @kernel TTU_SYNC */
export const TTU_SYNC = 0x10;
/** Poisoned pages leave an entry that says so. @kernel TTU_HWPOISON */
export const TTU_HWPOISON = 0x20;
/** The caller flushes the batch later. @kernel TTU_BATCH_FLUSH */
export const TTU_BATCH_FLUSH = 0x40;
/** The caller holds the rmap lock. @kernel TTU_RMAP_LOCKED */
export const TTU_RMAP_LOCKED = 0x80;

/** All mappings of a large file folio that will be split; its i_mmap lock is held. */
export const TTU_SPLIT_FILE =
  TTU_RMAP_LOCKED | TTU_SPLIT_HUGE_PMD | TTU_SYNC | TTU_BATCH_FLUSH | TTU_IGNORE_MLOCK;
