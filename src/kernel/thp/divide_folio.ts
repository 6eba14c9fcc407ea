import { fail } from '../../base/errors.js';
import type { Kernel } from '../kernel.js';
import { folioMapcount, folioOrder, isAnonFolio } from '../phys/folio.js';
import { largeRow } from '../phys/large_folio.js';
import {
  PG_HEAD,
  PG_LOCKED,
  PG_LRU,
  PG_PER_PAGE,
  PG_PRIVATE,
  PG_SWAPCACHE,
  PG_TAIL,
  PG_UNEVICTABLE,
} from '../phys/page_flags.js';
import { countAnonFolio, folioUnqueueDeferredSplit } from './deferred.js';

/**
 * Makes one unmapped large folio into folios of 2^newOrder pages (spec 50 §11). Each gets a copy of
 * the flags, its part of the page cache or swap cache with the references of that, and its place on
 * the LRU list; the first keeps all other references. @kernel __split_folio_to_order
 */
export function divideFolio(kernel: Kernel, head: number, newOrder: number): void {
  const { memory, large, swap } = kernel;
  const order = folioOrder(kernel, head);
  if (newOrder >= order) fail(`folio ${head} of order ${order} is split to order ${newOrder}`);
  if (folioMapcount(kernel, head) !== 0) fail(`folio ${head} is split while mapped`);
  const pages = 2 ** order;
  const size = 2 ** newOrder;
  const flags = memory.flags[head];
  const isAnon = isAnonFolio(kernel, head);
  const isSwapCached = isAnon && (flags & PG_SWAPCACHE) !== 0;
  const isCached = isSwapCached || (!isAnon && memory.mapping[head] !== 0);
  const entry = isSwapCached ? swap.folioSlots.get(head) : 0;
  folioUnqueueDeferredSplit(kernel, head);
  if (isAnon) countSplit(kernel, order, newOrder);
  large.free(largeRow(kernel, head));
  if (isSwapCached) swap.folioSlots.delete(head);
  for (let piece = head; piece < head + pages; piece += size) {
    memory.memcg[piece] = memory.memcg[head];
    if (piece !== head) {
      setPieceFlags(kernel, piece, flags, newOrder);
      memory.mapping[piece] = memory.mapping[head];
      memory.index[piece] = memory.index[head] + (piece - head);
      memory.refcount[piece] = isCached ? size : 0;
      if (isCached) memory.refcount[head] -= size;
      if ((flags & PG_LRU) !== 0) addToList(kernel, piece, head);
    }
    for (let tail = piece + 1; tail < piece + size; tail += 1) memory.mapping[tail] = piece;
    if (newOrder > 0) memory.next[piece + 1] = large.alloc(piece, newOrder);
    if (isSwapCached) swap.folioSlots.add(piece, entry + (piece - head));
  }
  if (newOrder === 0) memory.flags[head] &= ~PG_HEAD;
}

function countSplit(kernel: Kernel, order: number, newOrder: number): void {
  countAnonFolio(kernel, order, -1);
  if (newOrder > 0) countAnonFolio(kernel, newOrder, 2 ** (order - newOrder));
}

function setPieceFlags(kernel: Kernel, piece: number, headFlags: number, newOrder: number): void {
  const { flags } = kernel.memory;
  const own = flags[piece] & PG_PER_PAGE & ~PG_TAIL;
  const copied = headFlags & ~(PG_PER_PAGE | PG_HEAD | PG_LRU | PG_LOCKED | PG_PRIVATE);
  flags[piece] = own | copied | (newOrder > 0 ? PG_HEAD : 0);
}

/** The piece goes in front of the folio; an unevictable one starts with a lock count of none. */
function addToList(kernel: Kernel, piece: number, head: number): void {
  kernel.lru.addBefore(piece, head);
  if ((kernel.memory.flags[piece] & PG_UNEVICTABLE) !== 0) kernel.memory.previous[piece] = 0;
}
