/** Checks of interval trees, for invariants and tests. */
import { BLACK, type IntervalPool, type IntervalTree, RED } from './interval_tree.js';
import { NIL } from './units.js';

/**
 * Checks order, augmentation, links and red-black balance. Returns what is wrong first, or
 * undefined. Linear.
 */
export function checkIntervalTree(pool: IntervalPool, tree: IntervalTree): string | undefined {
  if (tree.root === NIL) {
    return tree.lastRow === NIL ? undefined : `an empty tree ends with row ${tree.lastRow}`;
  }
  if (pool.parent[tree.root] !== NIL) return `root row ${tree.root} has a parent`;
  if (pool.color[tree.root] === RED) return `root row ${tree.root} is red`;
  const problem = checkBelow(pool, tree.root);
  return typeof problem === 'string' ? problem : checkNeighbours(pool, tree);
}

/** What is wrong with the neighbours in order, compared with the tree. */
function checkNeighbours(pool: IntervalPool, tree: IntervalTree): string | undefined {
  const { left, right, successor, predecessor } = pool;
  const above: number[] = [];
  let before: number = NIL;
  let isBeforeHint = tree.hintRow !== NIL;
  let at = tree.root;
  while (at !== NIL || above.length > 0) {
    for (; at !== NIL; at = left[at]) above.push(at);
    const row = above.pop() ?? NIL;
    if (predecessor[row] !== before) return `row ${row} does not follow row ${before}`;
    if (before !== NIL && successor[before] !== row) {
      return `row ${before} is not followed by row ${row}`;
    }
    if (row === tree.hintRow) isBeforeHint = false;
    else if (isBeforeHint && pool.last[row] >= tree.hintFirst) {
      return `row ${row} ends behind ${tree.hintFirst}, before row ${tree.hintRow}`;
    }
    before = row;
    at = right[row];
  }
  if (isBeforeHint) return `row ${tree.hintRow} is not in the tree that remembers it`;
  if (tree.lastRow !== before) return `the tree ends with row ${before}, not ${tree.lastRow}`;
  return successor[before] === NIL ? undefined : `row ${before} is followed by none of its tree`;
}

/** Black height below a row, or what is wrong. Depth is bounded by the balance it checks. */
function checkBelow(pool: IntervalPool, row: number): number | string {
  if (row === NIL) return 1;
  const { left, right, parent, color, start, subtreeLast } = pool;
  let most = pool.last[row];
  for (const child of [left[row], right[row]]) {
    if (child === NIL) continue;
    if (parent[child] !== row) return `row ${child} does not point to its parent ${row}`;
    if (color[row] === RED && color[child] === RED) return `red row ${row} has a red child`;
    most = Math.max(most, subtreeLast[child]);
  }
  if (left[row] !== NIL && start[left[row]] > start[row]) {
    return `row ${row} starts before its left child`;
  }
  if (right[row] !== NIL && start[right[row]] < start[row]) {
    return `row ${row} starts after its right child`;
  }
  if (subtreeLast[row] !== most) {
    return `row ${row} says subtree last ${subtreeLast[row]}, not ${most}`;
  }
  const leftHeight = checkBelow(pool, left[row]);
  if (typeof leftHeight === 'string') return leftHeight;
  const rightHeight = checkBelow(pool, right[row]);
  if (typeof rightHeight === 'string') return rightHeight;
  if (leftHeight !== rightHeight) return `black heights below row ${row} differ`;
  return leftHeight + (color[row] === BLACK ? 1 : 0);
}
