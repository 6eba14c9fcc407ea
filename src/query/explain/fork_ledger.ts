import { PAGE_SIZE_BYTES } from '../../base/units.js';
import type { ForkEnds } from './report.js';

/** What became of a page that parent and child shared when the child was born. */
export const FATE = {
  /** Was not shared. */
  none: 0,
  shared: 1,
  childWrote: 2,
  parentWrote: 3,
  childDiscarded: 4,
  parentDiscarded: 5,
  childExec: 6,
  parentExec: 7,
  childExit: 8,
  parentExit: 9,
  other: 10,
} as const;

export type Fate = (typeof FATE)[keyof typeof FATE];

const FATES = 11;
const BLOCK_PAGES = 512;

/** Pages of one VMA of the child at birth. */
export interface ForkArea {
  readonly region: number;
  readonly start: number;
  readonly end: number;
}

interface Block {
  readonly fate: Uint8Array;
  /** When the sharing of a page ended, nanoseconds; empty once the block is sealed. */
  endNs: Float64Array;
  /** Sealed: what most pages have, and the slots with another time. */
  mostNs: number;
  slots: Uint16Array;
  slotNs: Float64Array;
}

/** One fork: every page that the two had in common, until one of them loses it. */
export class ForkLedger {
  readonly parent: number;
  readonly child: number;
  readonly timeNs: number;
  readonly copiedEntries: number;
  hugePages = 0;
  bornInWindow = true;
  readonly areas: ForkArea[] = [];
  /** Number of pages by fate. */
  readonly counts = new Float64Array(FATES);
  private readonly blocks = new Map<number, Block>();

  constructor(parent: number, child: number, timeNs: number, copiedEntries: number) {
    this.parent = parent;
    this.child = child;
    this.timeNs = timeNs;
    this.copiedEntries = copiedEntries;
  }

  /** Notes that a page is shared from now on. */
  begin(vpn: number): void {
    const number = Math.floor(vpn / BLOCK_PAGES);
    let block = this.blocks.get(number);
    if (block === undefined) {
      block = {
        fate: new Uint8Array(BLOCK_PAGES),
        endNs: new Float64Array(BLOCK_PAGES),
        mostNs: 0,
        slots: new Uint16Array(0),
        slotNs: new Float64Array(0),
      };
      this.blocks.set(number, block);
    }
    block.fate[vpn % BLOCK_PAGES] = FATE.shared;
    this.add(FATE.shared, 1);
  }

  /** Ends the sharing of a page; returns whether it was still shared. */
  end(vpn: number, fate: Fate, timeNs: number): boolean {
    const block = this.blocks.get(Math.floor(vpn / BLOCK_PAGES));
    const slot = vpn % BLOCK_PAGES;
    if (block === undefined || block.fate[slot] !== FATE.shared) return false;
    block.fate[slot] = fate;
    block.endNs[slot] = timeNs;
    this.add(FATE.shared, -1);
    this.add(fate, 1);
    return true;
  }

  /** Forgets what ended so far: the pages still shared are the new beginning. */
  rebase(): void {
    this.bornInWindow = false;
    this.counts.fill(0, FATE.shared + 1);
    for (const { fate } of this.blocks.values()) {
      for (let slot = 0; slot < BLOCK_PAGES; slot += 1) {
        if (fate[slot] !== FATE.shared) fate[slot] = FATE.none;
      }
    }
  }

  /**
   * Nothing is shared any more: keeps the times in little memory. Most pages end together, with
   * their process.
   */
  seal(): void {
    for (const block of this.blocks.values()) if (block.endNs.length > 0) sealBlock(block);
  }

  /** Visits pages that were shared, by address. */
  forEachPage(visit: (vpn: number, fate: number, endNs: number) => void): void {
    const numbers = [...this.blocks.keys()].sort((a, b) => a - b);
    for (const number of numbers) {
      const block = this.blocks.get(number);
      if (block === undefined) continue;
      const isSealed = block.endNs.length === 0;
      let next = 0;
      for (let slot = 0; slot < BLOCK_PAGES; slot += 1) {
        let endNs = block.endNs[slot] ?? block.mostNs;
        if (isSealed && block.slots[next] === slot) {
          endNs = block.slotNs[next] ?? 0;
          next += 1;
        }
        const fate = block.fate[slot] ?? 0;
        if (fate !== FATE.none) visit(number * BLOCK_PAGES + slot, fate, endNs);
      }
    }
  }

  /** Pages that were shared at the beginning. */
  get born(): number {
    let pages = 0;
    for (let fate = FATE.shared; fate < FATES; fate += 1) pages += this.counts[fate] ?? 0;
    return pages;
  }

  /** Pages whose sharing a write ended. */
  get written(): number {
    return (this.counts[FATE.childWrote] ?? 0) + (this.counts[FATE.parentWrote] ?? 0);
  }

  get ends(): ForkEnds {
    const bytes = (fate: Fate): number => (this.counts[fate] ?? 0) * PAGE_SIZE_BYTES;
    return {
      childWrote: bytes(FATE.childWrote),
      parentWrote: bytes(FATE.parentWrote),
      childDiscarded: bytes(FATE.childDiscarded),
      parentDiscarded: bytes(FATE.parentDiscarded),
      childExec: bytes(FATE.childExec),
      parentExec: bytes(FATE.parentExec),
      childExit: bytes(FATE.childExit),
      parentExit: bytes(FATE.parentExit),
      other: bytes(FATE.other),
    };
  }

  private add(fate: Fate, pages: number): void {
    this.counts[fate] = (this.counts[fate] ?? 0) + pages;
  }
}

function sealBlock(block: Block): void {
  const { endNs, fate } = block;
  const mostNs = endNs.reduce((most, ns) => Math.max(most, ns), 0);
  const slots: number[] = [];
  for (let slot = 0; slot < BLOCK_PAGES; slot += 1) {
    if (fate[slot] !== FATE.none && endNs[slot] !== mostNs) slots.push(slot);
  }
  block.mostNs = mostNs;
  block.slots = Uint16Array.from(slots);
  block.slotNs = Float64Array.from(slots, (slot) => endNs[slot] ?? 0);
  block.endNs = new Float64Array(0);
}
