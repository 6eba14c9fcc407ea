/** What native/observer prints for one look at the processes of a scenario. */

/** Addresses of kernel objects are hexadecimal texts; they only serve as names. */
export type KernelAddress = string;

/** `[page, level, bits, pagemap >> 56, offset, type]` of an entry that is not present. */
export type AbsentPage = readonly [number, number, number, number, number, number];

/**
 * `[page, level, bits, pagemap >> 56, frame, head frame, kpagecount, kpageflags, _mapcount + 1,
 * PageAnonExclusive]` of a present entry.
 */
export type PresentPage = readonly [
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
];

export interface ObservedVma {
  readonly id: KernelAddress;
  /** Number of the process. */
  readonly p: number;
  /** Page numbers. */
  readonly start: number;
  readonly end: number;
  readonly pgoff: number;
  /** address_space of the file. */
  readonly file?: KernelAddress;
  readonly av?: KernelAddress;
  readonly avc: readonly KernelAddress[];
  readonly pages: ReadonlyArray<AbsentPage | PresentPage>;
}

export interface ObservedAnonVma {
  readonly id: KernelAddress;
  readonly root: KernelAddress;
  readonly parent: KernelAddress;
  readonly children: number;
  readonly active: number;
  readonly refs: number;
  /** VMAs of the interval tree, in order. */
  readonly walk: readonly KernelAddress[];
}

export interface ObservedFolio {
  /** Frame of the first page. */
  readonly frame: number;
  readonly order: number;
  readonly zero?: number;
  readonly hugetlb?: number;
  readonly av?: KernelAddress;
  readonly file?: KernelAddress;
  readonly index?: number;
  readonly refs?: number;
  readonly mapcount?: number;
  readonly entire?: number;
  readonly nrPagesMapped?: number;
  readonly pincount?: number;
  readonly rmappable?: number;
  readonly partial?: number;
  /** `[mm_id, mapcount]`; mm_id 0 is an empty slot. */
  readonly slots?: ReadonlyArray<readonly [number, number]>;
  readonly maybeShared?: number;
  readonly deferred?: number;
  readonly ksmLength?: number;
  /** `[mm, page, anon_vma]` of the rmap_items in list order. */
  readonly ksm?: ReadonlyArray<readonly [KernelAddress, number, KernelAddress]>;
  readonly flags?: readonly string[];
}

export interface Observation {
  /** `[process, pid, mm, mm_id]`. */
  readonly mms: ReadonlyArray<readonly [number, number, KernelAddress, number]>;
  readonly vmas: readonly ObservedVma[];
  readonly anonVmas: readonly ObservedAnonVma[];
  readonly folios: readonly ObservedFolio[];
}

export const ENTRY_WRITE = 1;
export const ENTRY_DIRTY = 2;
export const ENTRY_YOUNG = 4;
export const ENTRY_PROT_NONE = 8;
export const ENTRY_SWAP_EXCLUSIVE = 16;

/** Bits 56 to 63 of a word of /proc/PID/pagemap. */
export const MAP_MAPPED_ONCE = 1 << 0;
export const MAP_UFFD_WP = 1 << 1;
export const MAP_GUARD = 1 << 2;
export const MAP_FILE = 1 << 5;
export const MAP_SWAP = 1 << 6;
export const MAP_PRESENT = 1 << 7;
