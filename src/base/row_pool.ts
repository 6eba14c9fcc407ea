import { fail } from './errors.js';

/** Hands out row numbers of a table; the last freed row is used first (deterministic). */
export class RowPool {
  private readonly freed: number[] = [];
  private used = 0;

  alloc(): number {
    const row = this.freed.pop();
    if (row !== undefined) return row;
    this.used += 1;
    return this.used - 1;
  }

  free(row: number): void {
    if (row < 0 || row >= this.used) fail(`row ${row} was never handed out`);
    this.freed.push(row);
  }

  /** All rows ever handed out are below this. */
  get limit(): number {
    return this.used;
  }

  /** Rows in use now. */
  get count(): number {
    return this.used - this.freed.length;
  }
}
