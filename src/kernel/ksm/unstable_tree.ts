import { fail } from '../../base/errors.js';
import { IntervalPool, type IntervalTree } from '../../base/interval_tree.js';
import { NIL } from '../../base/units.js';
import type { KsmRmapItem } from './ksm_types.js';

/**
 * Candidates for merging that the present pass has seen, by content. Their pages are not protected.
 *
 * Linux keeps them in a red-black tree ordered by comparing pages, and gives a search up where it
 * comes to a candidate whose page is gone. A page can go within a pass: a split of its large folio
 * by ksmd puts the zero page in its place. So the shape of the tree matters from the first split
 * on, and only then it is made, by repeating what happened before. Until then a table finds the
 * same. @kernel root_unstable_tree
 */
export class UnstableTree {
  private readonly byContent = new Map<number, KsmRmapItem>();
  /** Every item when it entered and again when it left. */
  private history: KsmRmapItem[] = [];
  private pool: IntervalPool | undefined = undefined;
  private readonly tree: IntervalTree = IntervalPool.tree();
  private itemOfRow: Array<KsmRmapItem | undefined> = [];

  /** A new pass begins. */
  clear(): void {
    this.byContent.clear();
    this.history = [];
    this.pool = undefined;
    this.tree.root = NIL;
    this.itemOfRow = [];
  }

  /** Whether pages of candidates may have gone, so that a search must go from node to node. */
  get hasShape(): boolean {
    return this.pool !== undefined;
  }

  /** The candidate with this content, if none of the candidates can be gone. */
  get(content: number): KsmRmapItem | undefined {
    return this.byContent.get(content);
  }

  /** Root of the tree, or undefined if it is empty. */
  get root(): KsmRmapItem | undefined {
    return this.itemAt(this.tree.root);
  }

  /** The candidate to look at next behind `item` for a page that holds `content`. */
  next(item: KsmRmapItem, content: number, itemContent: number): KsmRmapItem | undefined {
    const { pool } = this;
    if (pool === undefined) fail('the unstable tree has no shape yet');
    const goesLeft = byteOrder(content) < byteOrder(itemContent);
    return this.itemAt(goesLeft ? pool.leftOf(item.unstableRow) : pool.rightOf(item.unstableRow));
  }

  /** Adds a candidate that a search did not find. */
  insert(item: KsmRmapItem, content: number, pass: number): void {
    item.unstablePass = pass;
    item.unstableContent = content;
    this.byContent.set(content, item);
    if (this.pool === undefined) this.history.push(item);
    else this.insertRow(this.pool, item);
  }

  /** Takes a candidate of this pass out. */
  remove(item: KsmRmapItem): void {
    const { unstableContent } = item;
    if (this.byContent.get(unstableContent) === item) this.byContent.delete(unstableContent);
    if (this.pool === undefined) this.history.push(item);
    else this.removeRow(this.pool, item);
  }

  /** ksmd is about to split a large folio: from now on pages of candidates may be gone. */
  noteSplit(): void {
    if (this.pool !== undefined) return;
    const pool = new IntervalPool();
    this.pool = pool;
    const inside = new Set<KsmRmapItem>();
    for (const item of this.history) {
      if (inside.has(item)) {
        inside.delete(item);
        this.removeRow(pool, item);
      } else {
        inside.add(item);
        this.insertRow(pool, item);
      }
    }
    this.history = [];
  }

  private itemAt(row: number): KsmRmapItem | undefined {
    return row === NIL ? undefined : this.itemOfRow[row];
  }

  private insertRow(pool: IntervalPool, item: KsmRmapItem): void {
    const row = pool.alloc();
    while (this.itemOfRow.length <= row) this.itemOfRow.push(undefined);
    item.unstableRow = row;
    this.itemOfRow[row] = item;
    const key = byteOrder(item.unstableContent);
    pool.insert(this.tree, row, key, key);
  }

  private removeRow(pool: IntervalPool, item: KsmRmapItem): void {
    const row = item.unstableRow;
    pool.remove(this.tree, row);
    pool.free(row);
    this.itemOfRow[row] = undefined;
    item.unstableRow = NIL;
  }
}

/** Pages are compared byte by byte from the first, and words have their low byte first. */
function byteOrder(word: number): number {
  const swapped =
    ((word & 0xff) << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);
  return swapped >>> 0;
}
