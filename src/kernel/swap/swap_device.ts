import { fail } from '../../base/errors.js';
import { NIL } from '../../base/units.js';
import { swapEntry } from '../pgtable/pte.js';
import { SlotClusters } from './slot_clusters.js';

/** `zram`: written at once; `file`: written later, the folio stays in the cache meanwhile. */
export type SwapKind = 'zram' | 'file';

/** Bits of a slot's usage word: references from page tables and shmem. @kernel SWAP_MAP_MAX */
const SWAP_MAP_MAX = 0x3e;
const COUNT_MASK = 0x3f;
/** The slot has a folio in the swap cache, or one is being read. @kernel SWAP_HAS_CACHE */
const SWAP_HAS_CACHE = 0x40;
/** More references than fit: `continuation` has the rest. @kernel COUNT_CONTINUED */
const COUNT_CONTINUED = 0x80;
/** The header slot, never used. @kernel SWAP_MAP_BAD */
const SWAP_MAP_BAD = 0x3f;

/** Bit of `notes`, beside `NOTE_*`: the folio that was written was zero in all its pages. */
export const SLOT_ZERO = 1;
/** Order of the folio that was written, above the bits. */
export const SLOT_ORDER_SHIFT = 4;

/**
 * One swap area: a usage word, the word that the page held, and the cached page of each slot.
 * Slot 0 is the header. @kernel swap_info_struct
 */
export class SwapDevice {
  readonly type: number;
  readonly kind: SwapKind;
  readonly slotCount: number;
  /** References and cache bit by slot. @kernel swap_info_struct.swap_map */
  private readonly usage: Uint8Array;
  /** References beyond `SWAP_MAP_MAX`. @kernel swap_count_continued */
  private readonly continuation = new Map<number, number>();
  private readonly clusters: SlotClusters;
  /** First word of the page in the slot. */
  readonly content: Uint32Array;
  /** pfn + 1 of the cached page; 0 = none. @kernel swapper_spaces */
  readonly cachedPage: Int32Array;
  /** `SLOT_*` bits. */
  readonly notes: Uint8Array;
  /** Control group that the page was charged to. @kernel swap_cgroup */
  readonly memcg: Uint8Array;
  freeSlots: number;
  /** False while swapoff empties the area. @kernel SWP_WRITEOK */
  acceptsWrites = true;

  constructor(type: number, kind: SwapKind, slotCount: number) {
    this.type = type;
    this.kind = kind;
    this.slotCount = slotCount;
    this.usage = new Uint8Array(slotCount);
    this.usage[0] = SWAP_MAP_BAD;
    this.clusters = new SlotClusters(this.usage);
    this.content = new Uint32Array(slotCount);
    this.cachedPage = new Int32Array(slotCount);
    this.notes = new Uint8Array(slotCount);
    this.memcg = new Uint8Array(slotCount);
    this.freeSlots = slotCount - 1;
  }

  /** Reads and writes end before the call returns. @kernel SWP_SYNCHRONOUS_IO */
  get isSynchronous(): boolean {
    return this.kind === 'zram';
  }

  /** Slots in use, without the header. */
  get usedSlots(): number {
    return this.slotCount - 1 - this.freeSlots;
  }

  /** Swap entry of a slot. */
  entryOf(slot: number): number {
    return swapEntry(this.type, slot);
  }

  /** References from page tables and shmem. @kernel swp_swapcount */
  count(slot: number): number {
    const usage = this.usage[slot];
    const own = usage & COUNT_MASK;
    return (usage & COUNT_CONTINUED) === 0 ? own : own + (this.continuation.get(slot) ?? 0);
  }

  /** Whether the slot's page is in the cache or on its way there. */
  hasCache(slot: number): boolean {
    return (this.usage[slot] & SWAP_HAS_CACHE) !== 0;
  }

  isFree(slot: number): boolean {
    return this.usage[slot] === 0;
  }

  /**
   * Takes 2^order aligned slots for the cache, without references. Returns the first, or NIL if
   * there is no such run. Files hand out single slots only (spec 98 §2).
   */
  alloc(order: number): number {
    if (!this.acceptsWrites) return NIL;
    if (this.freeSlots < 2 ** order || (order > 0 && this.kind === 'file')) return NIL;
    const slot = this.clusters.find(order);
    if (slot === NIL) return NIL;
    const end = slot + 2 ** order;
    for (let i = slot; i < end; i += 1) {
      this.usage[i] = SWAP_HAS_CACHE;
      this.notes[i] = 0;
    }
    this.clusters.taken(slot, order);
    this.freeSlots -= 2 ** order;
    return slot;
  }

  /** One more reference. @kernel swap_duplicate */
  duplicate(slot: number): void {
    const usage = this.usage[slot];
    if (usage === 0) fail(`free swap slot ${slot} is duplicated`);
    if ((usage & COUNT_MASK) < SWAP_MAP_MAX) {
      this.usage[slot] = usage + 1;
      return;
    }
    this.usage[slot] = usage | COUNT_CONTINUED;
    this.continuation.set(slot, (this.continuation.get(slot) ?? 0) + 1);
  }

  /** Drops one reference; returns those that are left. Frees the slot with the last use. */
  release(slot: number): number {
    const usage = this.usage[slot];
    const own = usage & COUNT_MASK;
    if (own === 0) fail(`swap slot ${slot} has no reference to drop`);
    if ((usage & COUNT_CONTINUED) !== 0) {
      const more = (this.continuation.get(slot) ?? 0) - 1;
      if (more > 0) {
        this.continuation.set(slot, more);
      } else {
        this.continuation.delete(slot);
        this.usage[slot] = usage & ~COUNT_CONTINUED;
      }
      return own + more;
    }
    this.usage[slot] = usage - 1;
    if (usage === 1) this.free(slot);
    return own - 1;
  }

  /** Claims the cache of a slot for a read. False if somebody has it. @kernel swapcache_prepare */
  claimCache(slot: number): boolean {
    if ((this.usage[slot] & SWAP_HAS_CACHE) !== 0) return false;
    this.usage[slot] |= SWAP_HAS_CACHE;
    return true;
  }

  /** Gives the cache of a slot up; frees the slot with its last use. @kernel swapcache_clear */
  dropCache(slot: number): void {
    this.cachedPage[slot] = 0;
    const usage = this.usage[slot] & ~SWAP_HAS_CACHE;
    this.usage[slot] = usage;
    if (usage === 0) this.free(slot);
  }

  private free(slot: number): void {
    this.freeSlots += 1;
    this.clusters.freed(slot);
  }
}
