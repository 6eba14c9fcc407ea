/**
 * Small anonymous folios that are reclaimed together. Neighbours are mapped by the same VMAs, so
 * their accessed bits are collected and their mappings removed VMA by VMA instead of folio by
 * folio: each VMA and page table is touched once a run. Where other CPUs could come in between the
 * folios (the check build), or a model of TLBs or secondary users watches, each is walked by
 * itself; the outcome is the same.
 */
import { fail } from '../../base/errors.js';
import { ENTRIES_PER_TABLE, NIL } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import { canInterleave } from '../op/prims.js';
import { GUP_PIN_COUNTING_BIAS } from '../phys/folio.js';
import { MAPPING_ANON, MAPPING_TAG_MASK } from '../phys/memory.js';
import { mlockVmaFolio } from '../phys/mlock.js';
import {
  PG_ANON_EXCLUSIVE,
  PG_HEAD,
  PG_HWPOISON,
  PG_IDLE,
  PG_LOCKED,
  PG_MLOCKED,
  PG_SWAPBACKED,
  PG_SWAPCACHE,
  PG_WRITEBACK,
  PG_YOUNG,
} from '../phys/page_flags.js';
import {
  isDeviceEntry,
  KIND_SWAP,
  PTE_PRESENT,
  PTE_SOFT_DIRTY,
  PTE_SWP_EXCLUSIVE,
  PTE_TABLE,
  PTE_UFFD_WP,
  PTE_YOUNG,
} from '../pgtable/pte.js';
import type { AnonVma } from '../rmap/anon_vma_types.js';
import type { SwapDevice } from '../swap/swap_device.js';
import { MM_ANONPAGES, MM_SWAPENTS } from '../vm/mm.js';
import { hasRecency, type Vma } from '../vm/vma.js';
import { VM_LOCKED } from '../vm/vm_flags.js';

/** Longer runs do not pay more. */
const MAX_RUN = 512;

/**
 * A run whose members are being visited. One object serves all runs of a batch: `length` members
 * are valid.
 */
export class AnonRun {
  length = 0;
  anonVma: AnonVma | undefined = undefined;
  readonly heads = new Int32Array(MAX_RUN);
  /** Swap slot, or NIL. */
  readonly slots = new Int32Array(MAX_RUN);
  /** VMAs that used the member (-1: it dies with its process), and the flags of those. */
  readonly referenced = new Int32Array(MAX_RUN);
  readonly vmFlags = new Int32Array(MAX_RUN);
  /** Mappings that the walk has not met yet. */
  readonly unmet = new Int32Array(MAX_RUN);
  /** 1 while the member's walk goes on, and how many of those there are. */
  readonly isWalked = new Uint8Array(MAX_RUN);
  walkedCount = 0;

  /** The member's walk is over. */
  stop(member: number): void {
    this.isWalked[member] = 0;
    this.walkedCount -= 1;
  }
}

/** The swap area that a run may fill at once, without becoming full; undefined if none may. */
export function areaForRuns(kernel: Kernel): SwapDevice | undefined {
  if (canInterleave || kernel.tlb !== undefined || !kernel.notifiers.isEmpty) return undefined;
  const device = kernel.swap.devices[0];
  if (device === undefined || !device.isSynchronous || !device.acceptsWrites) return undefined;
  return (device.freeSlots - MAX_RUN) * 2 > device.slotCount ? device : undefined;
}

/**
 * Moves the longest run off the end of `pending` (whose end comes first) into `run`. False, with
 * nothing taken, if there are not two folios to go together.
 */
export function takeRun(kernel: Kernel, pending: number[], run: AnonRun): boolean {
  const { mapping, index } = kernel.memory;
  const last = pending.length - 1;
  const owner = mapping[pending[last]];
  if ((owner & MAPPING_TAG_MASK) !== MAPPING_ANON) return false;
  const anonVma = kernel.anonVmas[owner >> 2];
  if (anonVma.root.rwsem.writers !== 0) return false;
  const most = Math.min(last + 1, MAX_RUN);
  let count = 0;
  let before = -1;
  while (count < most) {
    const head = pending[last - count];
    if (mapping[head] !== owner || index[head] <= before || !isPlain(kernel, head)) break;
    before = index[head];
    run.heads[count] = head;
    run.slots[count] = NIL;
    count += 1;
  }
  if (count < 2) return false;
  pending.length -= count;
  run.length = count;
  run.anonVma = anonVma;
  return true;
}

/** Mapped, on no way out yet, and without anything that needs a closer look. */
function isPlain(kernel: Kernel, head: number): boolean {
  const { flags, refcount, mapcount } = kernel.memory;
  const odd =
    PG_HEAD | PG_LOCKED | PG_SWAPCACHE | PG_MLOCKED | PG_WRITEBACK | PG_HWPOISON | PG_SWAPBACKED;
  return (
    (flags[head] & odd) === PG_SWAPBACKED &&
    mapcount[head] > 0 &&
    refcount[head] < GUP_PIN_COUNTING_BIAS
  );
}

/** Asks all mappings for their accessed bits and clears those: `folioReferenced` of each member. */
export function collectReferences(kernel: Kernel, run: AnonRun, memcg: number): void {
  const { mapcount } = kernel.memory;
  for (let member = 0; member < run.length; member += 1) {
    run.isWalked[member] = 1;
    run.unmet[member] = mapcount[run.heads[member]];
    run.referenced[member] = 0;
    run.vmFlags[member] = 0;
  }
  run.walkedCount = run.length;
  visitVmas(kernel, run, (vma, from, to) => {
    if (!hasRecency(vma) || (memcg !== 0 && vma.mm.memcg !== memcg)) return;
    referencedInVma(kernel, run, vma, from, to);
  });
}

/** Removes all mappings of the members with a slot: `tryToUnmap` of each. */
export function unmapRun(kernel: Kernel, run: AnonRun, device: SwapDevice): void {
  run.walkedCount = 0;
  for (let member = 0; member < run.length; member += 1) {
    const isWanted = run.slots[member] !== NIL;
    run.isWalked[member] = isWanted ? 1 : 0;
    if (isWanted) run.walkedCount += 1;
  }
  visitVmas(kernel, run, (vma, from, to) => unmapInVma(kernel, run, device, vma, from, to));
}

/**
 * Calls `visit` for each VMA on the anon_vma's tree in order, with the members [from, to) whose
 * page offset lies in it.
 */
function visitVmas(
  kernel: Kernel,
  run: AnonRun,
  visit: (vma: Vma, from: number, to: number) => void,
): void {
  const { intervals, vmaOfRow, work } = kernel;
  const { index } = kernel.memory;
  const { heads, length, anonVma } = run;
  if (anonVma === undefined) fail('a run of folios has no anon_vma');
  const first = index[heads[0]];
  const last = index[heads[length - 1]];
  let row = intervals.iterFirst(anonVma.tree, first, last);
  while (row !== NIL && run.walkedCount > 0) {
    const vma = vmaOfRow[row];
    if (vma === undefined) fail(`row ${row} of an anon_vma tree has no VMA`);
    const { pgoff, lastPgoff } = vma;
    let from = 0;
    while (from < length && index[heads[from]] < pgoff) from += 1;
    let to = length;
    while (to > from && index[heads[to - 1]] > lastPgoff) to -= 1;
    if (to - from === length) work.rmapVmasVisited += run.walkedCount;
    else
      for (let member = from; member < to; member += 1)
        work.rmapVmasVisited += run.isWalked[member];
    if (from < to) visit(vma, from, to);
    row = intervals.iterNext(row, first, last);
  }
}

/**
 * First entry of the PTE table that covers `vpn`, or NIL. A small folio is never mapped by an upper
 * level.
 */
function tableOf(kernel: Kernel, pgd: number, vpn: number): number {
  const { pageTables } = kernel;
  const pmd = pageTables.findPmd(pgd, vpn);
  const isTable = pmd !== NIL && (pageTables.flags[pmd] & PTE_TABLE) !== 0;
  return isTable ? pageTables.payload[pmd] * ENTRIES_PER_TABLE : NIL;
}

function referencedInVma(kernel: Kernel, run: AnonRun, vma: Vma, from: number, to: number): void {
  const { memory, pageTables, work } = kernel;
  const { index, flags, mapcount } = memory;
  const { heads, isWalked } = run;
  const { payload } = pageTables;
  const ptes = pageTables.flags;
  const { pgd } = vma.mm;
  const shift = vma.start - vma.pgoff;
  let tableStart = -ENTRIES_PER_TABLE;
  let table = NIL;
  for (let member = from; member < to; member += 1) {
    if (isWalked[member] === 0) continue;
    const head = heads[member];
    const vpn = index[head] + shift;
    if (vpn - tableStart >= ENTRIES_PER_TABLE) {
      tableStart = vpn - (vpn & (ENTRIES_PER_TABLE - 1));
      table = tableOf(kernel, pgd, vpn);
    }
    const entry = table + (vpn - tableStart);
    let isUsed = false;
    if (table !== NIL && payload[entry] === head && isMapping(ptes[entry])) {
      work.rmapMappingsFound += 1;
      run.unmet[member] -= 1;
      if ((vma.flags & VM_LOCKED) !== 0) {
        mlockVmaFolio(kernel, head, vma);
        run.vmFlags[member] |= VM_LOCKED;
        run.stop(member);
        continue;
      }
      if (vma.mm.users <= 0 && mapcount[head] <= 1) {
        run.referenced[member] = -1;
        run.stop(member);
        continue;
      }
      const wanted = PTE_PRESENT | PTE_YOUNG;
      if ((ptes[entry] & wanted) === wanted) {
        ptes[entry] &= ~PTE_YOUNG;
        flags[head] &= ~PG_IDLE;
        isUsed = true;
      }
    }
    if ((flags[head] & PG_YOUNG) !== 0) {
      flags[head] &= ~PG_YOUNG;
      isUsed = true;
    }
    if (isUsed) {
      run.referenced[member] += 1;
      run.vmFlags[member] |= vma.flags & ~VM_LOCKED;
    }
    if (run.unmet[member] === 0) run.stop(member);
  }
}

/** Present, or a device entry that counts as a mapping. */
function isMapping(pte: number): boolean {
  return (pte & PTE_PRESENT) !== 0 || isDeviceEntry(pte);
}

function unmapInVma(
  kernel: Kernel,
  run: AnonRun,
  device: SwapDevice,
  vma: Vma,
  from: number,
  to: number,
): void {
  const { memory, pageTables } = kernel;
  const { index, flags, mapcount, refcount } = memory;
  const { heads, slots, isWalked } = run;
  const { payload } = pageTables;
  const ptes = pageTables.flags;
  const { pgd, rss } = vma.mm;
  const isLocked = (vma.flags & VM_LOCKED) !== 0;
  const shift = vma.start - vma.pgoff;
  const firstEntry = device.entryOf(0);
  let tableStart = -ENTRIES_PER_TABLE;
  let table = NIL;
  let found = 0;
  let unmapped = 0;
  let lastMappings = 0;
  for (let member = from; member < to; member += 1) {
    if (isWalked[member] === 0) continue;
    const head = heads[member];
    const vpn = index[head] + shift;
    if (vpn - tableStart >= ENTRIES_PER_TABLE) {
      tableStart = vpn - (vpn & (ENTRIES_PER_TABLE - 1));
      table = tableOf(kernel, pgd, vpn);
    }
    if (table === NIL) continue;
    const entry = table + (vpn - tableStart);
    const pte = ptes[entry];
    if (payload[entry] !== head || !isMapping(pte)) continue;
    found += 1;
    if (isLocked) {
      mlockVmaFolio(kernel, head, vma);
      run.stop(member);
      continue;
    }
    const page = flags[head];
    const slot = slots[member];
    device.duplicate(slot);
    payload[entry] = firstEntry + slot;
    ptes[entry] =
      KIND_SWAP |
      (pte & (PTE_SOFT_DIRTY | PTE_UFFD_WP)) |
      ((page & PG_ANON_EXCLUSIVE) === 0 ? 0 : PTE_SWP_EXCLUSIVE);
    flags[head] = page & ~PG_ANON_EXCLUSIVE;
    refcount[head] -= 1;
    unmapped += 1;
    const left = mapcount[head] - 1;
    mapcount[head] = left;
    if (left === 0) {
      lastMappings += 1;
      run.stop(member);
    }
  }
  kernel.work.rmapMappingsFound += found;
  kernel.stats.anonMapped -= lastMappings;
  rss[MM_ANONPAGES] -= unmapped;
  rss[MM_SWAPENTS] += unmapped;
}
