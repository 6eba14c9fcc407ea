/**
 * Page-table entries: a 32-bit payload and a 16-bit word of flags, 6 bytes an entry.
 *
 * flags 0 is "none". A present entry's payload is a pfn, a table entry's a node number, a swap
 * entry's the slot, a migration or device entry's a pfn, a marker's its marker bits.
 */

/** @kernel _PAGE_PRESENT */
export const PTE_PRESENT = 0x1;
/** @kernel _PAGE_RW */
export const PTE_WRITE = 0x2;
/** @kernel _PAGE_DIRTY */
export const PTE_DIRTY = 0x4;
/** @kernel _PAGE_ACCESSED */
export const PTE_YOUNG = 0x8;
/** Not a normal page: the zero page. @kernel _PAGE_SPECIAL */
export const PTE_SPECIAL = 0x10;
/** Present but without any access. @kernel _PAGE_PROTNONE */
export const PTE_PROTNONE = 0x20;
/** @kernel _PAGE_SOFT_DIRTY */
export const PTE_SOFT_DIRTY = 0x40;
/** @kernel _PAGE_UFFD_WP */
export const PTE_UFFD_WP = 0x80;
/** A huge leaf at PMD or PUD level. @kernel _PAGE_PSE */
export const PTE_LEAF = 0x100;
/** Upper levels: payload is the next table's node. */
export const PTE_TABLE = 0x200;
/** Swap entries: this is the only reference to the slot. @kernel _PAGE_SWP_EXCLUSIVE */
export const PTE_SWP_EXCLUSIVE = 0x400;
/** The guest does not need the contents any more (s390 only). @kernel _PAGE_UNUSED */
export const PTE_UNUSED = 0x800;

/** Kind of a non-present entry, in the top four bits. */
export const KIND_MASK = 0xf000;
/** @kernel swp_entry_t */
export const KIND_SWAP = 0x1000;
/** @kernel SWP_MIGRATION_READ */
export const KIND_MIGRATION_READ = 0x2000;
/** @kernel SWP_MIGRATION_READ_EXCLUSIVE */
export const KIND_MIGRATION_READ_EXCLUSIVE = 0x3000;
/** @kernel SWP_MIGRATION_WRITE */
export const KIND_MIGRATION_WRITE = 0x4000;
/** @kernel SWP_DEVICE_READ */
export const KIND_DEVICE_READ = 0x5000;
/** @kernel SWP_DEVICE_WRITE */
export const KIND_DEVICE_WRITE = 0x6000;
/** @kernel SWP_DEVICE_EXCLUSIVE */
export const KIND_DEVICE_EXCLUSIVE = 0x7000;
/** @kernel SWP_HWPOISON */
export const KIND_HWPOISON = 0x8000;
/** @kernel SWP_PTE_MARKER */
export const KIND_MARKER = 0x9000;

/** Bits of a marker's payload. @kernel PTE_MARKER_UFFD_WP */
export const MARKER_UFFD_WP = 1;
/** @kernel PTE_MARKER_POISONED */
export const MARKER_POISONED = 2;
/** @kernel PTE_MARKER_GUARD */
export const MARKER_GUARD = 4;

/** Whether the flags are those of a migration entry of any kind. @kernel is_migration_entry */
export function isMigration(flags: number): boolean {
  const kind = flags & KIND_MASK;
  return (flags & PTE_PRESENT) === 0 && kind >= KIND_MIGRATION_READ && kind <= KIND_MIGRATION_WRITE;
}

/** Device-private or device-exclusive: counted as a mapping. */
export function isDeviceEntry(flags: number): boolean {
  const kind = flags & KIND_MASK;
  return (flags & PTE_PRESENT) === 0 && kind >= KIND_DEVICE_READ && kind <= KIND_DEVICE_EXCLUSIVE;
}

/** Swap slot payload: type in the top 5 bits, offset below. */
export function swapEntry(type: number, offset: number): number {
  return type * 0x8000000 + offset;
}

export function swapType(entry: number): number {
  return entry >>> 27;
}

export function swapOffset(entry: number): number {
  return entry & 0x7ffffff;
}
