/** The canonical state of a machine: what a dump of the kernel's own structures shows. */
/** Present pages of a run: equal in everything, with consecutive `sub`. */
export interface MappedRun {
  readonly k: 'page';
  readonly at: number;
  readonly n: number;
  /** Id in `folios`. */
  readonly folio: string;
  /** Index in the folio of the first page; absent for the zero page. */
  readonly sub?: number;
  readonly level: 'pte' | 'pmd' | 'pud';
  readonly w: number;
  readonly d: number;
  readonly y: number;
  /** Pagemap bit 56. */
  readonly x: number;
  readonly none?: number;
  /** Pagemap bit 61. */
  readonly file?: number;
  readonly uffd_wp?: number;
  /** PageAnonExclusive of this very page. */
  readonly ae?: number;
  /** /proc/kpagecount. */
  readonly kc?: number;
  /** `page->_mapcount + 1`; large folios only. */
  readonly pmc?: number;
  /** Names of kpageflags, joined by commas. */
  readonly kf?: string;
}

/** Swapped-out pages with consecutive slots. */
export interface SwapRun {
  readonly k: 'swap';
  readonly at: number;
  readonly n: number;
  readonly slot: number;
  /** Exclusive bit of the swap entry. */
  readonly se: number;
  readonly type: number;
  readonly level: string;
}

/** Guard markers. */
export interface GuardRun {
  readonly k: 'guard';
  readonly at: number;
  readonly n: number;
}

export type StateRun = MappedRun | SwapRun | GuardRun;

export interface VmaState {
  readonly at: number;
  readonly n: number;
  /** Relative to the region for anonymous memory, file page otherwise. */
  readonly pgoff: number;
  /** VmFlags. */
  readonly flags: string;
  readonly file?: string;
  /** Own anon_vma. */
  readonly av: string | null;
  /** anon_vmas of the AVC list, in list order. */
  readonly avc: readonly string[];
  /** Non-zero fields in kB. */
  readonly smaps: Readonly<Record<string, number>>;
  readonly pages: readonly StateRun[];
}

export interface ProcessState {
  /** Ascending. */
  readonly vmas: readonly VmaState[];
}

export interface AnonVmaState {
  readonly root: string;
  readonly parent: string;
  readonly children: number;
  readonly active: number;
  readonly refs: number;
  /** `[process, VMA start]` of the interval tree in order; null if the tree is not listed. */
  readonly walk: ReadonlyArray<readonly [number, number]> | null;
}

export interface FolioState {
  readonly order: number;
  readonly kind: 'anon' | 'ksm' | 'file' | 'zero';
  readonly av?: string | null;
  readonly file?: string;
  readonly index?: number;
  readonly refs?: number;
  readonly mapcount?: number;
  readonly flags?: readonly string[];
  readonly entire?: number;
  readonly nr_pages_mapped?: number;
  readonly pincount?: number;
  /** The two MM-ID slots. */
  readonly mm?: ReadonlyArray<{ readonly p: number | null; readonly mapcount: number } | null>;
  readonly maybe_shared?: number;
  readonly flags2?: readonly string[];
  readonly deferred?: number;
  readonly hugetlb?: number;
  /** rmap_items in list order; `p` null if the process is gone. */
  readonly ksm?: ReadonlyArray<{
    readonly p: number | null;
    readonly at: number;
    readonly av: string | null;
  }>;
  readonly ksm_len?: number;
}

/** One dump. */
export interface MachineState {
  readonly label: string;
  /** Number of the operation before which the dump was made. */
  readonly op: number;
  /** By process number. */
  readonly procs: Readonly<Record<string, ProcessState>>;
  /** By id `A0`, `A1`, … */
  readonly anon_vmas: Readonly<Record<string, AnonVmaState>>;
  /** By id `F0`, `F1`, … */
  readonly folios: Readonly<Record<string, FolioState>>;
}
