import { grown } from '../../base/grown.js';
import { fail } from '../../base/errors.js';
import { ENTRIES_PER_TABLE, NIL } from '../../base/units.js';
import { RowPool } from '../../base/row_pool.js';
import { PTE_LEAF, PTE_TABLE } from './pte.js';

/** Pages below one entry of a PUD table is 2^18, of a PGD table 2^27. */
const PUD_SHIFT_PAGES = 18;
const PGD_SHIFT_PAGES = 27;

/** Remembered descents; a power of two. */
const WALK_CACHE_SLOTS = 1024;
/** Words of one: top node, block of 512 pages, PMD entry, and when it was remembered. */
const WALK_WORDS = 4;

/**
 * All page tables of a machine: nodes of 512 entries in two parallel columns.
 *
 * Node n owns entries [512n, 512n + 512). Level 4 is the top (PGD), level 1 holds PTEs; huge
 * leaves live at levels 2 (2 MiB) and 3 (1 GiB). An "entry" below is an index into the columns.
 * Growing replaces the columns: never hold one across a call that may allocate a node.
 */
export class PageTables {
  private readonly nodes = new RowPool();
  /** Payloads: see `pte.ts`. */
  payload = new Uint32Array(ENTRIES_PER_TABLE * 64);
  /** Flag words: see `pte.ts`. */
  flags = new Uint16Array(ENTRIES_PER_TABLE * 64);
  /** The same words by twos: entries 2n and 2n + 1. */
  flagPairs = new Uint32Array(this.flags.buffer);
  /**
   * Where recent descents found the PMD entry of a block, as the paging-structure caches of a CPU
   * do: one fault descends four times. Only freeing a node can make an answer wrong, so that
   * begins a new time, of which nothing is remembered.
   */
  private readonly walks = new Int32Array(WALK_CACHE_SLOTS * WALK_WORDS).fill(NIL);
  private walkTime = 0;
  /**
   * Empty nodes in store for the huge entries of each PMD table, by its node: see `deposit.ts`.
   * @kernel pmd_huge_pte
   */
  readonly deposited = new Map<number, number[]>();

  /** Takes an empty node. Invalidates held columns. */
  allocNode(): number {
    const node = this.nodes.alloc();
    const from = node * ENTRIES_PER_TABLE;
    if (from + ENTRIES_PER_TABLE > this.payload.length) {
      this.payload = grown(this.payload, new Uint32Array(this.payload.length * 2));
      this.flags = grown(this.flags, new Uint16Array(this.flags.length * 2));
      this.flagPairs = new Uint32Array(this.flags.buffer);
    }
    return node;
  }

  /** Gives a node back; all its entries must be none. */
  freeNode(node: number): void {
    this.walkTime = (this.walkTime + 1) | 0;
    this.nodes.free(node);
  }

  /** Clears all entries of a node and gives it back. */
  clearNode(node: number): void {
    const from = node * ENTRIES_PER_TABLE;
    this.flags.fill(0, from, from + ENTRIES_PER_TABLE);
    this.freeNode(node);
  }

  get nodeCount(): number {
    return this.nodes.count;
  }

  /** PUD-table entry that covers `vpn`, or NIL if the PGD entry is empty. */
  findPud(pgd: number, vpn: number): number {
    const top = pgd * ENTRIES_PER_TABLE + Math.floor(vpn / 2 ** PGD_SHIFT_PAGES);
    if ((this.flags[top] & PTE_TABLE) === 0) return NIL;
    return this.payload[top] * ENTRIES_PER_TABLE + ((vpn >>> PUD_SHIFT_PAGES) & 511);
  }

  /** PMD-table entry that covers `vpn`, or NIL if an upper level is empty or a leaf. */
  findPmd(pgd: number, vpn: number): number {
    const { walks } = this;
    const block = (vpn / ENTRIES_PER_TABLE) | 0;
    // The tables of a process mostly take four nodes: slots between are for neighbouring blocks.
    const slot = ((pgd + block) & (WALK_CACHE_SLOTS - 1)) * WALK_WORDS;
    const isKnown =
      walks[slot] === pgd && walks[slot + 1] === block && walks[slot + 3] === this.walkTime;
    return isKnown ? walks[slot + 2] : this.walkToPmd(pgd, vpn, block, slot);
  }

  private walkToPmd(pgd: number, vpn: number, block: number, slot: number): number {
    const pud = this.findPud(pgd, vpn);
    if (pud === NIL || (this.flags[pud] & PTE_TABLE) === 0) return NIL;
    const pmd = this.payload[pud] * ENTRIES_PER_TABLE + ((vpn >>> 9) & 511);
    const { walks } = this;
    walks[slot] = pgd;
    walks[slot + 1] = block;
    walks[slot + 2] = pmd;
    walks[slot + 3] = this.walkTime;
    return pmd;
  }

  /** PTE of `vpn`, or NIL if there is no PTE table (an upper level is empty or a leaf). */
  findPte(pgd: number, vpn: number): number {
    const pmd = this.findPmd(pgd, vpn);
    if (pmd === NIL || (this.flags[pmd] & PTE_TABLE) === 0) return NIL;
    return this.payload[pmd] * ENTRIES_PER_TABLE + (vpn & 511);
  }

  /**
   * Entry that decides about `vpn`: the huge leaf that covers it, or its PTE, or NIL if a table on
   * the way is missing.
   */
  findLeaf(pgd: number, vpn: number): number {
    const pmd = this.findPmd(pgd, vpn);
    const entry = pmd === NIL ? this.findPud(pgd, vpn) : pmd;
    if (entry === NIL) return NIL;
    const flags = this.flags[entry];
    if ((flags & PTE_TABLE) !== 0) return this.payload[entry] * ENTRIES_PER_TABLE + (vpn & 511);
    return (flags & PTE_LEAF) === 0 ? NIL : entry;
  }

  /** The page that an entry which `findLeaf` gave maps at `vpn`. */
  pageOfLeaf(pgd: number, entry: number, vpn: number): number {
    const pfn = this.payload[entry];
    if ((this.flags[entry] & PTE_LEAF) === 0) return pfn;
    const isPud = entry === this.findPud(pgd, vpn);
    return pfn + (vpn % (isPud ? 2 ** PUD_SHIFT_PAGES : ENTRIES_PER_TABLE));
  }

  /**
   * First page behind the hole around `vpn`, below which there is no PMD table; at most `end`.
   * For walks that have found no PMD entry at `vpn`.
   */
  skipHole(pgd: number, vpn: number, end: number): number {
    const shift = this.findPud(pgd, vpn) === NIL ? PGD_SHIFT_PAGES : PUD_SHIFT_PAGES;
    const span = 2 ** shift;
    return Math.min(vpn - (vpn % span) + span, end);
  }

  /** PUD entry of `vpn`, making upper levels as needed. Invalidates held columns. */
  allocPud(pgd: number, vpn: number): number {
    const top = pgd * ENTRIES_PER_TABLE + Math.floor(vpn / 2 ** PGD_SHIFT_PAGES);
    return this.childOf(top) * ENTRIES_PER_TABLE + ((vpn >>> PUD_SHIFT_PAGES) & 511);
  }

  /** PMD entry of `vpn`, making upper levels as needed. Invalidates held columns. */
  allocPmd(pgd: number, vpn: number): number {
    const known = this.findPmd(pgd, vpn);
    if (known !== NIL) return known;
    return this.childOf(this.allocPud(pgd, vpn)) * ENTRIES_PER_TABLE + ((vpn >>> 9) & 511);
  }

  /** PTE of `vpn`, making tables as needed; the PMD must not be a leaf. */
  allocPte(pgd: number, vpn: number): number {
    return this.childOf(this.allocPmd(pgd, vpn)) * ENTRIES_PER_TABLE + (vpn & 511);
  }

  private childOf(entry: number): number {
    const flags = this.flags[entry];
    if ((flags & PTE_TABLE) !== 0) return this.payload[entry];
    if (flags !== 0)
      fail(`a page table is wanted below a leaf entry (flags 0x${flags.toString(16)})`);
    const node = this.allocNode();
    this.payload[entry] = node;
    this.flags[entry] = PTE_TABLE;
    return node;
  }
}
