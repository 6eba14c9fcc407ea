const CHUNK_LENGTH = 4096;

/** Frames beyond 8 TiB are not followed: they fit no signed 32-bit cell. */
export const MOST_PFN = 2 ** 31 - 2;

/**
 * Numbers by page frame number (at most `MOST_PFN`), 0 where none was set. Chunked: the frames of a
 * host are spread wide, and those of a damaged recording are anything.
 */
export class PfnTable {
  private readonly chunks = new Array<Int32Array<ArrayBuffer> | undefined>(
    Math.ceil(MOST_PFN / CHUNK_LENGTH),
  ).fill(undefined);

  get(pfn: number): number {
    const chunk = this.chunks[Math.floor(pfn / CHUNK_LENGTH)];
    return chunk === undefined ? 0 : (chunk[pfn % CHUNK_LENGTH] ?? 0);
  }

  set(pfn: number, value: number): void {
    const number = Math.floor(pfn / CHUNK_LENGTH);
    let chunk = this.chunks[number];
    if (chunk === undefined) {
      if (value === 0) return;
      chunk = new Int32Array(CHUNK_LENGTH);
      this.chunks[number] = chunk;
    }
    chunk[pfn % CHUNK_LENGTH] = value;
  }
}
