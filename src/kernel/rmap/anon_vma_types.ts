import { IntervalPool, type IntervalTree } from '../../base/interval_tree.js';
import { RwSem } from '../op/prims.js';
import type { Vma } from '../vm/vma.js';

/**
 * Owner of anonymous folios: `folio.mapping` points to one, and its tree leads to every VMA that
 * may map them (spec 10 §1). Type-stable: a freed object is re-initialised by a later allocation.
 * @kernel anon_vma
 */
export class AnonVma {
  /** Number in `Kernel.anonVmas`, from 1; stored in `Memory.mapping`. */
  readonly id: number;
  /** Lock of the whole tree of ancestors; always the root's is taken. @kernel anon_vma.rwsem */
  readonly rwsem: RwSem;
  /** @kernel anon_vma.root */
  root: AnonVma = this;
  /** @kernel anon_vma.parent */
  parent: AnonVma = this;
  /** @kernel anon_vma.refcount */
  refcount = 0;
  /** Anon_vmas whose parent is this one; a root counts itself. @kernel anon_vma.num_children */
  childCount = 0;
  /** VMAs whose anon_vma is this one. @kernel anon_vma.num_active_vmas */
  activeVmaCount = 0;
  /** AVCs by page offset of their VMA. @kernel anon_vma.rb_root */
  readonly tree: IntervalTree = IntervalPool.tree();
  /** Set while mm_take_all_locks holds this root's lock. */
  lockedByAll = false;

  constructor(id: number) {
    this.id = id;
    this.rwsem = new RwSem(`anon_vma ${id}`);
  }
}

/** Edge between a VMA and an anon_vma. @kernel anon_vma_chain */
export class AnonVmaChain {
  /** @kernel anon_vma_chain.vma */
  readonly vma: Vma;
  /** @kernel anon_vma_chain.anon_vma */
  readonly anonVma: AnonVma;
  /** Row in `Kernel.intervals` while linked. @kernel anon_vma_chain.rb */
  readonly row: number;

  constructor(vma: Vma, anonVma: AnonVma, row: number) {
    this.vma = vma;
    this.anonVma = anonVma;
    this.row = row;
  }
}
