import { grown } from '../base/grown.js';

/** Frames beyond 8 TiB are not followed: they fit no signed 32-bit cell. */
export const MOST_PFN = 2 ** 31 - 2;

const CHUNK_SHIFT = 9;
const CHUNK_LENGTH = 1 << CHUNK_SHIFT;
const FIRST_CHUNKS = 64;
/** Chunks that the first directory can tell of: 4 GiB of frames. */
const FIRST_DIRECTORY = 2048;

/**
 * Numbers by page frame number (0 … `MOST_PFN`), 0 where none was set. In chunks: the frames of a
 * host are spread wide. All chunks are one column, so that a look-up waits for no chain of objects.
 */
export class PfnTable {
  /** Place of the first number of each chunk; 0 for a chunk that is not there. */
  private places = new Int32Array(FIRST_DIRECTORY);
  /** The first chunk is never used. */
  private numbers = new Int32Array(FIRST_CHUNKS * CHUNK_LENGTH);
  private end = CHUNK_LENGTH;

  get(pfn: number): number {
    const place = this.places[pfn >>> CHUNK_SHIFT] ?? 0;
    return place === 0 ? 0 : (this.numbers[place + (pfn & (CHUNK_LENGTH - 1))] ?? 0);
  }

  set(pfn: number, value: number): void {
    let place = this.places[pfn >>> CHUNK_SHIFT] ?? 0;
    if (place === 0) {
      if (value === 0) return;
      place = this.addChunk(pfn >>> CHUNK_SHIFT);
    }
    this.numbers[place + (pfn & (CHUNK_LENGTH - 1))] = value;
  }

  private addChunk(chunk: number): number {
    if (chunk >= this.places.length) {
      let { length } = this.places;
      while (length <= chunk) length *= 2;
      this.places = grown(this.places, new Int32Array(length));
    }
    if (this.end === this.numbers.length) {
      this.numbers = grown(this.numbers, new Int32Array(this.end * 2));
    }
    const place = this.end;
    this.places[chunk] = place;
    this.end += CHUNK_LENGTH;
    return place;
  }
}
