/** Kernel build options and machine size: a value handed to `new Machine`. */
export interface Profile {
  /** Physical memory in pages. */
  readonly memoryPages: number;
  /** Pages of each NUMA node but the last; empty = one node. */
  readonly nodePages: readonly number[];
  /** Per-page mapcounts of large folios are kept. @kernel CONFIG_PAGE_MAPCOUNT */
  readonly pageMapcount: boolean;
  /** Two mm-id slots in large folios: their width, or none. @kernel CONFIG_MM_ID */
  readonly mmIds: '64-bit' | '32-bit' | 'none';
  /** @kernel CONFIG_TRANSPARENT_HUGEPAGE */
  readonly transparentHugepage: boolean;
  /** Swap devices can be switched on. @kernel CONFIG_SWAP */
  readonly swap: boolean;
  /** @kernel CONFIG_KSM */
  readonly ksm: boolean;
  /** @kernel CONFIG_MEM_SOFT_DIRTY */
  readonly softDirty: boolean;
}

/** The kernel that the cases come from, with 1 GiB of memory. */
export const DEFAULT_PROFILE: Profile = {
  memoryPages: 262_144,
  nodePages: [],
  pageMapcount: true,
  mmIds: '64-bit',
  transparentHugepage: true,
  swap: true,
  ksm: true,
  softDirty: false,
};

export type ThpMode = 'always' | 'madvise' | 'never';
export type OrderMode = ThpMode | 'inherit';
export type ShmemMode = 'always' | 'advise' | 'within_size' | 'never' | 'inherit';

/** Knobs that operations (`config`) turn at run time; the initial values are those of the cases. */
export interface Knobs {
  /** /sys/kernel/mm/transparent_hugepage/enabled */
  thp: ThpMode;
  /** hugepages-SIZE/enabled by order 2 … 9. */
  readonly anonOrders: OrderMode[];
  /** Orders that follow from both, as bit masks: for any VMA, and for one with VM_HUGEPAGE. */
  anonMask: number;
  advisedAnonMask: number;
  /** use_zero_page */
  hugeZeroPage: boolean;
  /** shmem_enabled */
  shmemThp: ShmemMode;
  /** hugepages-SIZE/shmem_enabled by order. */
  readonly shmemOrders: ShmemMode[];
  /** shrink_underused */
  shrinkUnderused: boolean;
  /** khugepaged/max_ptes_none; 0 in the cases. */
  maxPtesNone: number;
  /** ksm/use_zero_pages */
  ksmZeroPages: boolean;
  /** ksm/max_page_sharing */
  ksmMaxSharing: number;
  /** vm.page-cluster: log2 of the swap readahead window. */
  pageCluster: number;
}

export function defaultKnobs(): Knobs {
  const anonOrders: OrderMode[] = new Array<OrderMode>(10).fill('never');
  anonOrders[9] = 'inherit';
  const shmemOrders: ShmemMode[] = new Array<ShmemMode>(10).fill('never');
  shmemOrders[9] = 'inherit';
  return {
    thp: 'madvise',
    anonOrders,
    anonMask: 0,
    advisedAnonMask: 1 << 9,
    hugeZeroPage: true,
    shmemThp: 'never',
    shmemOrders,
    shrinkUnderused: true,
    maxPtesNone: 0,
    ksmZeroPages: false,
    ksmMaxSharing: 256,
    pageCluster: 0,
  };
}
