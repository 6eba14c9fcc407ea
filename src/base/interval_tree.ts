import { grown } from './grown.js';
import { NIL } from './units.js';
import { RowPool } from './row_pool.js';

export const BLACK = 0;
export const RED = 1;

/** One tree. Rows belong to an `IntervalPool`. */
export interface IntervalTree {
  root: number;
  /** The last row in order. */
  lastRow: number;
  /** What the last search found: the first row that ends at or behind `hintFirst`; or NIL. */
  hintRow: number;
  hintFirst: number;
}

/** Searches mostly go on where the last one ended: so many rows from there are looked at first. */
const MOST_HINT_ROWS = 3;

/**
 * Interval trees over one set of columns: red-black, ordered by start (equal starts in order of
 * insertion), each node augmented with the largest last value below it. Intervals are closed.
 *
 * Insertion, removal and the first match are O(log n). Source: spec 10 §10.
 * @kernel interval_tree_insert
 */
export class IntervalPool {
  private readonly rows = new RowPool();
  /** Copy of the key that the row was inserted with. @kernel anon_vma_chain.cached_vma_start */
  start = new Float64Array(64);
  /** @kernel anon_vma_chain.cached_vma_last */
  last = new Float64Array(64);
  /** Largest `last` in the subtree. @kernel anon_vma_chain.rb_subtree_last */
  subtreeLast = new Float64Array(64);
  /** Roots of the subtrees with smaller and with larger starts, or NIL. */
  left = new Int32Array(64);
  right = new Int32Array(64);
  parent = new Int32Array(64);
  color = new Uint8Array(64);
  /** Neighbours in order: most walks go on with the next row. */
  successor = new Int32Array(64);
  predecessor = new Int32Array(64);
  /** Work counter: nodes looked at by searches. */
  visited = 0;

  /** Takes a row that is in no tree. */
  alloc(): number {
    const row = this.rows.alloc();
    if (row >= this.start.length) this.grow();
    return row;
  }

  free(row: number): void {
    this.rows.free(row);
  }

  /** Rows handed out and not given back. */
  get rowsInUse(): number {
    return this.rows.count;
  }

  static tree(): IntervalTree {
    return { root: NIL, lastRow: NIL, hintRow: NIL, hintFirst: 0 };
  }

  /** Puts a row into the tree; behind rows with an equal start. */
  insert(tree: IntervalTree, row: number, start: number, last: number): void {
    const { left, right, subtreeLast } = this;
    const starts = this.start;
    starts[row] = start;
    this.last[row] = last;
    subtreeLast[row] = last;
    const { lastRow } = tree;
    if (lastRow !== NIL && start >= starts[lastRow]) {
      // Mappings mostly come in ascending order: no search.
      this.raise(lastRow, last);
      this.attach(tree, row, lastRow, false);
      return;
    }
    let parent = NIL;
    let at = tree.root;
    let wentLeft = false;
    while (at !== NIL) {
      parent = at;
      if (subtreeLast[at] < last) subtreeLast[at] = last;
      wentLeft = start < starts[at];
      at = wentLeft ? left[at] : right[at];
    }
    this.attach(tree, row, parent, wentLeft);
  }

  /** Puts a row directly behind `previous` in order, which must have the same start. */
  insertAfter(tree: IntervalTree, row: number, previous: number, last: number): void {
    const { left, right, subtreeLast } = this;
    this.start[row] = this.start[previous];
    this.last[row] = last;
    subtreeLast[row] = last;
    let parent = previous;
    let wentLeft = false;
    if (right[previous] !== NIL) {
      parent = right[previous];
      while (left[parent] !== NIL) parent = left[parent];
      wentLeft = true;
    }
    this.raise(parent, last);
    this.attach(tree, row, parent, wentLeft);
  }

  /** Tells a row, and all above it, of a new last value below it. */
  private raise(row: number, last: number): void {
    const { parent, subtreeLast } = this;
    for (let at = row; at !== NIL && subtreeLast[at] < last; at = parent[at]) {
      subtreeLast[at] = last;
    }
  }

  private attach(tree: IntervalTree, row: number, parent: number, wentLeft: boolean): void {
    tree.hintRow = NIL;
    this.left[row] = NIL;
    this.right[row] = NIL;
    this.parent[row] = parent;
    this.color[row] = RED;
    this.link(row, parent, wentLeft);
    if (this.successor[row] === NIL) tree.lastRow = row;
    if (parent === NIL) tree.root = row;
    else if (wentLeft) this.left[parent] = row;
    else this.right[parent] = row;
    this.balanceInsert(tree, row);
  }

  /** Puts a row between its neighbours in order, one of which is its parent. */
  private link(row: number, parent: number, wentLeft: boolean): void {
    const { successor, predecessor } = this;
    let before: number = NIL;
    let after: number = NIL;
    if (parent !== NIL) {
      before = wentLeft ? predecessor[parent] : parent;
      after = wentLeft ? parent : successor[parent];
    }
    predecessor[row] = before;
    successor[row] = after;
    if (before !== NIL) successor[before] = row;
    if (after !== NIL) predecessor[after] = row;
  }

  private unlink(row: number): void {
    const { successor, predecessor } = this;
    const before = predecessor[row];
    const after = successor[row];
    if (before !== NIL) successor[before] = after;
    if (after !== NIL) predecessor[after] = before;
  }

  /** Takes a row out of its tree. */
  remove(tree: IntervalTree, row: number): void {
    if (tree.lastRow === row) tree.lastRow = this.predecessor[row];
    tree.hintRow = NIL;
    this.unlink(row);
    const { left, right, parent, color } = this;
    let child: number;
    let fixParent: number;
    let removedColor: number;
    if (left[row] !== NIL && right[row] !== NIL) {
      const successor = this.successor[row];
      removedColor = color[successor];
      child = right[successor];
      if (parent[successor] === row) {
        fixParent = successor;
      } else {
        fixParent = parent[successor];
        left[fixParent] = child;
        if (child !== NIL) parent[child] = fixParent;
        right[successor] = right[row];
        parent[right[row]] = successor;
      }
      left[successor] = left[row];
      parent[left[row]] = successor;
      color[successor] = color[row];
      this.replaceChild(tree, row, successor);
      // The successor stands for the row now: what changes above is told from there.
      this.subtreeLast[successor] = this.subtreeLast[row];
      if (fixParent !== successor) this.propagate(fixParent, successor);
      this.propagate(successor, NIL);
    } else {
      child = left[row] === NIL ? right[row] : left[row];
      removedColor = color[row];
      fixParent = parent[row];
      this.replaceChild(tree, row, child);
      this.propagate(fixParent, NIL);
    }
    if (removedColor === BLACK) this.balanceRemove(tree, child, fixParent);
  }

  /** First row in order that overlaps [first, last], or NIL. @kernel interval_tree_iter_first */
  iterFirst(tree: IntervalTree, first: number, last: number): number {
    const { start, successor } = this;
    const lasts = this.last;
    if (tree.hintRow !== NIL && first >= tree.hintFirst) {
      // The rows before the hint ended too early for that search, so they do for this one.
      let at = tree.hintRow;
      for (let i = 0; i < MOST_HINT_ROWS && at !== NIL; i += 1) {
        if (lasts[at] >= first) {
          tree.hintRow = at;
          tree.hintFirst = first;
          return start[at] <= last ? at : NIL;
        }
        at = successor[at];
      }
    }
    const root = tree.root;
    if (root === NIL || this.subtreeLast[root] < first) return NIL;
    const at = this.firstEnding(root, first);
    tree.hintRow = at;
    tree.hintFirst = first;
    return start[at] <= last ? at : NIL;
  }

  /** Next row in order that overlaps [first, last], or NIL. @kernel interval_tree_iter_next */
  iterNext(row: number, first: number, last: number): number {
    const { start } = this;
    const lasts = this.last;
    const next = this.successor[row];
    if (next === NIL || start[next] > last) return NIL;
    return lasts[next] >= first ? next : this.searchBehind(next, first, last);
  }

  /** First row in order behind `row` that overlaps: the tree skips those that end too early. */
  private searchBehind(row: number, first: number, last: number): number {
    const { right, parent, start, subtreeLast } = this;
    const lasts = this.last;
    let at = row;
    for (;;) {
      const below = right[at];
      if (below !== NIL && subtreeLast[below] >= first) {
        const found = this.firstEnding(below, first);
        // All behind it begin later still.
        return start[found] <= last ? found : NIL;
      }
      let child: number;
      do {
        child = at;
        at = parent[at];
        if (at === NIL) return NIL;
      } while (right[at] === child);
      this.visited += 1;
      if (start[at] > last) return NIL;
      if (lasts[at] >= first) return at;
    }
  }

  /** First row in order of a subtree that ends at or behind `first`; there is one. */
  private firstEnding(from: number, first: number): number {
    const { left, right, subtreeLast } = this;
    const lasts = this.last;
    let at = from;
    let visited = 1;
    for (;;) {
      const below = left[at];
      if (below !== NIL && subtreeLast[below] >= first) at = below;
      else if (lasts[at] >= first) break;
      else at = right[at];
      visited += 1;
    }
    this.visited += visited;
    return at;
  }

  /** Leftmost row, or NIL. */
  firstRow(tree: IntervalTree): number {
    let at = tree.root;
    if (at === NIL) return NIL;
    while (this.left[at] !== NIL) at = this.left[at];
    return at;
  }

  /** In-order successor, or NIL. */
  nextRow(row: number): number {
    let at = this.right[row];
    if (at !== NIL) {
      while (this.left[at] !== NIL) at = this.left[at];
      return at;
    }
    at = row;
    let up = this.parent[at];
    while (up !== NIL && this.right[up] === at) {
      at = up;
      up = this.parent[at];
    }
    return up;
  }

  /** Updates rows from `from` upwards until one stays as it was, or `end` is reached. */
  private propagate(from: number, end: number): void {
    const { parent, subtreeLast } = this;
    for (let at = from; at !== end; at = parent[at]) {
      const before = subtreeLast[at];
      this.update(at);
      if (subtreeLast[at] === before) return;
    }
  }

  private update(row: number): void {
    const { left, right, subtreeLast } = this;
    let most = this.last[row];
    const a = left[row];
    if (a !== NIL && subtreeLast[a] > most) most = subtreeLast[a];
    const b = right[row];
    if (b !== NIL && subtreeLast[b] > most) most = subtreeLast[b];
    subtreeLast[row] = most;
  }

  private replaceChild(tree: IntervalTree, row: number, by: number): void {
    const { left, right, parent } = this;
    const above = parent[row];
    if (by !== NIL) parent[by] = above;
    if (above === NIL) tree.root = by;
    else if (left[above] === row) left[above] = by;
    else right[above] = by;
  }

  private rotateLeft(tree: IntervalTree, row: number): number {
    const { left, right, parent, subtreeLast } = this;
    const up = right[row];
    right[row] = left[up];
    if (left[up] !== NIL) parent[left[up]] = row;
    this.replaceChild(tree, row, up);
    left[up] = row;
    parent[row] = up;
    subtreeLast[up] = subtreeLast[row];
    this.update(row);
    return up;
  }

  private rotateRight(tree: IntervalTree, row: number): number {
    const { left, right, parent, subtreeLast } = this;
    const up = left[row];
    left[row] = right[up];
    if (right[up] !== NIL) parent[right[up]] = row;
    this.replaceChild(tree, row, up);
    right[up] = row;
    parent[row] = up;
    subtreeLast[up] = subtreeLast[row];
    this.update(row);
    return up;
  }

  private balanceInsert(tree: IntervalTree, inserted: number): void {
    const { left, right, parent, color } = this;
    let row = inserted;
    for (;;) {
      let above = parent[row];
      if (above === NIL) {
        color[row] = BLACK;
        return;
      }
      if (color[above] === BLACK) return;
      const top = parent[above];
      const onLeft = left[top] === above;
      const uncle = onLeft ? right[top] : left[top];
      if (uncle !== NIL && color[uncle] === RED) {
        color[above] = BLACK;
        color[uncle] = BLACK;
        color[top] = RED;
        row = top;
        continue;
      }
      if (onLeft) {
        if (right[above] === row) above = this.rotateLeft(tree, above);
        this.rotateRight(tree, top);
      } else {
        if (left[above] === row) above = this.rotateRight(tree, above);
        this.rotateLeft(tree, top);
      }
      color[above] = BLACK;
      color[top] = RED;
      return;
    }
  }

  private balanceRemove(tree: IntervalTree, from: number, fromParent: number): void {
    const { left, right, parent, color } = this;
    let row = from;
    let above = fromParent;
    while (above !== NIL && (row === NIL || color[row] === BLACK)) {
      const onLeft = left[above] === row;
      let sibling = onLeft ? right[above] : left[above];
      if (color[sibling] === RED) {
        color[sibling] = BLACK;
        color[above] = RED;
        if (onLeft) this.rotateLeft(tree, above);
        else this.rotateRight(tree, above);
        sibling = onLeft ? right[above] : left[above];
      }
      const near = onLeft ? left[sibling] : right[sibling];
      const far = onLeft ? right[sibling] : left[sibling];
      const farRed = far !== NIL && color[far] === RED;
      if (!farRed && (near === NIL || color[near] === BLACK)) {
        color[sibling] = RED;
        row = above;
        above = parent[row];
        continue;
      }
      if (!farRed) {
        color[near] = BLACK;
        color[sibling] = RED;
        sibling = onLeft ? this.rotateRight(tree, sibling) : this.rotateLeft(tree, sibling);
      }
      color[sibling] = color[above];
      color[above] = BLACK;
      const outer = onLeft ? right[sibling] : left[sibling];
      color[outer] = BLACK;
      if (onLeft) this.rotateLeft(tree, above);
      else this.rotateRight(tree, above);
      return;
    }
    if (row !== NIL) color[row] = BLACK;
  }

  private grow(): void {
    const length = this.start.length * 2;
    this.start = grown(this.start, new Float64Array(length));
    this.last = grown(this.last, new Float64Array(length));
    this.subtreeLast = grown(this.subtreeLast, new Float64Array(length));
    this.left = grown(this.left, new Int32Array(length));
    this.right = grown(this.right, new Int32Array(length));
    this.successor = grown(this.successor, new Int32Array(length));
    this.predecessor = grown(this.predecessor, new Int32Array(length));
    this.parent = grown(this.parent, new Int32Array(length));
    this.color = grown(this.color, new Uint8Array(length));
  }
}
