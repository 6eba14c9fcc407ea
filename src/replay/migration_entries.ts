/** Frame numbers of one move. */
export interface MovedFrame {
  readonly from: number;
  readonly to: number;
}

/** A migration entry of x86-64 holds the inverted frame number from bit 9 on, 34 bits wide. */
const ENTRY_SHIFT = 9n;
const ENTRY_MASK = (1n << 34n) - 1n;
/** A present entry holds it from bit 12 on, 40 bits wide. */
const PRESENT_SHIFT = 12n;
const PRESENT_MASK = (1n << 40n) - 1n;

/** Pairs the entries that migration puts into page tables with those that replace them. */
export class MigrationEntries {
  /** Old frames by address, oldest first: processes may use the same address. */
  private readonly pending = new Map<number, number[]>();

  set(address: number, entry: bigint): void {
    const pfn = Number((~entry >> ENTRY_SHIFT) & ENTRY_MASK);
    const frames = this.pending.get(address);
    if (frames === undefined) this.pending.set(address, [pfn]);
    else frames.push(pfn);
  }

  /** The move that ends at an address, or undefined if its begin was not seen. */
  remove(address: number, entry: bigint): MovedFrame | undefined {
    const frames = this.pending.get(address);
    const from = frames?.shift();
    if (frames?.length === 0) this.pending.delete(address);
    if (from === undefined) return undefined;
    return { from, to: Number((entry >> PRESENT_SHIFT) & PRESENT_MASK) };
  }
}
