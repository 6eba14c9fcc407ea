const CHUNK_LENGTH = 4096;

/**
 * Numbers by page frame number, 0 where none was set. Chunked: frame numbers of a host are spread
 * wide, and those of a damaged recording are anything.
 */
export class PfnTable {
  private readonly chunks = new Map<number, Int32Array<ArrayBuffer>>();
  private lastNumber = -1;
  private last = new Int32Array(0);

  get(pfn: number): number {
    const chunk = this.chunk(Math.floor(pfn / CHUNK_LENGTH));
    return chunk?.[pfn % CHUNK_LENGTH] ?? 0;
  }

  set(pfn: number, value: number): void {
    const number = Math.floor(pfn / CHUNK_LENGTH);
    let chunk = this.chunk(number);
    if (chunk === undefined) {
      if (value === 0) return;
      chunk = new Int32Array(CHUNK_LENGTH);
      this.chunks.set(number, chunk);
      this.last = chunk;
      this.lastNumber = number;
    }
    chunk[pfn % CHUNK_LENGTH] = value;
  }

  private chunk(number: number): Int32Array<ArrayBuffer> | undefined {
    if (number === this.lastNumber) return this.last;
    const chunk = this.chunks.get(number);
    if (chunk === undefined) return undefined;
    this.last = chunk;
    this.lastNumber = number;
    return chunk;
  }
}
