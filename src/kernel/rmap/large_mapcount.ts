/**
 * The total mapcount of a large folio and the two slots that track which mms map it (spec 20 §4).
 *
 * `row` is the folio's row in `Kernel.large`; counts are 1-based, so a free slot has id 0 and
 * count 0. The slots are a heuristic that may say "shared" of a folio that is not, never the
 * reverse. Every function is one critical section of the large-mapcount lock: nothing else runs
 * inside, so there is no point between lock and unlock.
 */
import { fail } from '../../base/errors.js';
import type { Kernel } from '../kernel.js';
import { MM_ID_DUMMY } from '../phys/large_folio.js';
import type { Mm } from '../vm/mm.js';

/** Smallest id of a real mm. @kernel MM_ID_MIN */
export const MM_ID_MIN = 1;

/** Widths of the id and count words of one build. */
export interface MmIdLayout {
  /** Bits of an id; the bit above is a flag. @kernel MM_ID_BITS */
  readonly idBits: number;
  /** Largest id, and mask of the id bits. @kernel MM_ID_MASK @kernel MM_ID_MAX */
  readonly idMax: number;
  /** Largest stored count of a slot (one less than the 1-based count). @kernel MM_ID_MAPCOUNT_MAX */
  readonly mapcountMax: number;
  /** Bit of the lock in the word of both ids. @kernel FOLIO_MM_IDS_LOCK_BITNUM */
  readonly lockBitNumber: number;
  /** Bit of "maybe mapped shared" in that word. @kernel FOLIO_MM_IDS_SHARED_BITNUM */
  readonly sharedBitNumber: number;
}

const LAYOUT_64: MmIdLayout = {
  idBits: 31,
  idMax: 0x7fff_ffff,
  mapcountMax: 0x7fff_ffff,
  lockBitNumber: 31,
  sharedBitNumber: 63,
};

const LAYOUT_32: MmIdLayout = {
  idBits: 15,
  idMax: 0x7fff,
  mapcountMax: 0x7fff,
  lockBitNumber: 15,
  sharedBitNumber: 31,
};

/** Word widths of the machine's profile; meaningless without MM ids. */
export function mmIdLayout(kernel: Kernel): MmIdLayout {
  return kernel.profile.mmIds === '32-bit' ? LAYOUT_32 : LAYOUT_64;
}

/** Takes the bit lock of the slots. @kernel folio_lock_large_mapcount */
export function folioLockLargeMapcount(kernel: Kernel, row: number): void {
  const { locked } = kernel.large;
  if (locked[row] !== 0) fail(`the large-mapcount lock of row ${row} is taken while held`);
  locked[row] = 1;
}

/** @kernel folio_unlock_large_mapcount */
export function folioUnlockLargeMapcount(kernel: Kernel, row: number): void {
  const { locked } = kernel.large;
  if (locked[row] !== 1) fail(`the large-mapcount lock of row ${row} is released but not held`);
  locked[row] = 0;
}

/** Id in slot 0 or 1; 0 = free. @kernel folio_mm_id */
export function folioMmId(kernel: Kernel, row: number, slot: 0 | 1): number {
  return slot === 0 ? kernel.large.mmId0[row] : kernel.large.mmId1[row];
}

/**
 * First mappings of a folio that nobody else can see yet: the total and slot 0.
 * @kernel folio_set_large_mapcount
 */
export function folioSetLargeMapcount(kernel: Kernel, row: number, mapcount: number, mm: Mm): void {
  const { large } = kernel;
  if (large.largeMapcount[row] !== 0) fail(`fresh large folio of row ${row} is already mapped`);
  large.largeMapcount[row] = mapcount;
  if (kernel.profile.mmIds === 'none') return;
  checkSlots(kernel, row, mapcount, mm);
  if (large.mmId0[row] !== MM_ID_DUMMY || large.mmId1[row] !== MM_ID_DUMMY) {
    fail(`fresh large folio of row ${row} has a used mm-id slot`);
  }
  setSlot0(kernel, row, mm.mmId, mapcount);
}

/**
 * Adds `diff` mappings by `mm`. Returns the new total. Never clears "maybe shared".
 * @kernel folio_add_return_large_mapcount @kernel folio_add_large_mapcount
 * @kernel folio_inc_large_mapcount @kernel folio_inc_return_large_mapcount
 */
export function folioAddReturnLargeMapcount(
  kernel: Kernel,
  row: number,
  diff: number,
  mm: Mm,
): number {
  const { large } = kernel;
  const total = large.largeMapcount[row] + diff;
  if (kernel.profile.mmIds === 'none') {
    large.largeMapcount[row] = total;
    return total;
  }
  folioLockLargeMapcount(kernel, row);
  checkSlots(kernel, row, diff, mm);
  large.largeMapcount[row] = total;
  const mmId = mm.mmId;
  if (large.mmId0[row] === mmId) {
    const count = large.mmIdMapcount0[row] + diff;
    large.mmIdMapcount0[row] = count;
    if (overflows(kernel, count)) {
      setSlot0(kernel, row, MM_ID_DUMMY, 0);
      large.shared[row] = 1;
    }
  } else if (large.mmId1[row] === mmId) {
    const count = large.mmIdMapcount1[row] + diff;
    large.mmIdMapcount1[row] = count;
    if (overflows(kernel, count)) {
      setSlot1(kernel, row, MM_ID_DUMMY, 0);
      large.shared[row] = 1;
    }
  } else if (large.mmId0[row] === MM_ID_DUMMY) {
    setSlot0(kernel, row, mmId, diff);
    // Others map the folio too: without a slot of their own, or in slot 1.
    if (total !== diff) large.shared[row] = 1;
  } else if (large.mmId1[row] === MM_ID_DUMMY) {
    setSlot1(kernel, row, mmId, diff);
    large.shared[row] = 1;
  }
  folioUnlockLargeMapcount(kernel, row);
  return total;
}

/**
 * Takes `diff` mappings by `mm` away. Returns the new total. Clears "maybe shared" when the slot
 * that remains accounts for every mapping.
 * @kernel folio_sub_return_large_mapcount @kernel folio_sub_large_mapcount
 * @kernel folio_dec_large_mapcount @kernel folio_dec_return_large_mapcount
 */
export function folioSubReturnLargeMapcount(
  kernel: Kernel,
  row: number,
  diff: number,
  mm: Mm,
): number {
  const { large } = kernel;
  const total = large.largeMapcount[row] - diff;
  if (total < 0) fail(`large folio of row ${row} has ${total} mappings`);
  if (kernel.profile.mmIds === 'none') {
    large.largeMapcount[row] = total;
    return total;
  }
  folioLockLargeMapcount(kernel, row);
  checkSlots(kernel, row, diff, mm);
  large.largeMapcount[row] = total;
  const mmId = mm.mmId;
  let ownSlotRemains = false;
  if (large.mmId0[row] === mmId) {
    const count = large.mmIdMapcount0[row] - diff;
    ownSlotRemains = count >= 1;
    // Mappings made while no slot was free are uncounted, so the count may fall below zero.
    if (ownSlotRemains) large.mmIdMapcount0[row] = count;
    else setSlot0(kernel, row, MM_ID_DUMMY, 0);
  } else if (large.mmId1[row] === mmId) {
    const count = large.mmIdMapcount1[row] - diff;
    ownSlotRemains = count >= 1;
    if (ownSlotRemains) large.mmIdMapcount1[row] = count;
    else setSlot1(kernel, row, MM_ID_DUMMY, 0);
  }
  if (
    !ownSlotRemains &&
    (large.mmIdMapcount0[row] === total || large.mmIdMapcount1[row] === total)
  ) {
    large.shared[row] = 0;
  }
  folioUnlockLargeMapcount(kernel, row);
  return total;
}

/** The stored count is signed: one more than its largest value is negative (32-bit only). */
function overflows(kernel: Kernel, count: number): boolean {
  return kernel.profile.mmIds === '32-bit' && count - 1 > LAYOUT_32.mapcountMax;
}

/** @kernel folio_set_mm_id */
function setSlot0(kernel: Kernel, row: number, mmId: number, count: number): void {
  kernel.large.mmId0[row] = mmId;
  kernel.large.mmIdMapcount0[row] = count;
}

function setSlot1(kernel: Kernel, row: number, mmId: number, count: number): void {
  kernel.large.mmId1[row] = mmId;
  kernel.large.mmIdMapcount1[row] = count;
}

/** What must hold before each change (spec 20 §4.7). @kernel __folio_large_mapcount_sanity_checks */
function checkSlots(kernel: Kernel, row: number, diff: number, mm: Mm): void {
  const { large } = kernel;
  const layout = mmIdLayout(kernel);
  const pages = 1 << large.order[row];
  if (diff < 1 || diff > pages)
    fail(`${diff} mappings of a folio of ${pages} pages change at once`);
  if (pages - 1 > layout.mapcountMax) fail(`a folio of ${pages} pages is too large for mm ids`);
  if (mm.mmId < MM_ID_MIN || mm.mmId > layout.idMax) fail(`mm id ${mm.mmId} is out of range`);
  const id0 = large.mmId0[row];
  const id1 = large.mmId1[row];
  const count0 = large.mmIdMapcount0[row];
  const count1 = large.mmIdMapcount1[row];
  if ((id0 === MM_ID_DUMMY) !== (count0 === 0) || (id1 === MM_ID_DUMMY) !== (count1 === 0)) {
    fail(`mm-id slots of row ${row} disagree with their counts: ${id0}:${count0} ${id1}:${count1}`);
  }
  if (id0 !== MM_ID_DUMMY && id0 === id1) fail(`both mm-id slots of row ${row} hold ${id0}`);
  if (large.shared[row] !== 0 && large.largeMapcount[row] === 0) {
    fail(`unmapped large folio of row ${row} is marked shared`);
  }
}
