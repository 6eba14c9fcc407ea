/**
 * What looking at a 2 MiB block for collapse found. `succeed`: it can be (or was) collapsed.
 * @kernel scan_result
 */
export type ScanResult =
  | 'succeed'
  /** A PMD maps it already. */
  | 'pmdMapped'
  /** The whole folio is there, but mapped by PTEs or not at all. */
  | 'pteMappedHuge'
  /** There is no PMD table, or something else than a PTE table in it. */
  | 'pmdNull'
  /** The PMD is empty. */
  | 'pmdNone'
  /** The file has nothing in the block. */
  | 'truncated'
  | 'nonPresent'
  | 'uffdWp'
  /** A page of the other kind (file in anonymous memory or the reverse). */
  | 'pageAnon'
  /** Somebody else holds a reference. */
  | 'pageCount'
  | 'pageLock'
  | 'pageCompound'
  | 'pageLru'
  | 'lackReferenced'
  | 'exceedNone'
  | 'exceedSwap'
  | 'exceedShared'
  | 'allocFailed'
  | 'fail';

/** How much a scan tolerates in one block. */
export interface ScanLimits {
  /** MADV_COLLAPSE: the knobs are not asked, and no page needs to have been used lately. */
  readonly isForced: boolean;
  /** Empty and zero entries. @kernel khugepaged_max_ptes_none */
  readonly maxNone: number;
  /** @kernel khugepaged_max_ptes_swap */
  readonly maxSwap: number;
  /** Pages that more than one mm may map. @kernel khugepaged_max_ptes_shared */
  readonly maxShared: number;
}

/** MADV_COLLAPSE tolerates everything. */
export const SCAN_MADVISE: ScanLimits = {
  isForced: true,
  maxNone: Infinity,
  maxSwap: Infinity,
  maxShared: Infinity,
};
