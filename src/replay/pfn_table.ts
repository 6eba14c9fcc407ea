const CHUNK_LENGTH = 4096;

/** Frames beyond 8 TiB are not followed: they fit no signed 32-bit cell. */
export const MOST_PFN = 2 ** 31 - 2;

/** Chunks of one directory; together they cover 16 GiB. */
const DIRECTORY_LENGTH = 1024;

type Chunk = Int32Array<ArrayBuffer>;
type Directory = Array<Chunk | undefined>;

/**
 * Numbers by page frame number, 0 where none was set. In chunks below directories: the frames of a
 * host are spread wide, and those of a damaged recording are anything.
 */
export class PfnTable {
  private readonly directories: Array<Directory | undefined> = [];

  get(pfn: number): number {
    const number = Math.floor(pfn / CHUNK_LENGTH);
    const chunk =
      this.directories[Math.floor(number / DIRECTORY_LENGTH)]?.[number % DIRECTORY_LENGTH];
    return chunk === undefined ? 0 : (chunk[pfn % CHUNK_LENGTH] ?? 0);
  }

  set(pfn: number, value: number): void {
    this.exchange(pfn, value);
  }

  /** Sets a number and returns the one before. */
  exchange(pfn: number, value: number): number {
    const number = Math.floor(pfn / CHUNK_LENGTH);
    const directory = (this.directories[Math.floor(number / DIRECTORY_LENGTH)] ??= new Array<
      Chunk | undefined
    >(DIRECTORY_LENGTH).fill(undefined));
    let chunk = directory[number % DIRECTORY_LENGTH];
    if (chunk === undefined) {
      if (value === 0) return 0;
      chunk = new Int32Array(CHUNK_LENGTH);
      directory[number % DIRECTORY_LENGTH] = chunk;
    }
    const at = pfn % CHUNK_LENGTH;
    const old = chunk[at] ?? 0;
    chunk[at] = value;
    return old;
  }
}
