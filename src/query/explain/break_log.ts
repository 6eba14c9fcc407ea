const CHUNK_ROWS = 1 << 16;

/** Rows of a log, as columns. */
class Chunk {
  readonly timeNs = new Float64Array(CHUNK_ROWS);
  readonly vpn = new Float64Array(CHUNK_ROWS);
  readonly space = new Int32Array(CHUNK_ROWS);
  readonly source = new Int32Array(CHUNK_ROWS);
  readonly byParent = new Uint8Array(CHUNK_ROWS);
}

/** One copy of a shared page. */
export interface BreakRow {
  timeNs: number;
  vpn: number;
  /** Address space that wrote. */
  space: number;
  /** Row of the collector's sources: instruction and region. */
  source: number;
  /** 1 if the writer is the forking side of the pages that it gave up. */
  byParent: number;
}

/** Copies of shared pages in the order in which they happened; in chunks, so that none moves. */
export class BreakLog {
  length = 0;
  private readonly chunks: Chunk[] = [];

  push(timeNs: number, vpn: number, space: number, source: number, byParent: boolean): void {
    const row = this.length % CHUNK_ROWS;
    const number = Math.floor(this.length / CHUNK_ROWS);
    const chunk = (this.chunks[number] ??= new Chunk());
    chunk.timeNs[row] = timeNs;
    chunk.vpn[row] = vpn;
    chunk.space[row] = space;
    chunk.source[row] = source;
    chunk.byParent[row] = byParent ? 1 : 0;
    this.length += 1;
  }

  /** Visits all rows in order, with one object for all of them. */
  visit(visitRow: (row: Readonly<BreakRow>) => void): void {
    const found: BreakRow = { timeNs: 0, vpn: 0, space: 0, source: 0, byParent: 0 };
    for (let at = 0; at < this.length; at += 1) {
      const chunk = this.chunks[Math.floor(at / CHUNK_ROWS)];
      const row = at % CHUNK_ROWS;
      found.timeNs = chunk?.timeNs[row] ?? 0;
      found.vpn = chunk?.vpn[row] ?? 0;
      found.space = chunk?.space[row] ?? 0;
      found.source = chunk?.source[row] ?? 0;
      found.byParent = chunk?.byParent[row] ?? 0;
      visitRow(found);
    }
  }
}
