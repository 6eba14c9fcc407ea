import { fail } from '../../base/errors.js';

const MIN_CAPACITY = 64;

/**
 * The swap entry of each folio in the swap cache: head pfn → entry of its first page. Most folios
 * have none, so this is a table of its own (open addressing) and no column of the memory map.
 * @kernel folio.swap
 */
export class FolioSlots {
  /** pfn + 1; 0 = empty. */
  private heads = new Int32Array(MIN_CAPACITY);
  private entries = new Uint32Array(MIN_CAPACITY);
  private length = 0;

  get size(): number {
    return this.length;
  }

  /** Entry of a folio that is in the cache. */
  get(head: number): number {
    const at = this.find(head);
    if (this.heads[at] === 0) fail(`folio ${head} is not in the swap cache`);
    return this.entries[at];
  }

  add(head: number, entry: number): void {
    if (this.length * 2 >= this.heads.length) this.grow();
    const at = this.find(head);
    if (this.heads[at] !== 0) fail(`folio ${head} is in the swap cache twice`);
    this.heads[at] = head + 1;
    this.entries[at] = entry;
    this.length += 1;
  }

  delete(head: number): void {
    const { heads, entries } = this;
    const mask = heads.length - 1;
    let hole = this.find(head);
    if (heads[hole] === 0) fail(`folio ${head} is not in the swap cache`);
    this.length -= 1;
    // Later members of the run move up if their home is not behind the hole.
    for (let at = (hole + 1) & mask; heads[at] !== 0; at = (at + 1) & mask) {
      const home = hash(heads[at] - 1) & mask;
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      heads[hole] = heads[at];
      entries[hole] = entries[at];
      hole = at;
    }
    heads[hole] = 0;
  }

  /** Head pfns in ascending order. */
  sortedHeads(): number[] {
    const found: number[] = [];
    for (const stored of this.heads) if (stored !== 0) found.push(stored - 1);
    return found.sort((a, b) => a - b);
  }

  private find(head: number): number {
    const { heads } = this;
    const mask = heads.length - 1;
    let at = hash(head) & mask;
    while (heads[at] !== 0 && heads[at] !== head + 1) at = (at + 1) & mask;
    return at;
  }

  private grow(): void {
    const { heads, entries } = this;
    this.heads = new Int32Array(heads.length * 2);
    this.entries = new Uint32Array(heads.length * 2);
    this.length = 0;
    for (let at = 0; at < heads.length; at += 1) {
      if (heads[at] !== 0) this.add(heads[at] - 1, entries[at]);
    }
  }
}

function hash(head: number): number {
  return Math.imul(head, 0x9e3779b1) >>> 8;
}
