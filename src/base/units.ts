/**
 * Units of the engine. Page numbers are plain numbers (36 bits at most, exact in a double); ids
 * are row numbers of tables. Row 0 and pfn 0 may be valid, so compare with `NIL`, never for truth.
 */

/** "No row", in every index column. */
export const NIL = -1;

export const PAGE_SIZE_BYTES = 4096;
export const PAGE_SHIFT = 12;
/** Entries of one page-table node. */
export const ENTRIES_PER_TABLE = 512;
/** Pages below one PMD entry: a 2 MiB huge page. */
export const PAGES_PER_PMD = 512;
/** Pages below one PUD entry: a 1 GiB huge page. */
export const PAGES_PER_PUD = 512 * 512;
/** Allocation order of a 2 MiB folio. */
export const PMD_ORDER = 9;
/** Allocation order of a 1 GiB folio. */
export const PUD_ORDER = 18;
/** First virtual page number that does not belong to user space (47-bit addresses). */
export const TASK_SIZE_PAGES = 2 ** 35;

/** Index of the entry of page `vpn` in its PTE table. Not by `%`, a call for numbers of 36 bits. */
export function tableIndex(vpn: number): number {
  return vpn & (ENTRIES_PER_TABLE - 1);
}

/** First page of the PTE table that covers page `vpn`. */
export function tableStart(vpn: number): number {
  return vpn - (vpn & (ENTRIES_PER_TABLE - 1));
}

/** First page behind that table. */
export function tableEnd(vpn: number): number {
  return tableStart(vpn) + ENTRIES_PER_TABLE;
}
