import { fail } from '../../base/errors.js';
import { NIL } from '../../base/units.js';
import type { AnonVma } from '../rmap/anon_vma_types.js';
import type { Mm } from '../vm/mm.js';

/** What ksmd remembers about one page of one process. @kernel ksm_rmap_item */
export class KsmRmapItem {
  readonly mm: Mm;
  /** Page of the process. @kernel ksm_rmap_item.address */
  readonly vpn: number;
  /** Content when last scanned; undefined = not scanned yet. @kernel ksm_rmap_item.oldchecksum */
  checksum: number | undefined = undefined;
  /** Pass in which the item entered the unstable tree; −1 = none. */
  unstablePass = -1;
  /** Content with which it did. */
  unstableContent = 0;
  /** Its row in the unstable tree, if that has a shape. */
  treeRow = NIL;
  /** Node whose list this item is on. @kernel ksm_rmap_item.head */
  node: KsmStableNode | undefined = undefined;
  private holdsAnonVma: AnonVma | undefined = undefined;

  constructor(mm: Mm, vpn: number) {
    this.mm = mm;
    this.vpn = vpn;
  }

  /** The anon_vma that the item holds a reference of while it is on a list. @kernel ksm_rmap_item.anon_vma */
  get anonVma(): AnonVma {
    const { holdsAnonVma } = this;
    if (holdsAnonVma === undefined) fail(`the KSM item of page ${this.vpn} is on no list`);
    return holdsAnonVma;
  }

  /** Stores the anon_vma whose reference the caller has taken, or forgets it after putting it. */
  setAnonVma(anonVma: AnonVma | undefined): void {
    this.holdsAnonVma = anonVma;
  }
}

/** One merged page: its folio points here, not to an anon_vma. @kernel ksm_stable_node */
export class KsmStableNode {
  /** Number in `KsmState.nodes`, from 1; stored in `Memory.mapping`. */
  readonly id: number;
  /** The merged page; it holds no reference, so it may be gone. @kernel ksm_stable_node.kpfn */
  pfn: number;
  /** Oldest first, so that appending is cheap; walks go backwards. @kernel ksm_stable_node.hlist */
  readonly items: KsmRmapItem[] = [];
  /**
   * Somebody else shared the page when it was merged, or got it back from swap after ksmd had found
   * the place empty. Such mappings have no item of their own until ksmd comes to them, if ever: Linux
   * cannot find them from the page.
   */
  wasShared = false;
  /** The chain that it is in. */
  readonly chain: KsmChain;

  constructor(id: number, pfn: number, chain: KsmChain) {
    this.id = id;
    this.pfn = pfn;
    this.chain = chain;
  }
}

/**
 * All merged pages with the same content: a place in the stable tree. One page stands there by
 * itself; a second makes a chain, which stays when its pages go, until a search comes by.
 */
export class KsmChain {
  /** What the pages hold. */
  readonly content: number;
  /** The first of the list last, so that adding one in front is cheap. @kernel ksm_stable_node.hlist_dup */
  readonly nodes: KsmStableNode[] = [];
  isChain = false;
  /** Its row in the stable tree. */
  treeRow = NIL;

  constructor(content: number) {
    this.content = content;
  }
}

/** One address space on ksmd's list. @kernel ksm_mm_slot */
export class KsmMmSlot {
  readonly mm: Mm;
  /** Ascending by page. @kernel ksm_mm_slot.rmap_list */
  items: KsmRmapItem[] = [];
  /** The address space is torn down; ksmd only drops the items. @kernel ksm_test_exit */
  isExiting = false;

  constructor(mm: Mm) {
    this.mm = mm;
  }
}
