const FIRST_CAPACITY = 1 << 12;

/** Copies of shared pages in the order in which they happened, as columns. */
export class BreakLog {
  length = 0;
  timeNs = new Float64Array(FIRST_CAPACITY);
  vpn = new Float64Array(FIRST_CAPACITY);
  /** Address space that wrote. */
  space = new Int32Array(FIRST_CAPACITY);
  /** Row of the collector's sources: instruction and region. */
  source = new Int32Array(FIRST_CAPACITY);
  /** 1 if the writer is the forking side of the pages that it gave up. */
  byParent = new Uint8Array(FIRST_CAPACITY);

  push(timeNs: number, vpn: number, space: number, source: number, byParent: boolean): void {
    const row = this.length;
    if (row === this.timeNs.length) this.grow();
    this.timeNs[row] = timeNs;
    this.vpn[row] = vpn;
    this.space[row] = space;
    this.source[row] = source;
    this.byParent[row] = byParent ? 1 : 0;
    this.length = row + 1;
  }

  private grow(): void {
    const capacity = this.timeNs.length * 2;
    this.timeNs = copyInto(new Float64Array(capacity), this.timeNs);
    this.vpn = copyInto(new Float64Array(capacity), this.vpn);
    this.space = copyInto(new Int32Array(capacity), this.space);
    this.source = copyInto(new Int32Array(capacity), this.source);
    this.byParent = copyInto(new Uint8Array(capacity), this.byParent);
  }
}

function copyInto<Column extends { set(from: Column): void }>(to: Column, from: Column): Column {
  to.set(from);
  return to;
}
