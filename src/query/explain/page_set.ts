const BLOCK_PAGES = 512;
const WORDS = BLOCK_PAGES / 32;

/** A set of page numbers as bits, with ranks once it is sealed. */
export class PageSet {
  size = 0;
  private readonly blocks = new Map<number, Uint32Array>();
  private readonly ranks = new Map<number, number>();
  private first = 0;

  add(vpn: number): void {
    const number = Math.floor(vpn / BLOCK_PAGES);
    let block = this.blocks.get(number);
    if (block === undefined) {
      block = new Uint32Array(WORDS);
      this.blocks.set(number, block);
    }
    const slot = vpn % BLOCK_PAGES;
    const bit = 1 << (slot & 31);
    const word = block[slot >>> 5] ?? 0;
    if ((word & bit) !== 0) return;
    block[slot >>> 5] = word | bit;
    this.size += 1;
  }

  /** Fixes the ranks of the pages that are in the set. */
  seal(): void {
    let rank = 0;
    const numbers = [...this.blocks.keys()].sort((a, b) => a - b);
    this.first = (numbers[0] ?? 0) * BLOCK_PAGES;
    for (const number of numbers) {
      this.ranks.set(number, rank);
      for (const word of this.blocks.get(number) ?? []) rank += bitCount(word);
    }
  }

  /** Page at which the first block begins. */
  get firstPage(): number {
    return this.first;
  }

  /** Number of pages of a sealed set below `vpn`; −1 if `vpn` is not in it. */
  rank(vpn: number): number {
    const number = Math.floor(vpn / BLOCK_PAGES);
    const block = this.blocks.get(number);
    const slot = vpn % BLOCK_PAGES;
    const word = block?.[slot >>> 5] ?? 0;
    const bit = 1 << (slot & 31);
    if (block === undefined || (word & bit) === 0) return -1;
    let rank = (this.ranks.get(number) ?? 0) + bitCount(word & (bit - 1));
    for (let i = 0; i < slot >>> 5; i += 1) rank += bitCount(block[i] ?? 0);
    return rank;
  }
}

function bitCount(word: number): number {
  const pairs = word - ((word >>> 1) & 0x55555555);
  const nibbles = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((nibbles + (nibbles >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
