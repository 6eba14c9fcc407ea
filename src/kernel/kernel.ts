import { NIL } from '../base/units.js';
import { IntervalPool } from '../base/interval_tree.js';
import { RowPool } from '../base/row_pool.js';
import { AnonVma, type AnonVmaChain } from './rmap/anon_vma_types.js';
import { HugetlbPools } from './hugetlb/pool_state.js';
import { KsmState } from './ksm/ksm_state.js';
import { MmuNotifiers } from './rmap/mmu_notifier.js';
import type { TlbModel } from './rmap/tlb_model.js';
import { LargeFolios } from './phys/large_folio.js';
import { LruLists } from './phys/lru.js';
import { Memory } from './phys/memory.js';
import { MlockBatch } from './phys/mlock_batch.js';
import { GroupHistory } from './reclaim/group_history.js';
import { PageTables } from './pgtable/page_table.js';
import { defaultKnobs, type Knobs, type Profile } from './profile.js';
import type { Process } from './process.js';
import { SwapState } from './swap/swap_state.js';
import { DeferredSplitQueues, MthpStats } from './thp/deferred_queue.js';
import type { Tracer } from './tracer.js';
import type { AddressSpace } from './vm/address_space.js';
import type { Mm } from './vm/mm.js';
import type { Vma } from './vm/vma.js';

/** Machine-wide page counts. @kernel node_stat_item */
export class NodeStats {
  /** @kernel NR_ANON_MAPPED */
  anonMapped = 0;
  /** @kernel NR_FILE_MAPPED */
  fileMapped = 0;
  /** @kernel NR_ANON_THPS */
  anonThps = 0;
  /** @kernel NR_SHMEM_PMDMAPPED */
  shmemPmdMapped = 0;
  /** @kernel NR_FILE_PMDMAPPED */
  filePmdMapped = 0;
}

/** Deterministic measures of work. */
export class WorkCounters {
  faults = 0;
  pagesCopied = 0;
  ptesVisited = 0;
  rmapMappingsFound = 0;
  rmapVmasVisited = 0;
}

/**
 * Every table of one machine. Kernel functions take it first; nothing in the kernel layer is
 * module state. Tables are built here and filled by the functions that own them.
 */
export class Kernel {
  readonly profile: Profile;
  readonly knobs: Knobs = defaultKnobs();
  readonly memory: Memory;
  readonly large = new LargeFolios();
  readonly lru: LruLists;
  readonly mlockBatch = new MlockBatch();
  /** Of the small memory control group. */
  readonly smallGroup = new GroupHistory();
  readonly pageTables = new PageTables();
  /** Rows of all anon_vma trees and i_mmap trees. */
  readonly intervals = new IntervalPool();
  /** AVC of a row of `intervals` that is on an anon_vma tree. */
  readonly avcOfRow: Array<AnonVmaChain | undefined> = [];
  /** VMA of a row of `intervals` that is on a tree of either kind. */
  readonly vmaOfRow: Array<Vma | undefined> = [];
  /**
   * By id; index 0 is unused. Freed objects stay (type-stable) with refcount 0.
   * @kernel anon_vma_init
   */
  readonly anonVmas: AnonVma[] = [new AnonVma(0)];
  readonly freeAnonVmaIds: number[] = [];
  /** By id; index 0 is unused. */
  readonly mappings: Array<AddressSpace | undefined> = [undefined];
  /** Living address spaces in order of creation. */
  readonly mms = new Set<Mm>();
  /** By process number. */
  readonly processes = new Map<number, Process>();
  /** Unique ids of mms; row 0 is init's dummy. */
  readonly mmIds = new RowPool();
  readonly stats = new NodeStats();
  readonly mthp = new MthpStats();
  readonly deferredSplit = new DeferredSplitQueues();
  readonly hugetlb = new HugetlbPools();
  readonly swap = new SwapState();
  readonly ksm: KsmState;
  readonly notifiers = new MmuNotifiers();
  /** What TLBs may hold; undefined (off) unless a test wants to see missing flushes. */
  tlb: TlbModel | undefined = undefined;
  readonly work = new WorkCounters();
  /** Told about events that queries ask for; undefined costs nothing. */
  tracer: Tracer | undefined = undefined;

  /**
   * Order of the folio that the fault at hand got where it was recorded; NIL: the knobs decide.
   * Memory may have been too fragmented for a larger one, or a knob turned meanwhile.
   */
  givenOrder = NIL;

  /**
   * Tests only: the n-th allocation of a VMA, anon_vma or AVC from now on fails; 0 = none.
   * @kernel should_failslab
   */
  failAllocation = 0;

  constructor(profile: Profile) {
    this.profile = profile;
    this.memory = new Memory(profile.memoryPages);
    this.lru = new LruLists(this.memory);
    this.ksm = new KsmState(this.memory);
    this.mmIds.alloc();
  }

  /** Asked before each allocation of a small object: whether it fails. */
  allocationFails(): boolean {
    if (this.failAllocation === 0) return false;
    this.failAllocation -= 1;
    return this.failAllocation === 0;
  }
}
