/** Level of a page-table entry. @kernel pgtable_level */
export type PageTableLevel = RmapLevel | typeof PGTABLE_LEVEL_P4D | typeof PGTABLE_LEVEL_PGD;

/** Level of one map or unmap operation: no entry above a PUD maps pages. @kernel rmap_level */
export type RmapLevel = typeof RMAP_LEVEL_PTE | typeof RMAP_LEVEL_PMD | typeof RMAP_LEVEL_PUD;

/** @kernel RMAP_LEVEL_PTE @kernel PGTABLE_LEVEL_PTE */
export const RMAP_LEVEL_PTE = 0;
/** @kernel RMAP_LEVEL_PMD @kernel PGTABLE_LEVEL_PMD */
export const RMAP_LEVEL_PMD = 1;
/** @kernel RMAP_LEVEL_PUD @kernel PGTABLE_LEVEL_PUD */
export const RMAP_LEVEL_PUD = 2;

/** @kernel PGTABLE_LEVEL_P4D */
export const PGTABLE_LEVEL_P4D = 3;
/** @kernel PGTABLE_LEVEL_PGD */
export const PGTABLE_LEVEL_PGD = 4;

/** In `LargeFolios.pagesMapped` while any PMD or PUD maps the folio. @kernel ENTIRELY_MAPPED */
export const ENTIRELY_MAPPED = 0x80_0000;
/** The part of `pagesMapped` that counts pages with a PTE. @kernel FOLIO_PAGES_MAPPED */
export const FOLIO_PAGES_MAPPED = ENTIRELY_MAPPED - 1;
