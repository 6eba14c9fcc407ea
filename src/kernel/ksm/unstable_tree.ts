import { fail } from '../../base/errors.js';
import { ContentTree } from './content_tree.js';
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
  private tree: ContentTree<KsmRmapItem> | undefined = undefined;

  /** A new pass begins. */
  clear(): void {
    this.byContent.clear();
    this.history = [];
    this.tree = undefined;
  }

  /** Whether pages of candidates may have gone, so that a search must go from node to node. */
  get hasShape(): boolean {
    return this.tree !== undefined;
  }

  /** The candidate with this content, if none of the candidates can be gone. */
  get(content: number): KsmRmapItem | undefined {
    return this.byContent.get(content);
  }

  /** Root of the tree, or undefined if it is empty. */
  get root(): KsmRmapItem | undefined {
    return this.tree?.root;
  }

  /** The candidate to look at next behind `item` for a page that holds `content`. */
  next(item: KsmRmapItem, content: number, itemContent: number): KsmRmapItem | undefined {
    const { tree } = this;
    if (tree === undefined) fail('the unstable tree has no shape yet');
    return tree.next(item, content, itemContent);
  }

  /** Adds a candidate that a search did not find. */
  insert(item: KsmRmapItem, content: number, pass: number): void {
    item.unstablePass = pass;
    item.unstableContent = content;
    this.byContent.set(content, item);
    if (this.tree === undefined) this.history.push(item);
    else this.tree.insert(item, content);
  }

  /** Takes a candidate of this pass out. */
  remove(item: KsmRmapItem): void {
    const { unstableContent } = item;
    if (this.byContent.get(unstableContent) === item) this.byContent.delete(unstableContent);
    if (this.tree === undefined) this.history.push(item);
    else this.tree.remove(item);
  }

  /** ksmd is about to split a large folio: from now on pages of candidates may be gone. */
  noteSplit(): void {
    if (this.tree !== undefined) return;
    const tree = new ContentTree<KsmRmapItem>();
    this.tree = tree;
    const inside = new Set<KsmRmapItem>();
    for (const item of this.history) {
      if (inside.has(item)) {
        inside.delete(item);
        tree.remove(item);
      } else {
        inside.add(item);
        tree.insert(item, item.unstableContent);
      }
    }
    this.history = [];
  }
}
