import { IntervalPool, type IntervalTree } from '../../base/interval_tree.js';
import { NIL } from '../../base/units.js';

/** What a `ContentTree` holds. */
export interface ContentTreeEntry {
  /** Its row in the tree that it is in. */
  treeRow: number;
}

/**
 * A red-black tree ordered by comparing pages, in the shape that Linux's has after the same
 * insertions and removals: the way of a search through it has effects.
 */
export class ContentTree<Entry extends ContentTreeEntry> {
  private readonly pool = new IntervalPool();
  private readonly tree: IntervalTree = IntervalPool.tree();
  private readonly entryOfRow: Array<Entry | undefined> = [];

  /** Where a search begins, or undefined if the tree is empty. */
  get root(): Entry | undefined {
    return this.entryAt(this.tree.root);
  }

  /** Where a search for `content` goes on behind `entry`, whose page holds `entryContent`. */
  next(entry: Entry, content: number, entryContent: number): Entry | undefined {
    const { pool } = this;
    const goesLeft = byteOrder(content) < byteOrder(entryContent);
    return this.entryAt(goesLeft ? pool.left[entry.treeRow] : pool.right[entry.treeRow]);
  }

  insert(entry: Entry, content: number): void {
    const { pool, entryOfRow } = this;
    const row = pool.alloc();
    while (entryOfRow.length <= row) entryOfRow.push(undefined);
    entry.treeRow = row;
    entryOfRow[row] = entry;
    const key = byteOrder(content);
    pool.insert(this.tree, row, key, key);
  }

  remove(entry: Entry): void {
    const { pool } = this;
    const row = entry.treeRow;
    pool.remove(this.tree, row);
    pool.free(row);
    this.entryOfRow[row] = undefined;
    entry.treeRow = NIL;
  }

  private entryAt(row: number): Entry | undefined {
    return row === NIL ? undefined : this.entryOfRow[row];
  }
}

/** Pages are compared byte by byte from the first, and words have their low byte first. */
function byteOrder(word: number): number {
  const swapped =
    ((word & 0xff) << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);
  return swapped >>> 0;
}
