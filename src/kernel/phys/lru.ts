import { NIL } from '../../base/units.js';
import type { Memory } from './memory.js';
import { PG_ACTIVE, PG_LRU, PG_SWAPBACKED, PG_UNEVICTABLE } from './page_flags.js';

/** @kernel lru_list */
export const LRU_INACTIVE_ANON = 0;
export const LRU_ACTIVE_ANON = 1;
export const LRU_INACTIVE_FILE = 2;
export const LRU_ACTIVE_FILE = 3;
/** Unevictable folios are counted but not linked: their back link is the mlock count. */
export const LRU_UNEVICTABLE = 4;
const LIST_COUNT = 5;

/**
 * Lists of folios in order of use; head = newest. Linked through the memory map's `next` and
 * `previous`. Folios enter at once: the per-CPU batches of Linux are drained in every state that
 * can be compared (cases/README), so they are left out. @kernel lruvec
 */
export class LruLists {
  private readonly memory: Memory;
  readonly head = new Int32Array(LIST_COUNT).fill(NIL);
  readonly tail = new Int32Array(LIST_COUNT).fill(NIL);
  readonly length = new Int32Array(LIST_COUNT);

  constructor(memory: Memory) {
    this.memory = memory;
  }

  /** List that a folio with these flags belongs to. @kernel folio_lru_list */
  static listOf(flags: number): number {
    if ((flags & PG_UNEVICTABLE) !== 0) return LRU_UNEVICTABLE;
    const base = (flags & PG_SWAPBACKED) === 0 ? LRU_INACTIVE_FILE : LRU_INACTIVE_ANON;
    return (flags & PG_ACTIVE) === 0 ? base : base + 1;
  }

  /** Puts a folio at the head of its list and sets PG_lru. @kernel lruvec_add_folio */
  add(folio: number): void {
    const { next, previous, flags } = this.memory;
    const list = LruLists.listOf(flags[folio]);
    flags[folio] |= PG_LRU;
    this.length[list] += 1;
    if (list === LRU_UNEVICTABLE) return;
    const old = this.head[list];
    next[folio] = old;
    previous[folio] = NIL;
    if (old === NIL) this.tail[list] = folio;
    else previous[old] = folio;
    this.head[list] = folio;
  }

  /** Puts a folio at the tail of its list: next to be reclaimed. @kernel lruvec_add_folio_tail */
  addTail(folio: number): void {
    const { next, previous, flags } = this.memory;
    const list = LruLists.listOf(flags[folio]);
    if (list === LRU_UNEVICTABLE) {
      this.add(folio);
      return;
    }
    flags[folio] |= PG_LRU;
    this.length[list] += 1;
    const old = this.tail[list];
    previous[folio] = old;
    next[folio] = NIL;
    if (old === NIL) this.head[list] = folio;
    else next[old] = folio;
    this.tail[list] = folio;
  }

  /** Puts a folio in front of one that is on the list it belongs to. @kernel lru_add_split_folio */
  addBefore(folio: number, other: number): void {
    const { next, previous, flags } = this.memory;
    const list = LruLists.listOf(flags[folio]);
    flags[folio] |= PG_LRU;
    this.length[list] += 1;
    if (list === LRU_UNEVICTABLE) return;
    const before = previous[other];
    previous[folio] = before;
    next[folio] = other;
    previous[other] = folio;
    if (before === NIL) this.head[list] = folio;
    else next[before] = folio;
  }

  /** Takes a folio off its list and clears PG_lru; its list flags must not have changed since. */
  remove(folio: number): void {
    const { flags } = this.memory;
    const now = flags[folio];
    flags[folio] = now & ~PG_LRU;
    this.unlink(folio, now);
  }

  /** The same for a folio with these flags that is about to be freed: its flags stay as they are. */
  unlink(folio: number, flags: number): void {
    const { next, previous } = this.memory;
    const list = LruLists.listOf(flags);
    this.length[list] -= 1;
    if (list === LRU_UNEVICTABLE) return;
    const after = next[folio];
    const before = previous[folio];
    if (after === NIL) this.tail[list] = before;
    else previous[after] = before;
    if (before === NIL) this.head[list] = after;
    else next[before] = after;
  }

  /**
   * Changes flags that decide the list (active, swapbacked, unevictable), moving a listed folio to
   * the head of its new list.
   */
  change(folio: number, set: number, clear: number): void {
    const { flags } = this.memory;
    const listed = (flags[folio] & PG_LRU) !== 0;
    if (listed) this.remove(folio);
    flags[folio] = (flags[folio] & ~clear) | set;
    if (listed) this.add(folio);
  }
}
