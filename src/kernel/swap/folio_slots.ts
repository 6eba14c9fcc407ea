import { fail } from '../../base/errors.js';
import { NIL } from '../../base/units.js';

const MIN_CAPACITY = 64;

/**
 * The swap entry of each folio in the swap cache: head pfn → entry of its first page. Most folios
 * have none, so this is a table of its own (open addressing) and no column of the memory map.
 * The folio that entered last is kept beside the table: reclaim drops it again before the next.
 * @kernel folio.swap
 */
export class FolioSlots {
  /** pfn + 1; 0 = empty. */
  private heads = new Int32Array(MIN_CAPACITY);
  private entries = new Uint32Array(MIN_CAPACITY);
  /** Folios in the table. */
  private length = 0;
  private newestHead = NIL;
  private newestEntry = 0;

  get size(): number {
    return this.newestHead === NIL ? this.length : this.length + 1;
  }

  /** Entry of a folio that is in the cache. */
  get(head: number): number {
    return head === this.newestHead ? this.newestEntry : this.lookUp(head);
  }

  add(head: number, entry: number): void {
    if (this.newestHead !== NIL || this.length > 0) this.makeRoom(head);
    this.newestHead = head;
    this.newestEntry = entry;
  }

  delete(head: number): void {
    if (head === this.newestHead) this.newestHead = NIL;
    else this.remove(head);
  }

  /** Head pfns in ascending order. */
  sortedHeads(): number[] {
    const found: number[] = this.newestHead === NIL ? [] : [this.newestHead];
    for (const stored of this.heads) if (stored !== 0) found.push(stored - 1);
    return found.sort((a, b) => a - b);
  }

  private lookUp(head: number): number {
    const at = this.find(head);
    if (this.heads[at] === 0) fail(`folio ${head} is not in the swap cache`);
    return this.entries[at];
  }

  /** Moves the newest folio into the table before another takes its place. */
  private makeRoom(head: number): void {
    if (head === this.newestHead || this.heads[this.find(head)] !== 0) {
      fail(`folio ${head} is in the swap cache twice`);
    }
    if (this.newestHead === NIL) return;
    if (this.length * 2 >= this.heads.length) this.grow();
    this.insert(this.newestHead, this.newestEntry);
  }

  private insert(head: number, entry: number): void {
    const at = this.find(head);
    this.heads[at] = head + 1;
    this.entries[at] = entry;
    this.length += 1;
  }

  private remove(head: number): void {
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
      if (heads[at] !== 0) this.insert(heads[at] - 1, entries[at]);
    }
  }
}

function hash(head: number): number {
  return Math.imul(head, 0x9e3779b1) >>> 8;
}
